//! The job manager actor: which jobs run now, which wait, and who is told when one has run.
//!
//! | message | from | changes | answers |
//! |---|---|---|---|
//! | [`Run`] | validation | queues the job; starts it when a place is free | nothing |
//! | [`Stopped`] | the job's own task | frees its place; hands the job to analysis, or to response if it ends here | nothing |
//! | [`Cancel`] | gateway, command line | sets the job's cancel token | nothing |

mod comparison;
mod delegated;
mod stages;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use caudal_core::{Error, ErrorKind, JobId, Result};
use kameo::actor::{Actor, ActorRef};
use kameo::error::Infallible;
use kameo::message::{Context, Message};

use crate::analysis::{AnalysisActor, Analyze};
use crate::orchestrator::Desk;
use crate::response::{End, ResponseActor};
use crate::running::{Holder, RunningJob};

pub struct Run(pub JobId);

pub struct Cancel(pub JobId);

/// A job's stages came to an end, good or bad.
struct Stopped(JobId, Result<()>);

pub struct JobManagerActor {
    desk: Arc<Desk>,
    analysis: ActorRef<AnalysisActor>,
    response: ActorRef<ResponseActor>,
    waiting: VecDeque<JobId>,
    running: HashSet<JobId>,
}

impl Actor for JobManagerActor {
    type Args = (Arc<Desk>, ActorRef<AnalysisActor>, ActorRef<ResponseActor>);
    type Error = Infallible;

    /// After a fall every job in hand is queued again; a stage that runs twice leaves the same objects.
    async fn on_start(
        (desk, analysis, response): Self::Args,
        me: ActorRef<Self>,
    ) -> Result<Self, Infallible> {
        let waiting = desk.jobs.held_by(Holder::JobManager).into();
        let mut manager = JobManagerActor { desk, analysis, response, waiting, running: HashSet::new() };
        manager.fill(&me);
        Ok(manager)
    }
}

impl Message<Run> for JobManagerActor {
    type Reply = ();

    async fn handle(&mut self, Run(job): Run, ctx: &mut Context<Self, Self::Reply>) {
        if !self.waiting.contains(&job) && !self.running.contains(&job) {
            self.waiting.push_back(job);
        }
        self.fill(ctx.actor_ref());
    }
}

impl Message<Cancel> for JobManagerActor {
    type Reply = ();

    async fn handle(&mut self, Cancel(job): Cancel, _: &mut Context<Self, Self::Reply>) {
        if let Some(running) = self.desk.jobs.get(job) {
            running.cancel.cancel();
        }
    }
}

impl Message<Stopped> for JobManagerActor {
    type Reply = ();

    async fn handle(&mut self, Stopped(id, outcome): Stopped, ctx: &mut Context<Self, Self::Reply>) {
        self.running.remove(&id);
        if let Some(job) = self.desk.jobs.get(id).filter(|job| job.holder() == Holder::JobManager) {
            self.hand_on(&job, outcome).await;
        }
        self.fill(ctx.actor_ref());
    }
}

impl JobManagerActor {
    /// Starts waiting jobs while there are places.
    fn fill(&mut self, me: &ActorRef<Self>) {
        while self.running.len() < self.desk.options.running_jobs {
            let Some(id) = self.waiting.pop_front() else { return };
            let Some(job) = self.desk.jobs.get(id) else { continue };
            self.running.insert(id);
            tokio::spawn(work(self.desk.clone(), job, me.clone()));
        }
    }

    async fn hand_on(&self, job: &Arc<RunningJob>, outcome: Result<()>) {
        // The next actor's mailbox outlives it, so telling fails only when the process stops; the
        // journal then keeps the job for the next start.
        match outcome {
            Ok(()) => {
                job.hand_to(Holder::Analysis);
                let _ = self.analysis.tell(Analyze(job.id())).await;
            }
            Err(error) if error.kind == ErrorKind::Conflict => {
                tracing::warn!(job = %job.id(), %error, "leaving the job to another instance");
                self.desk.ports.sources.release(job.id());
                self.desk.jobs.remove(job.id());
            }
            Err(error) => {
                job.findings().error = Some(error);
                job.hand_to(Holder::Response);
                let _ = self.response.tell(End(job.id())).await;
            }
        }
    }
}

/// Runs a job's stages on a task of its own, so that a panic in one is that job's failure only.
async fn work(desk: Arc<Desk>, job: Arc<RunningJob>, manager: ActorRef<JobManagerActor>) {
    let id = job.id();
    let task = tokio::spawn(async move { stages::run(&desk, &job).await });
    let outcome = task.await.unwrap_or_else(|panic| {
        let detail = "a stage of the job came to an unexpected stop; this is a fault of Caudal";
        Err(Error::new(ErrorKind::Internal, detail).cause(panic).of_job(id))
    });
    // Refused only when the process stops: the journal keeps the job.
    let _ = manager.tell(Stopped(id, outcome)).await;
}
