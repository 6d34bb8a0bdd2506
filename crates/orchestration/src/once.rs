//! Requests with an idempotency key: however often one comes, and however many come at once, there is one job.

use std::time::Duration;

use caudal_core::claims::{Claim, Claimed};
use caudal_core::{Error, ErrorKind, Result};
use chrono::TimeDelta;

use crate::orchestrator::{JobHandle, Orchestrator, Submission};

/// A key that a client has given to its request.
#[derive(Clone, Debug)]
pub struct Once {
    pub key: String,
    /// Of the request; another request has another one.
    pub fingerprint: String,
}

/// A job that was asked for with a key.
pub struct OnceHandle {
    pub job: JobHandle,
    /// Whether an earlier request made it.
    pub repeated: bool,
}

/// Between two looks for the job of a request that is being taken in: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(200);

/// How long a request waits until the first one with its key has been taken in.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a key is kept: the contract promises a day.
const KEPT: TimeDelta = TimeDelta::hours(48);

/// When a claim without a job was left by a process that is gone: its request is taken in by whoever comes with it again.
const LEFT: TimeDelta = TimeDelta::seconds(30);

/// Takes a request in unless that was done with its key before.
///
/// # Errors
/// `Conflict` where the key was given to another request, `NotFinished` where that one is still being taken in, and what
/// submitting a job can say.
pub async fn submit(orchestrator: &Orchestrator, submission: Submission, once: &Once) -> Result<OnceHandle> {
    let ports = &orchestrator.desk().ports;
    let owner = submission.owner.clone();
    let now = ports.clock.now();
    let claim = Claim {
        job_id: ports.ids.job_id(),
        fingerprint: once.fingerprint.clone(),
        claimed_at: now,
        expires_at: now + KEPT,
    };
    let begun = ports.clock.monotonic();
    let mut pause = FIRST_LOOK;
    loop {
        let earlier = match ports.claims.claim(&owner, &once.key, &claim).await? {
            Claimed::Mine => return take_in(orchestrator, submission, once, claim).await,
            Claimed::Earlier(earlier) => earlier,
        };
        if earlier.fingerprint != once.fingerprint {
            let detail = "this Idempotency-Key was given to another request";
            return Err(Error::new(ErrorKind::Conflict, detail).hint("give every request a key of its own"));
        }
        match orchestrator.handle(&owner, earlier.job_id).await {
            Ok(job) => return Ok(OnceHandle { job, repeated: true }),
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if ports.clock.now() - earlier.claimed_at > LEFT {
            return take_in(orchestrator, submission, once, earlier).await;
        }
        if ports.clock.monotonic().saturating_sub(begun) > PATIENCE {
            let detail = "the first request with this Idempotency-Key is still being taken in";
            return Err(Error::new(ErrorKind::NotFinished, detail).hint("try again in a moment"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

async fn take_in(
    orchestrator: &Orchestrator,
    submission: Submission,
    once: &Once,
    claim: Claim,
) -> Result<OnceHandle> {
    let (owner, id) = (submission.owner.clone(), claim.job_id);
    match orchestrator.submit_claimed(submission, claim).await {
        Ok(job) => Ok(OnceHandle { job, repeated: false }),
        // Two took the same claim up, and the journal has decided.
        Err(error) if error.kind == ErrorKind::Conflict => {
            Ok(OnceHandle { job: orchestrator.handle(&owner, id).await?, repeated: true })
        }
        // The job may have been queued, and its confirmation lost: whoever comes again looks for it.
        Err(error) if error.kind == ErrorKind::StorageUnavailable => Err(error),
        Err(error) => {
            if let Err(stays) = orchestrator.desk().ports.claims.release(&owner, &once.key).await {
                tracing::warn!(%stays, cause = stays.cause, "an idempotency key could not be given back");
            }
            Err(error)
        }
    }
}
