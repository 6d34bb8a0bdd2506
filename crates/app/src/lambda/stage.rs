//! The function `gpu_processing`: one attempt at the normalisation stage, from assignment to report.

use std::sync::Arc;

use caudal_core::job::{CHOSEN_BY_STAGE, Plan};
use caudal_core::ports::{
    CancelToken, ChosenDevice, DevicePlanner, JobRecords, Normalizer, ProgressSink, Sources, StageInput,
};
use caudal_core::results::GpuProcessing;
use caudal_core::{ErrorKind, JobId, Result};
use caudal_normalize::{HostDevices, HostNormalizer, LocalCard};
use caudal_storage::{Assignments, BucketRecords, Datasets, StageReport};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

use super::metrics::{Metrics, Outcome};
use crate::measured::Measured;
use crate::settings::{Overrides, Settings};
use crate::store;

/// Has the function make an attempt at its stage.
#[derive(Debug, Serialize, Deserialize)]
pub struct NormalizeEvent {
    pub job: JobId,
    pub attempt: u32,
}

/// Serves invocations until AWS ends the process.
///
/// # Errors
/// What keeps it from starting: a setting, or a bucket that is no place.
pub async fn gpu_processing() -> std::result::Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let stage = Arc::new(Stage::new(&Settings::load(&Overrides::default())?)?);
    let handle = move |event: LambdaEvent<NormalizeEvent>| {
        let stage = stage.clone();
        async move { stage.invoked(event).await.map_err(lambda_runtime::Error::from) }
    };
    lambda_runtime::run(service_fn(handle)).await
}

struct Stage {
    records: BucketRecords,
    assignments: Assignments,
    datasets: Datasets,
    normalizer: HostNormalizer,
    devices: HostDevices,
    metrics: Metrics,
}

impl Stage {
    fn new(settings: &Settings) -> Result<Stage> {
        caudal_kernels::return_large_blocks();
        caudal_kernels::compute_on(settings.threads());
        let bucket = store::open(settings)?;
        let datasets = store::datasets(settings, &bucket)?;
        Ok(Stage {
            records: BucketRecords::new(bucket.clone()),
            devices: HostDevices::new(Arc::new(LocalCard), Arc::new(Measured(bucket.clone()))),
            assignments: Assignments::new(bucket),
            normalizer: HostNormalizer::new(datasets.clone()),
            datasets,
            metrics: Metrics::new(settings.functions.service.clone(), settings.prices.clone()),
        })
    }

    /// An error is answered only where the report could not be stored: AWS then sends the event again.
    async fn invoked(&self, event: LambdaEvent<NormalizeEvent>) -> Result<()> {
        let begun = self.metrics.now();
        let done = self.attempt(&event.payload).await;
        if let Err(error) = &done {
            tracing::error!(job = %event.payload.job, %error, cause = error.cause, "the stage could not be reported");
        }
        self.metrics.tell(&event.context, begun, &Outcome { failed: done.is_err(), ended: None });
        done
    }

    async fn attempt(&self, event: &NormalizeEvent) -> Result<()> {
        let (job, attempt) = (event.job, event.attempt);
        if self.assignments.reported(job, attempt).await?.is_some() {
            tracing::info!(%job, attempt, "the event came twice");
            return Ok(());
        }
        let report = match self.normalized(event).await {
            Ok(result) => StageReport::Done(Box::new(result)),
            // The job has ended meanwhile, and nobody waits for a report.
            Err(error) if error.kind == ErrorKind::NotFound => {
                tracing::info!(%job, attempt, %error, "nothing to do");
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(%job, attempt, %error, cause = error.cause, "the stage failed");
                StageReport::Failed(error)
            }
        };
        self.assignments.report(job, attempt, &report).await
    }

    async fn normalized(&self, event: &NormalizeEvent) -> Result<GpuProcessing> {
        let mut plan = self.assignments.assignment(event.job, event.attempt).await?;
        let input = StageInput {
            record: Arc::new(self.records.record(event.job).await?),
            attempt: event.attempt,
            cancel: CancelToken::default(),
            progress: ProgressSink::silent(),
        };
        let result = match self.choose_device(&input, &mut plan).await {
            Ok(()) => self.normalizer.normalize(&input, &plan).await,
            Err(error) => Err(error),
        };
        self.datasets.release(event.job);
        result
    }

    /// Chooses the device where the plan leaves that to whoever has it.
    async fn choose_device(&self, input: &StageInput, plan: &mut Plan) -> Result<()> {
        if plan.device == CHOSEN_BY_STAGE {
            let source = self.datasets.open(input).await?;
            let chosen = self.devices.device(&input.record.request, &source).await?;
            let ChosenDevice { device, fallback_reason, .. } = chosen;
            (plan.device, plan.fallback_reason) = (device.into(), fallback_reason);
        }
        Ok(())
    }
}
