//! One job's stages in order: read and plan, normalise, run the pipelines.
//!
//! A stage whose result is in the bucket from before a restart is not run again.

use std::sync::Arc;

use caudal_core::job::{PipelineKind, Plan};
use caudal_core::results::{GpuProcessing, PipelineResult, SparkProcessing};
use caudal_core::{Error, ErrorKind, JobState, Result};

use super::comparison::compare;
use super::delegated;
use crate::orchestrator::Desk;
use crate::running::{RunningJob, Stop};

/// Shares of the whole job, for the progress bar.
pub(super) const READ: f64 = 0.3;
const NORMALIZED: f64 = 0.6;
pub(super) const PROFILED: f64 = 0.98;

/// Runs what is left of a job's stages.
///
/// # Errors
/// Whatever a stage says; `Cancelled` between stages; `Conflict` when another instance has the job.
pub async fn run(desk: &Desk, job: &Arc<RunningJob>) -> Result<()> {
    let resumed_in = job.state().await;
    let waited = desk.ports.clock.monotonic().saturating_sub(job.arrived);
    job.findings().queue_time = waited.as_secs_f64();
    let plan = prepare(desk, job).await?;
    job.cancel.check()?;
    if plan.on_spark {
        return delegated::run(desk, job, &plan).await;
    }
    let normalization = normalize(desk, job, &plan, resumed_in).await?;
    job.findings().normalization = Some(normalization);
    job.cancel.check()?;
    let pipelines = profile(desk, job, &plan, resumed_in).await?;
    job.findings().pipelines = Some(pipelines);
    job.cancel.check()
}

async fn prepare(desk: &Desk, job: &Arc<RunningJob>) -> Result<Plan> {
    let ports = &desk.ports;
    job.enter(ports, JobState::Validating, None).await?;
    let input = job.stage_input(0.0, READ).await;
    let source = within(desk, job, ports.sources.open(&input)).await?;
    let plan = ports.planner.plan(&job.record.request, &source).await?;
    if let Some(quotas) = ports.quotas.as_ref().filter(|_| !job.record.inline) {
        quotas.count(&job.record.owner, source.cells(), ports.clock.now());
    }
    let mut findings = job.findings();
    findings.source = Some(source);
    findings.plan = Some(plan.clone());
    Ok(plan)
}

async fn normalize(
    desk: &Desk,
    job: &Arc<RunningJob>,
    plan: &Plan,
    resumed_in: Option<JobState>,
) -> Result<GpuProcessing> {
    let ports = &desk.ports;
    if resumed_in >= Some(JobState::SparkProcessing)
        && let Some(stored) = ports.records.normalization(job.id()).await?
    {
        return Ok(stored);
    }
    job.enter(ports, JobState::Normalizing, None).await?;
    let input = job.stage_input(READ, NORMALIZED).await;
    let result = within(desk, job, ports.normalizer.normalize(&input, plan)).await?;
    ports.records.put_normalization(job.id(), &result).await?;
    Ok(result)
}

async fn profile(
    desk: &Desk,
    job: &Arc<RunningJob>,
    plan: &Plan,
    resumed_in: Option<JobState>,
) -> Result<SparkProcessing> {
    let ports = &desk.ports;
    if resumed_in >= Some(JobState::Analyzing)
        && let Some(stored) = ports.records.pipelines(job.id()).await?
    {
        return Ok(stored);
    }
    job.enter(ports, JobState::SparkProcessing, None).await?;
    let mut results = [PipelineResult::Skipped, PipelineResult::Skipped];
    let share = (PROFILED - NORMALIZED) / plan.pipelines.len().max(1) as f64;
    for (i, kind) in plan.pipelines.iter().enumerate() {
        let from = NORMALIZED + share * i as f64;
        let input = job.stage_input(from, from + share).await;
        let pipeline = ports.pipelines.iter().find(|p| p.kind() == *kind).ok_or_else(|| missing(*kind))?;
        results[*kind as usize] = within(desk, job, pipeline.run(&input, plan)).await?;
        job.cancel.check()?;
    }
    let [rdd, dataframe] = results;
    let result = compare(rdd, dataframe);
    ports.records.put_pipelines(job.id(), &result).await?;
    Ok(result)
}

/// Gives a stage as long as one may take; one that takes longer ends its job.
pub(super) async fn within<T>(
    desk: &Desk,
    job: &RunningJob,
    stage: impl Future<Output = Result<T>>,
) -> Result<T> {
    let Some(limit) = desk.options.stage_deadline else { return stage.await };
    let Ok(ended) = tokio::time::timeout(limit, stage).await else {
        let detail = format!("a stage did not end within the {} s that one may take", limit.as_secs_f64());
        let error = Error::new(ErrorKind::DeadlineExceeded, detail).hint("raise orchestration.stage_seconds");
        job.stop(Stop::Failed(Box::new(error.clone())));
        return Err(error);
    };
    ended
}

fn missing(kind: PipelineKind) -> Error {
    let detail = format!("the {} pipeline is not in this build", kind.name());
    Error::new(ErrorKind::UnavailableEngine, detail)
}
