//! The port behind which the ways to start an application of Spark stand.

use async_trait::async_trait;
use caudal_core::Result;
use caudal_core::request::SparkConfig;
use caudal_core::results::SparkBill;
use caudal_core::spark::SparkSurvey;
use serde::Serialize;

use crate::events::{Fault, Progress};
use crate::sizing::Sizing;

/// Starts applications and knows how they are. An application is known by its name, `caudal-{job}-spark-{attempt}`.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// What an application would run on.
    ///
    /// # Errors
    /// `UnavailableEngine` where something is missing, with what to do about it.
    async fn survey(&self, asked: Option<&SparkConfig>) -> Result<SparkSurvey>;

    /// How an application that reads so many bytes is to be sized.
    ///
    /// # Errors
    /// `UnavailableEngine` as [`survey`](Self::survey).
    async fn size(&self, asked: Option<&SparkConfig>, bytes: u64) -> Result<Sizing>;

    /// Starts an application, unless one of its name runs or has ended here: then nothing is done.
    ///
    /// # Errors
    /// `UnavailableEngine` where it cannot be started, `StorageUnavailable` where its working folder cannot be made.
    async fn start(&self, submission: &Submission) -> Result<()>;

    /// How an application is now.
    ///
    /// # Errors
    /// `NotFound` where none of this name was started.
    async fn status(&self, name: &str) -> Result<Status>;

    /// Ends an application with everything it has started; one that has ended is left as it is.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    async fn cancel(&self, name: &str) -> Result<()>;

    /// The end of an application's log, where this launcher has it.
    async fn log(&self, name: &str) -> Vec<u8>;

    /// Takes away what an ended application left outside the bucket.
    async fn forget(&self, name: &str);

    /// Whether an application of this name was started, be it by another process.
    ///
    /// # Errors
    /// `StorageUnavailable` where that cannot be found out.
    async fn knows(&self, name: &str) -> Result<bool> {
        Ok(self.status(name).await.is_ok())
    }

    /// Whether Spark there reads and writes what a URI names.
    fn reaches(&self, uri: &str) -> bool {
        uri.starts_with("file:")
    }

    /// Whether somebody wakes the job when its application ends, so that nobody need wait for it.
    fn wakes(&self) -> bool {
        false
    }

    /// What an ended application was billed, where its service says.
    async fn bill(&self, _name: &str) -> Option<SparkBill> {
        None
    }
}

/// An application to be started.
#[derive(Clone, Debug)]
pub struct Submission {
    pub name: String,
    pub spec: JobSpec,
    pub sizing: Sizing,
}

/// What the jar is told: see `spark/README.md`.
#[derive(Clone, Debug, Serialize)]
pub struct JobSpec {
    pub job_id: String,
    pub attempt: u32,
    pub source: SpecSource,
    pub normalization: &'static str,
    pub statistics: &'static str,
    pub pipelines: Vec<&'static str>,
    pub output: SpecOutput,
    pub results_uri: String,
    pub max_in_memory_json_elements: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct SpecSource {
    pub uris: Vec<String>,
    pub format: &'static str,
    pub columns: Option<Vec<String>>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SpecOutput {
    pub uri: String,
    pub format: &'static str,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    pub phase: Phase,
    /// What it did last, while it runs.
    pub progress: Option<Progress>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Phase {
    Running,
    Succeeded,
    Failed(Failure),
}

/// Why an application ended without its results.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    /// What the job itself said.
    pub fault: Option<Fault>,
    /// How its process ended: an exit code, 128 and more for a signal.
    pub code: Option<i32>,
    /// Reasons for which executors were lost on the way.
    pub lost: Vec<String>,
    /// What the service that ran it says.
    pub told: Option<String>,
}
