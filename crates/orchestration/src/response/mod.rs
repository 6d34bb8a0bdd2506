//! The response actor: the last state of a job, its final response, and a call to whoever waits.
//!
//! | message | from | changes | answers |
//! |---|---|---|---|
//! | [`End`] | job manager (failed, cancelled), analysis | stores the final response, journals the last state, compacts the job | wakes the waiting clients |

mod recommendations;

use std::sync::Arc;
use std::time::Duration;

use caudal_core::job::{JobRecord, JobStatus};
use caudal_core::results::{DeviceSummary, FinalResponse, ProcessingSummary};
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use kameo::actor::{Actor, ActorRef};
use kameo::error::Infallible;
use kameo::message::{Context, Message};

use crate::counters::Room;
use crate::orchestrator::{Desk, JobResult};
use crate::retry::{self, Next};
use crate::running::{Findings, Holder, RunningJob};
use crate::supervisor::{later, leave};

pub struct End(pub JobId);

pub struct ResponseActor {
    desk: Arc<Desk>,
}

impl Actor for ResponseActor {
    type Args = Arc<Desk>;
    type Error = Infallible;

    async fn on_start(desk: Arc<Desk>, me: ActorRef<Self>) -> Result<Self, Infallible> {
        let in_hand = desk.jobs.held_by(Holder::Response);
        let actor = ResponseActor { desk };
        for id in in_hand {
            actor.take_up_again(id, &me).await;
        }
        Ok(actor)
    }
}

impl Message<End> for ResponseActor {
    type Reply = ();

    async fn handle(&mut self, End(id): End, ctx: &mut Context<Self, Self::Reply>) {
        self.desk.hear(Room::Response);
        let Some(job) = self.desk.jobs.get(id).filter(|job| job.holder() == Holder::Response) else { return };
        let error = job.findings().error.clone();
        let ended = match error {
            Some(error) => self.stop(&job, error).await,
            None => self.complete(&job).await,
        };
        match ended {
            Ok(result) => self.close(job, result),
            Err(error) => self.failed(&job, error, ctx.actor_ref()).await,
        }
    }
}

impl ResponseActor {
    async fn complete(&self, job: &RunningJob) -> Result<JobResult> {
        let ports = &self.desk.ports;
        let response = final_response(&self.desk, job)?;
        // A job has one answer: where an instance before this one has given it, it stays.
        let response = ports.records.put_final(job.id(), response).await?;
        job.enter(ports, JobState::Completed, None).await?;
        Ok(JobResult::Completed(Box::new(response)))
    }

    async fn stop(&self, job: &RunningJob, error: Error) -> Result<JobResult> {
        let state = match error.kind {
            ErrorKind::Cancelled => JobState::Cancelled,
            _ => JobState::Failed,
        };
        tracing::info!(job = %job.id(), %error, cause = error.cause, "the job ends as {state}");
        job.enter(&self.desk.ports, state, Some(error.of_job(job.id()))).await?;
        Ok(JobResult::Ended(Box::new(job.status().await)))
    }

    /// Another try later, another end, or none here.
    async fn failed(&self, job: &Arc<RunningJob>, error: Error, me: &ActorRef<Self>) {
        let was_ending = job.findings().error.is_some();
        match retry::after(&self.desk, job, error).await {
            Next::Again(wait) => later(wait, me.clone(), End(job.id())),
            Next::Leave => leave(&self.desk, job.id()),
            Next::End(error) if was_ending => self.give_up(job, *error).await,
            Next::End(error) => {
                job.findings().error = Some(*error);
                later(Duration::ZERO, me.clone(), End(job.id()));
            }
        }
    }

    /// The bucket takes nothing: the client is told, and the journal keeps the job for whoever takes it up.
    async fn give_up(&self, job: &RunningJob, error: Error) {
        tracing::error!(job = %job.id(), %error, cause = error.cause, "the end of a job could not be stored");
        let mut status = job.status().await;
        status.error = Some(error);
        leave(&self.desk, job.id());
        job.conclude(JobResult::Ended(Box::new(status)));
    }

