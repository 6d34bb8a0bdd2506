//! The response actor: the last state of a job, its final response, and a call to whoever waits.
//!
//! | message | from | changes | answers |
//! |---|---|---|---|
//! | [`End`] | job manager (failed, cancelled), analysis | stores the final response, journals the last state, compacts the job | wakes the waiting clients |

mod recommendations;

use std::sync::Arc;

use caudal_core::job::{JobRecord, JobStatus};
use caudal_core::results::{DeviceSummary, FinalResponse, ProcessingSummary};
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use kameo::actor::{Actor, ActorRef};
use kameo::error::Infallible;
use kameo::message::{Context, Message};

use crate::orchestrator::{Desk, JobResult};
use crate::running::{Findings, Holder, RunningJob};

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

    async fn handle(&mut self, End(id): End, _: &mut Context<Self, Self::Reply>) {
        if let Some(job) = self.desk.jobs.get(id) {
            self.end(&job).await;
        }
    }
}

impl ResponseActor {
    async fn end(&self, job: &RunningJob) {
        let error = job.findings().error.clone();
        let ended = match error {
            Some(error) => self.stop(job, error).await,
            None => match self.complete(job).await {
                Ok(result) => Ok(result),
                Err(error) => self.stop(job, error).await,
            },
        };
        let result = match ended {
            Ok(result) => result,
            Err(error) => {
                // The bucket takes nothing: the client is told, and the journal keeps the job for
                // the next start.
                tracing::error!(job = %job.id(), %error, cause = error.cause, "the end of a job could not be stored");
                let mut status = job.status().await;
                status.error = Some(error);
                JobResult::Ended(Box::new(status))
            }
        };
        self.desk.ports.sources.release(job.id());
        self.desk.jobs.remove(job.id());
        job.conclude(result);
    }

    async fn complete(&self, job: &RunningJob) -> Result<JobResult> {
        let ports = &self.desk.ports;
        let response = final_response(&self.desk, job)?;
        ports.records.put_final(job.id(), &response).await?;
        job.enter(ports, JobState::Completed, None).await?;
        let status = job.status().await;
        announce(&self.desk, &job.record, &status).await?;
        job.end_lease().await;
        ports.records.finish(&status).await?;
        Ok(JobResult::Completed(Box::new(response)))
    }

    async fn stop(&self, job: &RunningJob, error: Error) -> Result<JobResult> {
        let ports = &self.desk.ports;
        let state = match error.kind {
            ErrorKind::Cancelled => JobState::Cancelled,
            _ => JobState::Failed,
        };
        tracing::info!(job = %job.id(), %error, cause = error.cause, "the job ends as {state}");
        job.enter(ports, state, Some(error.of_job(job.id()))).await?;
        let status = job.status().await;
        announce(&self.desk, &job.record, &status).await?;
        job.end_lease().await;
        ports.records.finish(&status).await?;
        Ok(JobResult::Ended(Box::new(status)))
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
