//! The end of an instance in good order: what runs may end, and what is left is let go.

use std::time::Duration;

use caudal_core::JobId;

use crate::leases;
use crate::orchestrator::Desk;
use crate::running::Stop;

/// Between two looks whether everything has ended.
const LOOK: Duration = Duration::from_millis(20);

/// How long work may take to notice that it is to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Waits for the jobs in hand to end, so long at most, and lets go of the others.
pub async fn drain(desk: &Desk, limit: Duration) {
    // The job manager lets go of those that wait, and of those that reach it now.
    if !emptied(desk, limit).await {
        desk.jobs.all().iter().for_each(|job| job.stop(Stop::Left));
        emptied(desk, GRACE).await;
    }
    for job in desk.jobs.all() {
        let_go(desk, job.id()).await;
    }
}

async fn emptied(desk: &Desk, limit: Duration) -> bool {
    let all_ended = async {
        while !desk.jobs.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(limit, all_ended).await.is_ok()
}

/// Leaves a job to whoever takes it up next. Clients that wait for it are told where to look.
pub async fn let_go(desk: &Desk, job: JobId) {
    desk.ports.sources.release(job);
    desk.jobs.remove(job);
    leases::release(desk, job).await;
}
