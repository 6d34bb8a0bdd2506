//! One turn of a job: its stages on a task of their own, until they end, fall, or are to stop.

use std::sync::Arc;
use std::time::Duration;

use caudal_core::{Error, ErrorKind, Result};
use tokio::task::JoinHandle;

use super::stages;
use crate::orchestrator::Desk;
use crate::retry::{self, Next};
use crate::running::{RunningJob, Stop};

/// How a turn ended.
pub enum Outcome {
    Done,
    /// It failed in a way that passes: another turn after a wait.
    Again(Duration),
    Failed(Box<Error>),
    /// Another instance has the job.
    Left,
}

/// How long stages may take to notice that they are to stop, before they are dropped where they are.
const GRACE: Duration = Duration::from_millis(600);

/// The same for an application of Spark, which has to be ended at its cluster.
const GRACE_OF_SPARK: Duration = Duration::from_secs(30);

/// Runs a job's stages, and decides what comes of a failure.
pub async fn run(desk: Arc<Desk>, job: Arc<RunningJob>) -> Outcome {
    let turn = match job.stop_error() {
        Some(error) => Err(error),
        None => watched(&desk, &job).await,
    };
    let Err(error) = turn else { return Outcome::Done };
    match retry::after(&desk, &job, error).await {
        Next::Again(wait) => Outcome::Again(wait),
        Next::End(error) => Outcome::Failed(error),
        Next::Leave => Outcome::Left,
    }
}

/// Runs the stages until they end or are to stop: a panic in one is that job's failure only.
async fn watched(desk: &Arc<Desk>, job: &Arc<RunningJob>) -> Result<()> {
    let (stages_desk, stages_job) = (desk.clone(), job.clone());
    let mut task = tokio::spawn(async move { stages::run(&stages_desk, &stages_job).await });
    tokio::select! {
        biased;
        ended = &mut task => {
            let ended = ended.unwrap_or_else(|panic| Err(fallen(desk, job, panic)));
            ended.map_err(|error| job.stop_error().unwrap_or(error))
        }
        () = told_to_stop(desk, job) => stop(job, task).await,
    }
}

async fn told_to_stop(desk: &Desk, job: &RunningJob) {
    let Some(limit) = deadline(desk, job) else {
        job.stopped().await;
        return;
    };
    let left = limit.saturating_sub(job.spent_before().await);
    let left = left.saturating_sub(desk.ports.clock.monotonic().saturating_sub(job.arrived));
    if tokio::time::timeout(left, job.stopped()).await.is_err() {
        let detail = format!("the job did not end within the {} s that it was given", limit.as_secs_f64());
        let hint = "give it more with deadline_seconds, or raise orchestration.job_seconds";
        job.stop(Stop::Failed(Box::new(Error::new(ErrorKind::DeadlineExceeded, detail).hint(hint))));
    }
}

/// The shorter of what the job asks for and what the settings allow.
fn deadline(desk: &Desk, job: &RunningJob) -> Option<Duration> {
    let asked = job.record.request.deadline_seconds;
    let asked = asked.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match (asked, desk.options.job_deadline) {
        (Some(asked), Some(allowed)) => Some(asked.min(allowed)),
        (asked, allowed) => asked.or(allowed),
    }
}

/// Waits a moment for stages that were told to stop, and drops them where that is in vain: what they have not published
/// nobody sees.
async fn stop(job: &RunningJob, mut task: JoinHandle<Result<()>>) -> Result<()> {
    let on_spark = job.findings().plan.as_ref().is_some_and(|plan| plan.on_spark);
    let grace = if on_spark { GRACE_OF_SPARK } else { GRACE };
    let ended = tokio::time::timeout(grace, &mut task).await;
    task.abort();
    match (ended, job.stop_error()) {
        (Ok(Ok(Ok(()))), _) | (_, None) => Ok(()),
        (_, Some(why)) => Err(why),
    }
}

fn fallen(desk: &Desk, job: &RunningJob, panic: tokio::task::JoinError) -> Error {
    desk.counters.falls.add();
    let detail = "a stage of the job came to an unexpected stop; this is a fault of Caudal";
    Error::new(ErrorKind::Internal, detail).cause(panic).of_job(job.id())
}
