//! A job: its identity, the plan that was made for it, and how far it is.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::journal::Attempt;
use crate::request::{JobRequest, Normalization, OutputFormat, SourceFormat, StatisticsLevel};
use crate::state::JobState;

/// A UUID of version 7: unique, and ordered by the time of its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct JobId(pub uuid::Uuid);

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(JobId)
    }
}

/// Who a job belongs to when nobody has signed in.
pub const LOCAL_OWNER: &str = "local";

/// What is stored when a job is taken in: `jobs/{id}/request.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    pub job_id: JobId,
    pub owner: String,
    pub created_at: DateTime<Utc>,
    pub request: JobRequest,
    /// Whether the numbers came with the request and lie beside it as Arrow.
    pub inline: bool,
}

/// One of the two ways to compute the statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineKind {
    /// Low level: partition by partition, states merged in a fixed order.
    Rdd,
    /// Declarative: a query that an optimiser plans.
    Dataframe,
}

impl PipelineKind {
    pub fn name(self) -> &'static str {
        match self {
            PipelineKind::Rdd => "rdd",
            PipelineKind::Dataframe => "dataframe",
        }
    }
}

/// The name of a GPU as the device of a plan.
pub const GPU_DEVICE: &str = "gpu";

/// The device of a plan whose stage is done on another machine, which knows best what it has.
pub const CHOSEN_BY_STAGE: &str = "stage's choice";

/// What was decided for a job once its source was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub pipelines: Vec<PipelineKind>,
    pub normalization: Normalization,
    pub statistics: StatisticsLevel,
    pub output_format: OutputFormat,
    /// The engine's name as it appears in results.
    pub engine: String,
    /// Whether normalisation and pipelines are one application of Apache Spark.
    #[serde(default)]
    pub on_spark: bool,
    /// The device's name as it appears in results.
    pub device: String,
    /// Why the device is not the one that was hoped for.
    pub fallback_reason: Option<String>,
    /// Whether both devices are timed.
    #[serde(default)]
    pub compare_devices: bool,
    /// Why this engine, device, pipeline and output format.
    pub why: String,
}

/// A column that will be processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDescription {
    pub name: String,
    /// The type in the source, in Arrow's words.
    pub data_type: String,
}

/// A column that will not be processed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SkippedColumn {
    pub name: String,
    pub data_type: String,
    pub reason: String,
}

/// What a source turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDescription {
    /// `None` for numbers that came with the request.
    pub format: Option<SourceFormat>,
    pub rows: u64,
    pub bytes_read: u64,
    pub columns: Vec<ColumnDescription>,
    pub skipped: Vec<SkippedColumn>,
}

impl SourceDescription {
    /// Rows × processed columns.
    pub fn cells(&self) -> u64 {
        self.rows * self.columns.len() as u64
    }
}

/// How far a running job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    pub state: JobState,
    /// What is being done, in a few words: `reading`, `normalizing`, `rdd`, `dataframe`.
    pub step: String,
    /// Cells done in this step, and how many there are; 0 while it is not known.
    pub done: u64,
    pub total: u64,
    /// Of the whole job, 0 to 1.
    pub fraction: f64,
}

/// A job as `GET /jobs/{id}` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobStatus {
    pub job_id: JobId,
    pub owner: String,
    pub status: JobState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// When each state was entered, in order.
    pub transitions: Vec<TimedState>,
    pub attempts: u32,
    /// Every attempt and why it began, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempt_history: Vec<Attempt>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// A state and when it was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TimedState {
    pub state: JobState,
    pub at: DateTime<Utc>,
}

/// One page of a list of jobs, newest first.
#[derive(Clone, Debug, Default)]
pub struct JobPage {
    pub jobs: Vec<JobStatus>,
    /// Give it back to get the next page; `None` on the last one.
    pub next_cursor: Option<String>,
}