    /// Has the end survive a loss of power, then wakes whoever waits: jobs that end at the same time share the work.
    fn close(&self, job: Arc<RunningJob>, result: JobResult) {
        let desk = self.desk.clone();
        job.hand_to(Holder::Nobody);
        tokio::spawn(async move {
            let status = job.status().await;
            let (its_desk, its_job, ended) = (desk.clone(), job.clone(), status.clone());
            let finished = tokio::spawn(async move {
                announce(&its_desk, &its_job.record, &ended).await?;
                its_desk.ports.records.finish(&ended).await
            });
            let finished = finished.await;
            let finished = finished.unwrap_or_else(|panic| {
                Err(Error::new(ErrorKind::Internal, "the end of the job was cut short").cause(panic))
            });
            desk.ports.sources.release(job.id());
            desk.jobs.remove(job.id());
            let counters = &desk.counters;
            match status.status {
                JobState::Completed => counters.completed.add(),
                JobState::Cancelled => counters.cancelled.add(),
                _ => counters.failed.add(),
            }
            job.conclude(match finished {
                Ok(()) => result,
                Err(error) => {
                    tracing::error!(job = %job.id(), %error, cause = error.cause, "an end could not be made safe");
                    JobResult::Ended(Box::new(JobStatus { error: Some(error), ..status }))
                }
            });
        });
    }

    /// The message that was being handled when the actor fell is lost; the job is not.
    async fn take_up_again(&self, id: JobId, me: &ActorRef<Self>) {
        let Some(job) = self.desk.jobs.get(id) else { return };
        if !job.may_try_again() {
            let detail = "answering this job fell three times; this is a fault of Caudal";
            let mut status = job.status().await;
            status.error = Some(Error::new(ErrorKind::Internal, detail).of_job(id));
            self.desk.jobs.remove(id);
            job.conclude(JobResult::Ended(Box::new(status)));
            return;
        }
        // A full mailbox still holds this job's message, or one whose handling will find it.
        let _ = me.tell(End(id)).try_send();
    }
}

/// Has the end of a job told where its client asked for that. It comes before the job's marker goes, so that a crash in
/// between is made good by whoever finds the marker.
pub(crate) async fn announce(desk: &Desk, record: &JobRecord, status: &JobStatus) -> Result<()> {
    match (&desk.ports.webhooks, &record.request.webhook_url) {
        (Some(webhooks), Some(url)) => webhooks.announce(status, url).await,
        _ => Ok(()),
    }
}

fn final_response(desk: &Desk, job: &RunningJob) -> Result<FinalResponse> {
    let ports = &desk.ports;
    let findings = job.findings().clone();
    let Findings { source: Some(source), plan: Some(plan), normalization, pipelines, analysis, .. } =
        findings
    else {
        return Err(incomplete());
    };
    let (Some(normalization), Some(pipelines), Some(analysis)) = (normalization, pipelines, analysis) else {
        return Err(incomplete());
    };
    let total = ports.clock.monotonic().saturating_sub(job.arrived).as_secs_f64();
    let mut response = FinalResponse {
        job_id: job.id(),
        status: JobState::Completed,
        timestamp: ports.clock.now(),
        processing_summary: ProcessingSummary {
            total_processing_time: total,
            gpu_processing_time: Some(normalization.processing_time),
            spark_processing_time: crate::analysis::pipelines_time(&pipelines),
            analysis_time: findings.analysis_time,
            queue_time: findings.queue_time,
            data_processed: source.cells(),
            columns: source.columns.len() as u64,
            bytes_read: source.bytes_read,
            gpu_processing: DeviceSummary {
                device: normalization.device.clone(),
                fallback_reason: normalization.fallback_reason.clone(),
            },
            engine: plan.engine.clone(),
            planner: plan.why.clone(),
            skipped_columns: source.skipped.clone(),
        },
        gpu_processing: normalization,
        spark_processing: pipelines,
        performance_metrics: analysis.performance_metrics,
        data_quality: analysis.data_quality,
        cost_analysis: analysis.cost_analysis,
        recommendations: Default::default(),
        s3_paths: ports.records.paths(job.id(), Some(&plan)),
        notes: recommendations::notes(&job.record.request, &source, &plan),
    };
    response.recommendations = recommendations::recommend(&response, &source);
    Ok(response)
}

fn incomplete() -> Error {
    Error::new(ErrorKind::Internal, "the job came to its end without all of its results")
}
