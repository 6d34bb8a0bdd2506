//! Starts the four actors and starts them again when they fall.
//!
//! kameo restarts an actor on the same mailbox, so the references that the others hold stay good and
//! what was queued is kept; only the message that was being handled is lost. Each actor therefore
//! begins by taking up every job that it has in hand ([`crate::running::Holder`]).

use std::sync::Arc;
use std::time::Duration;

use caudal_core::JobId;
use kameo::actor::{Actor, ActorRef, Spawn};
use kameo::error::Infallible;
use kameo::mailbox;
use kameo::message::Message;
use kameo::supervision::RestartPolicy;
use tokio::sync::oneshot;

use crate::analysis::AnalysisActor;
use crate::job_manager::JobManagerActor;
use crate::orchestrator::Desk;
use crate::response::ResponseActor;
use crate::validation::ValidationActor;

/// Jobs are given up after three falls, so only a fault of ours brings this many.
const RESTARTS: (u32, Duration) = (100, Duration::from_secs(60));

/// The two actors that are spoken to from outside.
pub type Doors = (ActorRef<ValidationActor>, ActorRef<JobManagerActor>);

/// Tells an actor something after a while. Where it is gone by then, so are its jobs.
pub fn later<A, M>(wait: Duration, actor: ActorRef<A>, message: M)
where
    A: Actor + Message<M>,
    M: Send + 'static,
{
    tokio::spawn(async move {
        tokio::time::sleep(wait).await;
        let _ = actor.tell(message).await;
    });
}

/// Forgets a job that another instance carries on.
pub fn leave(desk: &Desk, job: JobId) {
    desk.counters.left.add();
    desk.ports.sources.release(job);
    desk.jobs.remove(job);
}

pub struct Supervisor;

impl Actor for Supervisor {
    type Args = (Arc<Desk>, oneshot::Sender<Doors>);
    type Error = Infallible;

    async fn on_start((desk, doors): Self::Args, me: ActorRef<Self>) -> Result<Self, Infallible> {
        let size = desk.options.mailbox_size;
        let response = ResponseActor::supervise(&me, desk.clone())
            .restart_policy(RestartPolicy::Transient)
            .restart_limit(RESTARTS.0, RESTARTS.1)
            .spawn_with_mailbox(mailbox::bounded(size))
            .await;
        let analysis = AnalysisActor::supervise(&me, (desk.clone(), response.clone()))
            .restart_policy(RestartPolicy::Transient)
            .restart_limit(RESTARTS.0, RESTARTS.1)
            .spawn_with_mailbox(mailbox::bounded(size))
            .await;
        let job_manager = JobManagerActor::supervise(&me, (desk.clone(), analysis, response))
            .restart_policy(RestartPolicy::Transient)
            .restart_limit(RESTARTS.0, RESTARTS.1)
            .spawn_with_mailbox(mailbox::bounded(size))
            .await;
        let validation = ValidationActor::supervise(&me, (desk, job_manager.clone()))
            .restart_policy(RestartPolicy::Transient)
            .restart_limit(RESTARTS.0, RESTARTS.1)
            .spawn_with_mailbox(mailbox::bounded(size))
            .await;
        // Nobody waits any more only when the start itself was given up.
        let _ = doors.send((validation, job_manager));
        Ok(Supervisor)
    }
}
