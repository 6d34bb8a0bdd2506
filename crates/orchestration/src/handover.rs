//! Jobs that one instance takes in and another one works on: giving them away, following them, carrying them.
//!
//! On AWS Lambda nothing works on after an answer, so the invocation that answers a client gives its job to another one.

use std::sync::Arc;
use std::time::Duration;

use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use kameo::actor::ActorRef;

use crate::leases;
use crate::orchestrator::{Desk, JobResult, stopped};
use crate::running::RunningJob;
use crate::validation::{Resume, ValidationActor};

/// Between two looks at a job that is followed: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_millis(400);

/// Gives a queued job to another instance. Where that fails the job is queued all the same, and whoever looks for
/// abandoned jobs finds it.
pub async fn hand_over(desk: &Desk, job: &RunningJob) {
    leases::release(desk, job.id()).await;
    desk.jobs.remove(job.id());
    let Some(handover) = &desk.ports.handover else { return };
    if let Err(error) = handover.hand_over(job.id()).await {
        tracing::warn!(job = %job.id(), %error, cause = error.cause, "the job waits for the next sweep");
    }
}

/// Reads a job's journal until the job has ended.
pub async fn follow(desk: &Desk, job: JobId) -> Result<Arc<JobResult>> {
    let mut pause = FIRST_LOOK;
    loop {
        let status = desk.ports.records.status(job).await?;
        match status.status {
            JobState::Completed => {
                let response = desk.ports.records.final_response(job).await?.ok_or_else(|| {
                    Error::new(ErrorKind::NotFound, format!("the result of job {job} is gone"))
                })?;
                return Ok(Arc::new(JobResult::Completed(Box::new(response))));
            }
            JobState::Failed | JobState::Cancelled => {
                return Ok(Arc::new(JobResult::Ended(Box::new(status))));
            }
            _ => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// Works on a job until it ends; `None` where another instance has it, or it has ended.
pub async fn carry(
    desk: &Desk,
    validation: &ActorRef<ValidationActor>,
    job: JobId,
) -> Result<Option<Arc<JobResult>>> {
    // Told twice at once, or of a job that has ended meanwhile.
    let ended = match desk.ports.records.status(job).await {
        Ok(status) => status.status.is_final(),
        Err(error) if error.kind == ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    // One that has ended and is still marked waits for being put away.
    if desk.jobs.get(job).is_some() || ended && !desk.ports.records.active().await?.contains(&job) {
        return Ok(None);
    }
    let Some(cause) = leases::take_over(desk, job).await? else { return Ok(None) };
    let taken_up = validation.ask(Resume(job, cause)).await.map_err(|_| stopped())?;
    let Some(mut result) = taken_up else { return Ok(None) };
    // The sender goes with the job where another instance was quicker.
    let ended = result.wait_for(|r| r.is_some()).await.ok().and_then(|r| r.clone());
    Ok(ended)
}
