//! The job manager actor: which jobs run now, which wait, and who is told when one has run.
//!
//! | message | from | changes | answers |
//! |---|---|---|---|
//! | [`Run`] | validation, and a wait after a failure | queues the job; starts it when a place is free | nothing |
//! | [`Stopped`] | the job's own task | frees its place; hands the job on, has it wait, or leaves it | nothing |
//! | [`Cancel`] | gateway, command line | stops the job; ends it at once where nobody works on it | nothing |
//! | [`Drain`] | the end of the process | lets go of the jobs that wait | nothing |

mod comparison;
mod delegated;
mod stages;
mod work;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use caudal_core::{JobId, Result};
use kameo::actor::{Actor, ActorRef};
use kameo::error::Infallible;
use kameo::message::{Context, Message};

use self::work::Outcome;
use crate::analysis::{AnalysisActor, Analyze};
use crate::counters::Room;
use crate::drain::let_go;
use crate::orchestrator::Desk;
use crate::response::{End, ResponseActor};
use crate::running::{Holder, RunningJob, Stop};
use crate::supervisor::{later, leave};

pub struct Run(pub JobId);

pub struct Cancel(pub JobId);

pub struct Drain;

/// Every message about a job once more, as one that is delivered twice.
pub struct Echo(pub JobId);

/// A job's stages came to an end, good or bad.
pub struct Stopped(JobId, Outcome);

/// How often in a row an instance may have fallen silent over a job before it runs alone, so that no other job is
/// suspected with it.
const DEATHS_IN_COMPANY: u32 = 2;

pub struct JobManagerActor {
    desk: Arc<Desk>,
    analysis: ActorRef<AnalysisActor>,
    response: ActorRef<ResponseActor>,
    waiting: VecDeque<JobId>,
    running: BTreeSet<JobId>,
    /// Whether the one that runs must have no company.
    alone: bool,
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
        let (running, alone) = (BTreeSet::new(), false);
        let mut manager = JobManagerActor { desk, analysis, response, waiting, running, alone };
        manager.fill(&me).await;
        Ok(manager)
    }
}

impl Message<Run> for JobManagerActor {
    type Reply = ();

    async fn handle(&mut self, Run(job): Run, ctx: &mut Context<Self, Self::Reply>) {
        self.desk.hear(Room::JobManager);
        self.enqueue(job);
        self.fill(ctx.actor_ref()).await;
    }
}

impl Message<Cancel> for JobManagerActor {
    type Reply = ();

    async fn handle(&mut self, Cancel(id): Cancel, ctx: &mut Context<Self, Self::Reply>) {
        self.desk.hear(Room::JobManager);
        let Some(job) = self.desk.jobs.get(id) else { return };
        job.stop(Stop::Cancelled);
        if job.holder() == Holder::JobManager && !self.running.contains(&id) {
            // It waits, for a place or after a failure: its turn, in which nothing is done, is now.
            self.waiting.retain(|waiting| *waiting != id);
            self.start(id, job, ctx.actor_ref());
        }
    }
}

impl Message<Drain> for JobManagerActor {
    type Reply = ();

    async fn handle(&mut self, _: Drain, _: &mut Context<Self, Self::Reply>) {
        self.desk.hear(Room::JobManager);
        let held = self.desk.jobs.held_by(Holder::JobManager);
        for id in held.into_iter().filter(|id| !self.running.contains(id)) {
            let_go(&self.desk, id).await;
        }
        self.waiting.clear();
    }
}

impl Message<Echo> for JobManagerActor {
    type Reply = ();

    async fn handle(&mut self, Echo(id): Echo, ctx: &mut Context<Self, Self::Reply>) {
        // Sent side by side, as messages from elsewhere are: this mailbox may be full.
        let (me, analysis, response) =
            (ctx.actor_ref().clone(), self.analysis.clone(), self.response.clone());
        tokio::spawn(async move {
            let _ = me.tell(Run(id)).await;
            let _ = analysis.tell(Analyze(id)).await;
            let _ = response.tell(End(id)).await;
        });
    }
}

impl Message<Stopped> for JobManagerActor {
    type Reply = ();

    async fn handle(&mut self, Stopped(id, outcome): Stopped, ctx: &mut Context<Self, Self::Reply>) {
        self.desk.hear(Room::JobManager);
        self.running.remove(&id);
        if let Some(job) = self.desk.jobs.get(id).filter(|job| job.holder() == Holder::JobManager) {
            self.hand_on(&job, outcome, ctx.actor_ref()).await;
        }
        self.fill(ctx.actor_ref()).await;
    }
}

impl JobManagerActor {
    fn enqueue(&mut self, id: JobId) {
        let is_held = self.desk.jobs.get(id).is_some_and(|job| job.holder() == Holder::JobManager);
        if is_held && !self.waiting.contains(&id) && !self.running.contains(&id) {
            self.waiting.push_back(id);
        }
    }

    /// Starts waiting jobs while there are places.
    async fn fill(&mut self, me: &ActorRef<Self>) {
        self.alone &= !self.running.is_empty();
        while self.running.len() < self.desk.options.running_jobs && !self.alone {
            let Some(id) = self.waiting.front().copied() else { return };
            let Some(job) = self.desk.jobs.get(id) else {
                self.waiting.pop_front();
                continue;
            };
            if self.desk.is_closing() {
                self.waiting.pop_front();
                let_go(&self.desk, id).await;
                continue;
            }
            if job.abandonments().await >= DEATHS_IN_COMPANY {
                job.seclude();
            }
            if job.is_alone() {
                if !self.running.is_empty() {
                    return;
                }
                self.alone = true;
            }
            self.waiting.pop_front();
            self.start(id, job, me);
        }
    }

    fn start(&mut self, id: JobId, job: Arc<RunningJob>, me: &ActorRef<Self>) {
        self.running.insert(id);
        let (desk, me) = (self.desk.clone(), me.clone());
        tokio::spawn(async move {
            let outcome = work::run(desk, job).await;
            // Refused only when the process stops: the journal keeps the job.
            let _ = me.tell(Stopped(id, outcome)).await;
        });
    }

    async fn hand_on(&mut self, job: &Arc<RunningJob>, outcome: Outcome, me: &ActorRef<Self>) {
        // The next actor's mailbox outlives it, so telling fails only when the process stops; the
        // journal then keeps the job for the next start.
        match outcome {
            Outcome::Done => {
                job.hand_to(Holder::Analysis);
                let _ = self.analysis.tell(Analyze(job.id())).await;
            }
            Outcome::Again(_) if self.desk.is_closing() => let_go(&self.desk, job.id()).await,
            Outcome::Again(wait) => later(wait, me.clone(), Run(job.id())),
            Outcome::Left if self.desk.is_closing() => let_go(&self.desk, job.id()).await,
            Outcome::Left => leave(&self.desk, job.id()),
            Outcome::Failed(error) => {
                job.findings().error = Some(*error);
                job.hand_to(Holder::Response);
                let _ = self.response.tell(End(job.id())).await;
            }
        }
    }
}
