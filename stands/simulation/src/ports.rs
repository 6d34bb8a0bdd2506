//! The ports of one simulated instance: a clock that may jump, and stages that take their time and fail.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::claims::{Claim, Claimed, Claims};
use caudal_core::job::*;
use caudal_core::ports::*;
use caudal_core::request::JobRequest;
use caudal_core::results::*;
use caudal_core::{Error, ErrorKind, JobId, Result};
use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use uuid::Uuid;

use crate::chance::Chance;
use crate::store::{Life, Process};

/// What a job does to whoever works on it, told by its memory of Spark, which nothing else here reads.
pub const POISON: &str = "666m";

/// One instance.
pub struct Instance {
    pub process: Arc<Process>,
    pub chance: Chance,
    pub begun: Instant,
    /// Milliseconds by which its wall clock is wrong.
    pub wrong_by: AtomicI64,
    pub numbers: Arc<AtomicU64>,
    /// Jobs that killed their instance, once for each time.
    pub killed: Arc<Mutex<Vec<JobId>>>,
    pub stage_failures: f64,
}

impl Instance {
    pub fn jump(&self, by: TimeDelta) {
        self.wrong_by.fetch_add(by.num_milliseconds(), Ordering::Relaxed);
    }

    /// A stage of a job.
    async fn stage(&self, input: &StageInput) -> Result<()> {
        let request = &input.record.request;
        let memory = request.spark_config.as_ref().and_then(|config| config.executor_memory.as_deref());
        let mut left = self.chance.up_to(Duration::from_secs(4));
        while left > Duration::ZERO {
            let step = left.min(Duration::from_millis(250));
            tokio::time::sleep(step).await;
            self.process.running().await;
            input.cancel.check()?;
            left -= step;
            if memory == Some(POISON) && self.chance.happens(0.5) {
                self.killed.lock().expect("nobody panics with it").push(input.job_id());
                self.process.become_(Life::Dead);
                std::future::pending::<()>().await;
            }
        }
        if memory == Some(POISON) {
            self.killed.lock().expect("nobody panics with it").push(input.job_id());
            self.process.become_(Life::Dead);
            std::future::pending::<()>().await;
        }
        match self.chance.happens(self.stage_failures) {
            true => Err(Error::new(ErrorKind::StorageUnavailable, "the stage's storage did not answer")),
            false => Ok(()),
        }
    }
}

impl Clock for Instance {
    fn now(&self) -> DateTime<Utc> {
        let wrong_by = TimeDelta::milliseconds(self.wrong_by.load(Ordering::Relaxed));
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + self.begun.elapsed() + wrong_by
    }

    fn monotonic(&self) -> Duration {
        self.begun.elapsed()
    }
}

impl Ids for Instance {
    fn job_id(&self) -> JobId {
        JobId(self.entry_id())
    }

    fn entry_id(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.numbers.fetch_add(1, Ordering::Relaxed)))
    }
}

/// Nobody brings a key along.
#[async_trait]
impl Claims for Instance {
    async fn claim(&self, _: &str, _: &str, _: &Claim) -> Result<Claimed> {
        Err(Error::new(ErrorKind::StorageUnavailable, "nothing is claimed here"))
    }

    async fn release(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Sources for Instance {
    async fn open(&self, input: &StageInput) -> Result<SourceDescription> {
        self.stage(input).await?;
        let column = ColumnDescription { name: "value".into(), data_type: "Float64".into() };
        Ok(SourceDescription {
            format: None,
            rows: 2,
            bytes_read: 16,
            columns: vec![column],
            skipped: vec![],
        })
    }

    fn release(&self, _: JobId) {}
}

#[async_trait]
impl Planner for Instance {
    async fn plan(&self, request: &JobRequest, _: &SourceDescription) -> Result<Plan> {
        Ok(Plan {
            pipelines: vec![PipelineKind::Rdd],
            normalization: request.normalization,
            statistics: request.statistics,
            output_format: Default::default(),
            engine: "simulated".into(),
            on_spark: false,
            device: "cpu".into(),
            fallback_reason: None,
            compare_devices: false,
            why: "there is one pipeline".into(),
        })
    }
}

#[async_trait]
impl Normalizer for Instance {
    async fn normalize(&self, input: &StageInput, plan: &Plan) -> Result<GpuProcessing> {
        self.stage(input).await?;
        Ok(GpuProcessing { device: plan.device.clone(), processing_time: 0.25, ..GpuProcessing::default() })
    }
}

#[async_trait]
impl Pipeline for Instance {
    fn kind(&self) -> PipelineKind {
        PipelineKind::Rdd
    }

    async fn run(&self, input: &StageInput, _: &Plan) -> Result<PipelineResult> {
        self.stage(input).await?;
        let statistics = ColumnStatistics { rows: 2, count: 2, ..ColumnStatistics::default() };
        Ok(PipelineResult::Completed {
            processing_time: 0.5,
            columns: [("value".to_owned(), statistics)].into(),
        })
    }
}
