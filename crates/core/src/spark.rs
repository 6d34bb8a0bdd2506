//! What orchestration and the planner need of Apache Spark: what there is, and one application that does both stages.

use async_trait::async_trait;

use crate::error::Result;
use crate::job::{JobId, Plan, SourceDescription};
use crate::ports::StageInput;
use crate::request::SparkConfig;
use crate::results::{GpuProcessing, PipelineResult, SparkApplication};

/// What an application would run on, and what it would take.
#[derive(Clone, Debug, PartialEq)]
pub struct SparkSurvey {
    /// As it appears in results: `spark 3.4.4 on local[2]`.
    pub name: String,
    /// Cores of one application; where a cluster does not say, those that are asked for.
    pub cores: u32,
    /// Whether all of them are this machine's.
    pub local: bool,
}

/// Submits jobs to Apache Spark and collects what they leave.
#[async_trait]
pub trait SparkEngine: Send + Sync {
    /// # Errors
    /// `UnavailableEngine` where Spark or Java is not there or does not fit, with what to do about it.
    async fn survey(&self, asked: Option<&SparkConfig>) -> Result<SparkSurvey>;

    /// Runs normalisation and pipelines as one application and publishes the normalised data. An attempt of this job
    /// that has finished before is collected and not run again. `None` where the application runs elsewhere, and whoever
    /// is told of its end is to come back.
    ///
    /// # Errors
    /// `InvalidData` and `SourceUnavailable` as the embedded engine has them; `InsufficientMemory`,
    /// `StorageUnavailable`, `UnavailableEngine`; `EngineFailed` with the place of the log; `Cancelled`, once nothing of
    /// the application is left.
    async fn run(&self, input: &StageInput, plan: &Plan) -> Result<Option<SparkOutcome>>;

    /// Whether a job only waits for its application, which runs elsewhere.
    ///
    /// # Errors
    /// `StorageUnavailable`, `UnavailableEngine` or `Overloaded` where that cannot be found out.
    async fn is_waiting(&self, _job: JobId) -> Result<bool> {
        Ok(false)
    }

    /// Ends the applications of a job that run elsewhere, for one that nobody carries any more; done again, it does nothing.
    ///
    /// # Errors
    /// `StorageUnavailable`, `UnavailableEngine` or `Overloaded` where they may run on.
    async fn end(&self, _job: JobId) -> Result<()> {
        Ok(())
    }
}

/// What one application found.
#[derive(Clone, Debug)]
pub struct SparkOutcome {
    /// What the source turned out to hold, where Spark was the first to read it whole.
    pub source: SourceDescription,
    pub normalization: GpuProcessing,
    pub rdd: PipelineResult,
    pub dataframe: PipelineResult,
    pub application: SparkApplication,
}
