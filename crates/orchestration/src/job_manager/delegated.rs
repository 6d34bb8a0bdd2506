//! One job's stages as one application of Apache Spark: normalising is journalled as delegated to it.

use std::sync::Arc;
use std::time::Duration;

use caudal_core::job::Plan;
use caudal_core::results::SparkProcessing;
use caudal_core::{Error, ErrorKind, JobState, Result};

use super::comparison::compare;
use super::stages::{PROFILED, READ};
use crate::leases;
use crate::orchestrator::Desk;
use crate::running::RunningJob;

/// Runs the application, or collects the one that finished before a restart.
///
/// # Errors
/// Those of the engine; `Conflict` when another instance has the job, or will have it once the application has ended.
pub async fn run(desk: &Desk, job: &Arc<RunningJob>, plan: &Plan) -> Result<()> {
    let ports = &desk.ports;
    let spark = ports.spark.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::UnavailableEngine, "this build does not submit jobs to Apache Spark")
    })?;
    job.delegate(ports, JobState::Normalizing, "spark").await?;
    job.enter(ports, JobState::SparkProcessing, None).await?;
    let Some(outcome) = spark.run(&job.stage_input(READ, PROFILED).await, plan).await? else {
        return park(desk, job).await;
    };
    let pipelines =
        SparkProcessing { spark: Some(outcome.application), ..compare(outcome.rdd, outcome.dataframe) };
    ports.records.put_normalization(job.id(), &outcome.normalization).await?;
    ports.records.put_pipelines(job.id(), &pipelines).await?;
    {
        let mut findings = job.findings();
        findings.source = Some(outcome.source);
        findings.normalization = Some(outcome.normalization);
        findings.pipelines = Some(pipelines);
    }
    job.cancel.check()
}

/// Lets the job go while its application runs elsewhere: whoever is told of that one's end takes the job up again.
async fn park(desk: &Desk, job: &RunningJob) -> Result<()> {
    leases::renew_one(desk, job, Duration::ZERO).await;
    let detail = format!("job {} waits for its application on Apache Spark", job.id());
    Err(Error::new(ErrorKind::Conflict, detail).of_job(job.id()))
}
