//! The analysis actor: performance, quality and cost of a run, from what its stages found.
//!
//! | message | from | changes | answers |
//! |---|---|---|---|
//! | [`Analyze`] | job manager | journals `analyzing`, stores the analysis, hands the job to response | nothing |

pub mod cost;
mod performance;
pub(crate) use performance::pipelines_time;
mod quality;

use std::sync::Arc;

use caudal_core::results::Analysis;
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use kameo::actor::{Actor, ActorRef};
use kameo::error::Infallible;
use kameo::message::{Context, Message};

use crate::counters::Room;
use crate::orchestrator::Desk;
use crate::response::{End, ResponseActor};
use crate::retry::{self, Next};
use crate::running::{Holder, RunningJob};
use crate::supervisor::{later, leave};

pub struct Analyze(pub JobId);

pub struct AnalysisActor {
    desk: Arc<Desk>,
    response: ActorRef<ResponseActor>,
}

impl Actor for AnalysisActor {
    type Args = (Arc<Desk>, ActorRef<ResponseActor>);
    type Error = Infallible;

    async fn on_start((desk, response): Self::Args, me: ActorRef<Self>) -> Result<Self, Infallible> {
        let in_hand = desk.jobs.held_by(Holder::Analysis);
        let actor = AnalysisActor { desk, response };
        for id in in_hand {
            actor.take_up_again(id, &me).await;
        }
        Ok(actor)
    }
}

impl Message<Analyze> for AnalysisActor {
    type Reply = ();

    async fn handle(&mut self, Analyze(id): Analyze, ctx: &mut Context<Self, Self::Reply>) {
        self.desk.hear(Room::Analysis);
        let Some(job) = self.desk.jobs.get(id).filter(|job| job.holder() == Holder::Analysis) else { return };
        let analyzed = match job.stop_error() {
            Some(error) => Err(error),
            None => analyze(&self.desk, &job).await,
        };
        if let Err(error) = analyzed {
            match retry::after(&self.desk, &job, error).await {
                Next::Again(wait) => return later(wait, ctx.actor_ref().clone(), Analyze(id)),
                Next::Leave => return leave(&self.desk, id),
                Next::End(error) => job.findings().error = Some(*error),
            }
        }
        self.hand_on(&job).await;
    }
}

impl AnalysisActor {
    async fn hand_on(&self, job: &RunningJob) {
        job.hand_to(Holder::Response);
        // Refused only when the process stops: the journal keeps the job.
        let _ = self.response.tell(End(job.id())).await;
    }

    /// The message that was being handled when the actor fell is lost; the job is not.
    async fn take_up_again(&self, id: JobId, me: &ActorRef<Self>) {
        let Some(job) = self.desk.jobs.get(id) else { return };
        if job.may_try_again() {
            // A full mailbox still holds this job's message, or the one behind it will find it.
            let _ = me.tell(Analyze(id)).try_send();
        } else {
            let detail = "the analysis of this job fell three times; this is a fault of Caudal";
            job.findings().error = Some(Error::new(ErrorKind::Internal, detail).of_job(id));
            self.hand_on(&job).await;
        }
    }
}

async fn analyze(desk: &Desk, job: &RunningJob) -> Result<()> {
    let ports = &desk.ports;
    let begun = ports.clock.monotonic();
    job.enter(ports, JobState::Analyzing, None).await?;
    let analysis = {
        let findings = job.findings();
        let (Some(source), Some(normalization), Some(pipelines)) =
            (&findings.source, &findings.normalization, &findings.pipelines)
        else {
            return Err(Error::new(ErrorKind::Internal, "the job came to analysis without its results"));
        };
        Analysis {
            performance_metrics: performance::measure(source, normalization, pipelines),
            data_quality: quality::judge(source, pipelines),
            cost_analysis: cost::analyze(&desk.options, normalization, pipelines),
        }
    };
    ports.records.put_analysis(job.id(), &analysis).await?;
    let mut findings = job.findings();
    findings.analysis = Some(analysis);
    findings.analysis_time = ports.clock.monotonic().saturating_sub(begun).as_secs_f64();
    Ok(())
}
