//! An orchestrator over ports that have nothing and take nothing: whatever would store a job says that the
//! storage does not answer, so a request that gets that far was in order.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use caudal_core::claims::{Claim, Claimed, Claims};
use caudal_core::export::{Export, ExportFormat, NormalizedData, StoredObject};
use caudal_core::job::{JobPage, JobRecord, JobStatus, PipelineKind, Plan, SourceDescription};
use caudal_core::journal::{Beat, JournalEntry, Lease};
use caudal_core::ports::*;
use caudal_core::request::{InlineTable, JobRequest, SourceFormat};
use caudal_core::results::*;
use caudal_core::system::{GpuDescription, SystemDescription};
use caudal_core::uploads::*;
use caudal_core::{Error, ErrorKind, JobId, Result};
use caudal_gateway::limits::{BodyTime, Limits};
use caudal_gateway::{BodyBudget, BodyLimits, Gateway, GatewayOptions, Guard};
use caudal_orchestration::retry::{Dice, RetryPolicy};
use caudal_orchestration::{Orchestrator, OrchestratorOptions, Ports};
use chrono::{DateTime, Utc};
use futures::StreamExt;

pub const MAX_BODY: usize = 2000;
pub const MAX_DECODED: usize = 4000;

/// The cursor that makes the list of jobs fall over.
pub const PANIC_CURSOR: &str = "panic";

pub async fn gateway() -> Gateway {
    let options = GatewayOptions {
        body: BodyLimits { max_sent: MAX_BODY as u64, max_decoded: MAX_DECODED as u64 },
        default_wait: Duration::from_secs(5),
        max_wait: Duration::from_secs(5),
        whole_within: None,
        body_time: BodyTime { idle: Duration::from_secs(30), slowest: 1 },
        origins: Default::default(),
        error_pages: "docs/errors/".into(),
        base_path: String::new(),
    };
    let nothing = Arc::new(Nothing);
    let ports = Ports {
        clock: nothing.clone(),
        ids: nothing.clone(),
        records: nothing.clone(),
        claims: nothing.clone(),
        sources: nothing.clone(),
        planner: nothing.clone(),
        normalizer: nothing.clone(),
        pipelines: vec![nothing.clone()],
        spark: None,
        webhooks: None,
        handover: None,
        dice: Arc::new(Dice::seeded(1)),
        quotas: None,
        writer: uuid::Uuid::nil(),
    };
    let sizes = OrchestratorOptions {
        mailbox_size: 16,
        running_jobs: 1,
        admitted_jobs: 16,
        lease: Duration::from_secs(10),
        retry: RetryPolicy { budget: 0, first: Duration::ZERO, longest: Duration::ZERO },
        stage_deadline: None,
        job_deadline: None,
        takes_over: false,
        cores: 1,
        prices: Default::default(),
    };
    let orchestrator = Orchestrator::start(ports, sizes).await.expect("the actors start");
    let budget = BodyBudget::new(1_000_000);
    Gateway {
        orchestrator,
        data: nothing.clone(),
        uploads: nothing.clone(),
        system: nothing,
        budget,
        guard: Guard::open(),
        limits: Limits::none(),
        options,
        closing: tokio::sync::watch::channel(false).1,
    }
}

struct Nothing;

#[async_trait]
impl SystemReport for Nothing {
    async fn system(&self) -> SystemDescription {
        SystemDescription {
            version: "0".into(),
            cores: 1,
            memory_limit_bytes: 1,
            gpu: GpuDescription { state: "no_driver".into(), ..GpuDescription::default() },
        }
    }
}

fn unavailable<T>() -> Result<T> {
    Err(Error::new(ErrorKind::StorageUnavailable, "the storage takes nothing").cause("secret"))
}

fn no_job<T>(job: JobId) -> Result<T> {
    Err(Error::new(ErrorKind::NotFound, format!("there is no job {job}")))
}

impl Clock for Nothing {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

impl Ids for Nothing {
    fn job_id(&self) -> JobId {
        JobId(uuid::Uuid::nil())
    }

    fn entry_id(&self) -> uuid::Uuid {
        uuid::Uuid::nil()
    }
}

#[async_trait]
impl JobRecords for Nothing {
    async fn lease(&self, _: JobId) -> Result<Option<(u32, Lease)>> {
        Ok(None)
    }

    async fn put_lease(&self, _: JobId, _: u32, _: &Lease) -> Result<bool> {
        Ok(true)
    }

    async fn create(&self, _: &JobRecord, _: Option<&InlineTable>) -> Result<()> {
        unavailable()
    }

    async fn append(&self, _: JobId, _: u32, _: &JournalEntry) -> Result<Appended> {
        unavailable()
    }

    async fn journal(&self, job: JobId) -> Result<Vec<JournalEntry>> {
        no_job(job)
    }

