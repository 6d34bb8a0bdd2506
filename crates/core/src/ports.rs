//! What orchestration needs from the outside. Each port is a trait of few verbs; `caudal-app` decides
//! which concrete type stands behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::{Error, ErrorKind, Result};
use crate::job::{JobId, JobPage, JobRecord, JobStatus, PipelineKind, Plan, SourceDescription};
use crate::journal::{Beat, JournalEntry, Lease};
use crate::request::{InlineTable, JobRequest};
use crate::results::{Analysis, FinalResponse, GpuProcessing, PipelineResult, SparkProcessing, StoredPaths};
use crate::state::JobState;
use crate::system::SystemDescription;

/// Wall-clock and monotonic time.
pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
}

/// New identities.
pub trait Ids: Send + Sync {
    fn job_id(&self) -> JobId;
    fn entry_id(&self) -> uuid::Uuid;
}

/// The records of jobs in the bucket: requests, journals, stage results, lists.
#[async_trait]
pub trait JobRecords: Send + Sync {
    /// Stores the request (and the inline numbers beside it), the active marker and the index entry.
    async fn create(&self, record: &JobRecord, inline: Option<&InlineTable>) -> Result<()>;
    /// Writes entry `number` if nobody has; on any answer but success the entry is read back, so that
    /// [`Appended::Mine`] means that this very entry is in the journal.
    async fn append(&self, job: JobId, number: u32, entry: &JournalEntry) -> Result<Appended>;
    /// All entries, by number.
    async fn journal(&self, job: JobId) -> Result<Vec<JournalEntry>>;
    /// One entry, where it is there.
    async fn entry(&self, job: JobId, number: u32) -> Result<Option<JournalEntry>>;
    /// The newest lease and its number.
    async fn lease(&self, job: JobId) -> Result<Option<(u32, Lease)>>;
    /// Writes lease `number` if nobody has; whether this very lease is there then.
    async fn put_lease(&self, job: JobId, number: u32, lease: &Lease) -> Result<bool>;
    /// Writes an instance's sign of life over the one before; `None` takes it away.
    async fn put_beat(&self, writer: uuid::Uuid, beat: Option<&Beat>) -> Result<()>;
    /// The newest sign of life of an instance.
    async fn beat(&self, writer: uuid::Uuid) -> Result<Option<Beat>>;
    /// That the job was taken in survives a loss of power from now on.
    async fn keep(&self, record: &JobRecord) -> Result<()>;
    async fn record(&self, job: JobId) -> Result<JobRecord>;
    async fn put_normalization(&self, job: JobId, result: &GpuProcessing) -> Result<()>;
    async fn put_pipelines(&self, job: JobId, result: &SparkProcessing) -> Result<()>;
    async fn put_analysis(&self, job: JobId, result: &Analysis) -> Result<()>;
    /// Stores the final response unless there is one already; what is there then. A job has one answer.
    async fn put_final(&self, job: JobId, response: FinalResponse) -> Result<FinalResponse>;
    /// The stored result of a stage that finished before a restart.
    async fn normalization(&self, job: JobId) -> Result<Option<GpuProcessing>>;
    async fn pipelines(&self, job: JobId) -> Result<Option<SparkProcessing>>;
    async fn analysis(&self, job: JobId) -> Result<Option<Analysis>>;
    async fn final_response(&self, job: JobId) -> Result<Option<FinalResponse>>;
    /// Writes the compacted `job.json`, has all that is left of the job survive a loss of power, and takes the active
    /// marker away.
    async fn finish(&self, status: &JobStatus) -> Result<()>;
    /// Takes away what a killed process left of a job that was never queued.
    async fn discard(&self, job: JobId) -> Result<()>;
    /// Takes away all that is kept of a job that has ended, its results among it. Cut off anywhere, it can be done again.
    ///
    /// # Errors
    /// [`ErrorKind::NotFinished`] while somebody is still seeing to the job's end.
    async fn remove(&self, status: &JobStatus) -> Result<()>;
    /// State and times of a job, from `job.json` or from its journal.
    async fn status(&self, job: JobId) -> Result<JobStatus>;
    /// Jobs that have not finished, as their markers say.
    async fn active(&self) -> Result<Vec<JobId>>;
    /// Newest first.
    async fn list(&self, query: &JobQuery) -> Result<JobPage>;
    /// Where a job's objects are (or will be), as URIs.
    fn paths(&self, job: JobId, plan: Option<&Plan>) -> StoredPaths;
    /// Checks that the bucket answers.
    async fn ready(&self) -> Result<()>;
}

