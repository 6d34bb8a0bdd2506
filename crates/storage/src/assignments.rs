//! Stages that another function runs: what it is to do and what it answers, as objects that both see.

use caudal_core::job::Plan;
use caudal_core::results::GpuProcessing;
use caudal_core::{Error, ErrorKind, JobId, Result};
use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;
use crate::keys;

/// What came of a stage.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageReport {
    Done(Box<GpuProcessing>),
    Failed(Error),
}

/// The objects of stages that run elsewhere. They go when their job ends.
#[derive(Clone)]
pub struct Assignments {
    bucket: Bucket,
}

impl Assignments {
    pub fn new(bucket: Bucket) -> Self {
        Assignments { bucket }
    }

    /// Says what an attempt at normalising is to do.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn assign(&self, job: JobId, attempt: u32, plan: &Plan) -> Result<()> {
        self.bucket.put_json(&keys::assignment(job, attempt), plan).await
    }

    /// What an attempt is to do.
    ///
    /// # Errors
    /// `NotFound` where the job has ended or never was.
    pub async fn assignment(&self, job: JobId, attempt: u32) -> Result<Plan> {
        self.bucket.get_json(&keys::assignment(job, attempt)).await?.ok_or_else(|| {
            let detail = format!("job {job} has no attempt {attempt} to be worked on");
            Error::new(ErrorKind::NotFound, detail).of_job(job)
        })
    }

    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn report(&self, job: JobId, attempt: u32, report: &StageReport) -> Result<()> {
        self.bucket.put_json(&keys::stage_report(job, attempt), report).await
    }

    /// What came of an attempt, where it has ended.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn reported(&self, job: JobId, attempt: u32) -> Result<Option<StageReport>> {
        self.bucket.get_json(&keys::stage_report(job, attempt)).await
    }
}
