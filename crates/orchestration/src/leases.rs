//! Leases: this instance says which jobs it works on, and takes over those that nobody has renewed.
//!
//! A lease only spares work: two instances that both believe to have a job are told apart by its journal, of which
//! each entry has one owner.

use std::sync::Arc;
use std::time::Duration;

use caudal_core::journal::Lease;
use caudal_core::{JobId, Result};
use kameo::actor::ActorRef;

use crate::orchestrator::{Desk, Ports};
use crate::running::RunningJob;
use crate::validation::{Resume, ValidationActor};

/// Renewals of a lease before it lapses.
const RENEWALS: u32 = 3;

/// Takes the first lease of a job that is being taken in.
pub async fn begin(ports: &Ports, job: &RunningJob, length: Duration) -> Result<()> {
    ports.records.put_lease(job.id(), 0, &lease(ports, length)).await.map(drop)
}

/// The unfinished jobs whose lease has lapsed.
pub async fn abandoned(desk: &Desk) -> Result<Vec<JobId>> {
    let mut found = Vec::new();
    for job in desk.ports.records.active().await? {
        let lease = desk.ports.records.lease(job).await?;
        if lease.is_none_or(|(_, held)| held.until <= desk.ports.clock.now()) {
            found.push(job);
        }
    }
    Ok(found)
}

/// Takes a lease where nobody holds one; false where somebody does, or was quicker.
pub async fn take_over(ports: &Ports, job: JobId, length: Duration) -> Result<bool> {
    let next = match ports.records.lease(job).await? {
        Some((_, held)) if held.until > ports.clock.now() => return Ok(false),
        Some((number, _)) => number + 1,
        None => 0,
    };
    ports.records.put_lease(job, next, &lease(ports, length)).await
}

fn lease(ports: &Ports, length: Duration) -> Lease {
    Lease { writer: ports.writer, until: ports.clock.now() + length }
}

/// Renews the leases of all running jobs, and looks for abandoned ones where that was asked for, until the process
/// stops.
pub async fn keep(desk: Arc<Desk>, validation: ActorRef<ValidationActor>) {
    loop {
        tokio::time::sleep(desk.options.lease / RENEWALS).await;
        renew(&desk, desk.options.lease).await;
        if let Some(quotas) = &desk.ports.quotas {
            quotas.tell(&desk.ports, &desk.jobs).await;
        }
        if desk.options.takes_over
            && let Err(error) = adopt(&desk, &validation).await
        {
            tracing::warn!(%error, cause = error.cause, "abandoned jobs could not be looked for");
        }
    }
}

/// Takes up every unfinished job that nobody works on.
pub async fn adopt(desk: &Desk, validation: &ActorRef<ValidationActor>) -> Result<()> {
    for job in desk.ports.records.active().await? {
        if desk.jobs.get(job).is_none() && take_over(&desk.ports, job, desk.options.lease).await? {
            // Refused only when the process stops: the lease lapses and somebody else takes the job.
            let _ = validation.tell(Resume(job)).await;
        }
    }
    Ok(())
}

/// Lets go of all running jobs, so that another instance need not wait for their leases to lapse.
pub async fn release(desk: &Desk) {
    renew(desk, Duration::ZERO).await;
}

async fn renew(desk: &Desk, length: Duration) {
    for job in desk.jobs.all() {
        renew_one(desk, &job, length).await;
    }
}

/// Renews the lease of one job, or lets it go where the length is zero.
pub async fn renew_one(desk: &Desk, job: &RunningJob, length: Duration) {
    let leased = job.lease().await;
    if !*leased {
        return;
    }
    let held = desk.ports.records.lease(job.id()).await;
    let renewed = match held {
        Ok(Some((number, held))) if held.writer == desk.ports.writer => {
            let lease = lease(&desk.ports, length);
            desk.ports.records.put_lease(job.id(), number + 1, &lease).await.map(drop)
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = renewed {
        tracing::warn!(job = %job.id(), %error, cause = error.cause, "a lease could not be renewed");
    }
}