/// Whose entry is at a number of a journal now.
#[derive(Debug)]
pub enum Appended {
    Mine,
    /// Somebody else was first.
    Taken(Box<JournalEntry>),
}

/// Which jobs to list.
#[derive(Clone, Debug)]
pub struct JobQuery {
    pub owner: String,
    pub status: Option<JobState>,
    pub limit: usize,
    pub cursor: Option<String>,
}

/// Reads sources. What was opened for a job is kept for its stages until it is released.
#[async_trait]
pub trait Sources: Send + Sync {
    /// Reads what the job points at and says what it holds; content faults come as
    /// [`ErrorKind::InvalidData`], each with its row and column.
    async fn open(&self, input: &StageInput) -> Result<SourceDescription>;
    fn release(&self, job: JobId);
}

/// Decides pipelines, engine, device and output format.
#[async_trait]
pub trait Planner: Send + Sync {
    async fn plan(&self, request: &JobRequest, source: &SourceDescription) -> Result<Plan>;
}

/// A device that was chosen for the normalisation stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenDevice {
    /// As it appears in plans: `cpu`, [`GPU_DEVICE`](crate::job::GPU_DEVICE), or
    /// [`CHOSEN_BY_STAGE`](crate::job::CHOSEN_BY_STAGE).
    pub device: &'static str,
    pub why: String,
    /// Why it is not the one that was hoped for.
    pub fallback_reason: Option<String>,
}

/// Chooses the device of the normalisation stage.
#[async_trait]
pub trait DevicePlanner: Send + Sync {
    /// # Errors
    /// [`ErrorKind::UnavailableEngine`] where a device was asked for that is not there.
    async fn device(&self, request: &JobRequest, source: &SourceDescription) -> Result<ChosenDevice>;
}

/// Says what this host has: `GET /system`.
#[async_trait]
pub trait SystemReport: Send + Sync {
    async fn system(&self) -> SystemDescription;
}

/// The normalisation stage: writes the normalised data and says what it did. Running it twice leaves
/// the same objects.
#[async_trait]
pub trait Normalizer: Send + Sync {
    async fn normalize(&self, input: &StageInput, plan: &Plan) -> Result<GpuProcessing>;
}

/// One way to compute the statistics of all columns.
#[async_trait]
pub trait Pipeline: Send + Sync {
    fn kind(&self) -> PipelineKind;
    async fn run(&self, input: &StageInput, plan: &Plan) -> Result<PipelineResult>;
}

/// Where the instance that takes a job in does not work on it: gives queued jobs to one that does.
#[async_trait]
pub trait Handover: Send + Sync {
    /// Has another instance take the job up. It may be told twice.
    async fn hand_over(&self, job: JobId) -> Result<()>;
}

/// One attempt at a stage of a job that is running now.
#[derive(Clone)]
pub struct StageInput {
    pub record: Arc<JobRecord>,
    pub attempt: u32,
    pub cancel: CancelToken,
    pub progress: ProgressSink,
}

impl StageInput {
    pub fn job_id(&self) -> JobId {
        self.record.job_id
    }
}

/// Set once, seen by every stage of a job.
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`ErrorKind::Cancelled`] once the token is set.
    pub fn check(&self) -> Result<()> {
        match self.is_cancelled() {
            true => Err(Error::new(ErrorKind::Cancelled, "the job was cancelled")),
            false => Ok(()),
        }
    }
}

/// Takes word of how far a step is: its name, cells done, cells in all.
#[derive(Clone)]
pub struct ProgressSink(Arc<Report>);

type Report = dyn Fn(&str, u64, u64) + Send + Sync;

impl ProgressSink {
    pub fn new(report: impl Fn(&str, u64, u64) + Send + Sync + 'static) -> Self {
        ProgressSink(Arc::new(report))
    }

    /// A sink for callers that nobody watches.
    pub fn silent() -> Self {
        ProgressSink::new(|_, _, _| {})
    }

    pub fn report(&self, step: &str, done: u64, total: u64) {
        (self.0)(step, done, total);
    }
}