    async fn entry(&self, job: JobId, _: u32) -> Result<Option<JournalEntry>> {
        no_job(job)
    }

    async fn put_beat(&self, _: uuid::Uuid, _: Option<&Beat>) -> Result<()> {
        Ok(())
    }

    async fn beat(&self, _: uuid::Uuid) -> Result<Option<Beat>> {
        Ok(None)
    }

    async fn keep(&self, _: &JobRecord) -> Result<()> {
        unavailable()
    }

    async fn record(&self, job: JobId) -> Result<JobRecord> {
        no_job(job)
    }

    async fn put_normalization(&self, _: JobId, _: &GpuProcessing) -> Result<()> {
        unavailable()
    }

    async fn put_pipelines(&self, _: JobId, _: &SparkProcessing) -> Result<()> {
        unavailable()
    }

    async fn put_analysis(&self, _: JobId, _: &Analysis) -> Result<()> {
        unavailable()
    }

    async fn put_final(&self, _: JobId, _: FinalResponse) -> Result<FinalResponse> {
        unavailable()
    }

    async fn normalization(&self, _: JobId) -> Result<Option<GpuProcessing>> {
        Ok(None)
    }

    async fn pipelines(&self, _: JobId) -> Result<Option<SparkProcessing>> {
        Ok(None)
    }

    async fn analysis(&self, _: JobId) -> Result<Option<Analysis>> {
        Ok(None)
    }

    async fn final_response(&self, _: JobId) -> Result<Option<FinalResponse>> {
        Ok(None)
    }

    async fn finish(&self, _: &JobStatus) -> Result<()> {
        unavailable()
    }

    async fn discard(&self, _: JobId) -> Result<()> {
        Ok(())
    }

    async fn remove(&self, status: &JobStatus) -> Result<()> {
        no_job(status.job_id)
    }

    async fn status(&self, job: JobId) -> Result<JobStatus> {
        no_job(job)
    }

    async fn active(&self) -> Result<Vec<JobId>> {
        Ok(Vec::new())
    }

    async fn list(&self, query: &JobQuery) -> Result<JobPage> {
        assert_ne!(query.cursor.as_deref(), Some(PANIC_CURSOR), "the list falls over, as the test asked");
        Ok(JobPage::default())
    }

    fn paths(&self, _: JobId, _: Option<&Plan>) -> StoredPaths {
        StoredPaths::default()
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Sources for Nothing {
    async fn open(&self, _: &StageInput) -> Result<SourceDescription> {
        unavailable()
    }

    fn release(&self, _: JobId) {}
}

#[async_trait]
impl Planner for Nothing {
    async fn plan(&self, _: &JobRequest, _: &SourceDescription) -> Result<Plan> {
        unavailable()
    }
}

#[async_trait]
impl Normalizer for Nothing {
    async fn normalize(&self, _: &StageInput, _: &Plan) -> Result<GpuProcessing> {
        unavailable()
    }
}

#[async_trait]
impl Pipeline for Nothing {
    fn kind(&self) -> PipelineKind {
        PipelineKind::Rdd
    }

    async fn run(&self, _: &StageInput, _: &Plan) -> Result<PipelineResult> {
        unavailable()
    }
}

#[async_trait]
impl NormalizedData for Nothing {
    async fn export(&self, job: JobId, _: Option<ExportFormat>) -> Result<Export> {
        no_job(job)
    }

    async fn read_range(&self, _: &StoredObject, _: Range<u64>) -> Result<Bytes> {
        unavailable()
    }
}

/// Reads what it is given to the end, and takes nothing.
#[async_trait]
impl Uploads for Nothing {
    async fn begin(&self, _: NewUpload) -> Result<Upload> {
        unavailable()
    }

    async fn find(&self, _: &str, upload: uuid::Uuid) -> Result<Upload> {
        no_upload(upload)
    }

    async fn put_part(
        &self,
        _: &str,
        upload: uuid::Uuid,
        _: u32,
        _: Option<Sha256>,
        _: Bytestream,
    ) -> Result<Sha256> {
        no_upload(upload)
    }

    async fn complete(&self, _: &str, upload: uuid::Uuid) -> Result<Upload> {
        no_upload(upload)
    }

    async fn remove(&self, _: &str, upload: uuid::Uuid) -> Result<()> {
        no_upload(upload)
    }

    async fn keep(&self, _: &str, _: SourceFormat, mut content: Bytestream) -> Result<Kept> {
        while let Some(chunk) = content.next().await {
            chunk?;
        }
        unavailable()
    }
}

fn no_upload<T>(upload: uuid::Uuid) -> Result<T> {
    Err(Error::new(ErrorKind::NotFound, format!("there is no upload {upload}")))
}

#[async_trait]
impl Claims for Nothing {
    async fn claim(&self, _: &str, _: &str, _: &Claim) -> Result<Claimed> {
        Ok(Claimed::Mine)
    }

    async fn release(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
}
