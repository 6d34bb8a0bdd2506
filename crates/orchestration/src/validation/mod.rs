//! The validation actor: every fault of a request at once; a good one is stored and queued.
//!
//! | message | from | changes | answers |
//! |---|---|---|---|
//! | [`Submit`] | gateway, command line | stores the request, journals `queued`, hands the job on | a [`JobHandle`], or what is wrong |
//! | [`Resume`] | whoever has its lease | takes an unfinished job up from its journal | what to wait for its end with |

pub mod body;
mod data;
pub mod settings;

use std::sync::Arc;

use caudal_core::claims::Claim;
use caudal_core::job::JobRecord;
use caudal_core::journal::JournalState;
use caudal_core::request::{InlineTable, JobRequest};
use caudal_core::webhooks::Webhooks;
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use kameo::actor::{Actor, ActorRef};
use kameo::error::Infallible;
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use tokio::sync::watch;

use crate::job_manager::{JobManagerActor, Run};
use crate::orchestrator::{Desk, JobHandle, JobResult, Submission, SubmissionBody, stopped};
use crate::running::{Holder, RunningJob};
use crate::{handover, leases, response};

/// Bodies below this size are parsed on the spot; larger ones on a thread of their own.
const SMALL_BODY: usize = 64 * 1024;

/// Takes a request in; as the job that a claim names, where there is one.
pub struct Submit {
    pub submission: Submission,
    pub claim: Option<Claim>,
}

/// Tells when a job has ended.
pub type Waiting = watch::Receiver<Option<Arc<JobResult>>>;

/// Takes an unfinished job up again.
pub struct Resume(pub JobId);

/// Keeps nothing of its own: a job that it has not queued yet was not promised to anybody.
pub struct ValidationActor {
    desk: Arc<Desk>,
    job_manager: ActorRef<JobManagerActor>,
}

impl Actor for ValidationActor {
    type Args = (Arc<Desk>, ActorRef<JobManagerActor>);
    type Error = Infallible;

    async fn on_start((desk, job_manager): Self::Args, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(ValidationActor { desk, job_manager })
    }
}

impl Message<Submit> for ValidationActor {
    type Reply = DelegatedReply<Result<JobHandle>>;

    /// Requests are validated side by side, each on a task of its own: a large body holds nobody up.
    async fn handle(&mut self, submit: Submit, ctx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (desk, job_manager) = (self.desk.clone(), self.job_manager.clone());
        ctx.spawn(async move { take_in(&desk, &job_manager, submit).await })
    }
}

impl Message<Resume> for ValidationActor {
    type Reply = Option<Waiting>;

    async fn handle(&mut self, Resume(job): Resume, _: &mut Context<Self, Self::Reply>) -> Self::Reply {
        self.resume(job).await.unwrap_or_else(|error| {
            tracing::error!(%job, %error, cause = error.cause, "an unfinished job could not be taken up");
            None
        })
    }
}

impl ValidationActor {
    async fn resume(&self, id: JobId) -> Result<Option<Waiting>> {
        let ports = &self.desk.ports;
        let journal = JournalState::replay(&ports.records.journal(id).await?)?;
        if journal.state.is_none_or(JobState::is_final) {
            // Either nothing was promised yet, or the end was journalled and only its marker is left.
            return self.tidy(id, &journal).await.map(|()| None);
        }
        let record = ports.records.record(id).await?;
        let job = Arc::new(RunningJob::new(record, journal, ports.clock.monotonic()));
        let state = job.state().await;
        // A job that only waited was not attempted yet.
        if state > Some(JobState::Queued) {
            job.begin_attempt().await;
        }
        tracing::info!(job = %id, ?state, "taking up an unfinished job");
        job.hand_to(Holder::JobManager);
        let waiting = job.watch_result();
        self.desk.jobs.admit(job, usize::MAX)?;
        self.job_manager.tell(Run(id)).await.map_err(|_| stopped())?;
        Ok(Some(waiting))
    }

    /// Finishes what a killed process left of a job that has ended, or that never began.
    async fn tidy(&self, id: JobId, journal: &JournalState) -> Result<()> {
        match journal.state {
            None => self.desk.ports.records.discard(id).await,
            Some(_) => {
                let status = self.desk.ports.records.status(id).await?;
                let record = self.desk.ports.records.record(id).await?;
                response::announce(&self.desk, &record, &status).await?;
                self.desk.ports.records.finish(&status).await
            }
        }
    }
}

async fn take_in(
    desk: &Arc<Desk>,
    job_manager: &ActorRef<JobManagerActor>,
    Submit { submission, claim }: Submit,
) -> Result<JobHandle> {
    let ports = &desk.ports;
    let (request, inline) = checked(submission.body, ports.webhooks.clone()).await?;
    if let Some(running) = claim.as_ref().and_then(|claim| desk.jobs.get(claim.job_id)) {
        return Ok(JobHandle::of(&running));
    }
    let record = JobRecord {
        job_id: claim.as_ref().map_or_else(|| ports.ids.job_id(), |claim| claim.job_id),
        owner: submission.owner,
        created_at: claim.map_or_else(|| ports.clock.now(), |claim| claim.claimed_at),
        request,
        inline: inline.is_some(),
    };
    let id = record.job_id;
    let job = Arc::new(RunningJob::new(record, JournalState::default(), ports.clock.monotonic()));
    desk.jobs.admit(job.clone(), desk.options.admitted_jobs)?;
    let queued = queue(desk, &job, inline).await;
    if let Err(error) = queued {
        desk.jobs.remove(id);
        return Err(error);
    }
    let mut handle = JobHandle::of(&job);
    if ports.handover.is_some() {
        handover::hand_over(desk, &job).await;
        handle.elsewhere = Some(desk.clone());
        return Ok(handle);
    }
    job.hand_to(Holder::JobManager);
    job_manager.tell(Run(id)).await.map_err(|_| stopped())?;
    Ok(handle)
}

async fn queue(desk: &Desk, job: &RunningJob, inline: Option<InlineTable>) -> Result<()> {
    // The lease comes first: whoever finds the marker of a job without one takes it for abandoned.
    leases::begin(&desk.ports, job, desk.options.lease).await?;
    desk.ports.records.create(&job.record, inline.as_ref()).await?;
    job.enter(&desk.ports, JobState::Queued, None).await
}

/// Syntax, limits and settings, whatever way the request came.
async fn checked(
    body: SubmissionBody,
    webhooks: Option<Arc<dyn Webhooks>>,
) -> Result<(JobRequest, Option<InlineTable>)> {
    match body {
        SubmissionBody::Json(bytes) if bytes.len() <= SMALL_BODY => body::parse(&bytes, webhooks.as_deref()),
        SubmissionBody::Json(bytes) => {
            let parsed = tokio::task::spawn_blocking(move || body::parse(&bytes, webhooks.as_deref())).await;
            parsed.map_err(|e| Error::new(ErrorKind::Internal, "reading the request failed").cause(e))?
        }
        SubmissionBody::Parsed { request, inline } => {
            let mut faults = caudal_core::Faults::default();
            settings::check(&request, inline.is_some(), webhooks.as_deref(), &mut faults);
            match faults.is_empty() {
                true => Ok((*request, inline)),
                false => Err(Error::from_faults(ErrorKind::InvalidRequest, faults)),
            }
        }
    }
}
