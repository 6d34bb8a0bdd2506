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
use std::time::Duration;

use caudal_core::claims::Claim;
use caudal_core::job::JobRecord;
use caudal_core::journal::{AttemptCause, JournalState};
use caudal_core::request::{InlineTable, JobRequest};
use caudal_core::webhooks::Webhooks;
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use kameo::actor::{Actor, ActorRef};
use kameo::error::Infallible;
use kameo::message::{Context, Message};
use kameo::reply::DelegatedReply;
use tokio::sync::watch;

use crate::counters::Room;
use crate::job_manager::{JobManagerActor, Run};
use crate::orchestrator::{Desk, JobHandle, JobResult, Submission, SubmissionBody, stopped};
use crate::running::{Holder, RunningJob, Stop};
use crate::{foreign, handover, leases};

/// Bodies below this size are parsed on the spot; larger ones on a thread of their own.
const SMALL_BODY: usize = 64 * 1024;

/// Takes a request in; as the job that a claim names, where there is one.
pub struct Submit {
    pub submission: Submission,
    pub claim: Option<Claim>,
}

/// Tells when a job has ended.
pub type Waiting = watch::Receiver<Option<Arc<JobResult>>>;

/// Takes an unfinished job up again, for a reason.
pub struct Resume(pub JobId, pub AttemptCause);

/// How often in a row a job may take its instance down where it stands, before it is parked.
const DEATHS_ALLOWED: u32 = 3;

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
        self.desk.hear(Room::Validation);
        let (desk, job_manager) = (self.desk.clone(), self.job_manager.clone());
        ctx.spawn(async move { take_in(&desk, &job_manager, submit).await })
    }
}

impl Message<Resume> for ValidationActor {
    type Reply = DelegatedReply<Option<Waiting>>;

    /// Side by side as well: the journals of many jobs may have to be read.
    async fn handle(
        &mut self,
        Resume(job, cause): Resume,
        ctx: &mut Context<Self, Self::Reply>,
    ) -> Self::Reply {
        self.desk.hear(Room::Validation);
        let (desk, job_manager) = (self.desk.clone(), self.job_manager.clone());
        ctx.spawn(async move {
            resume(&desk, &job_manager, job, cause).await.unwrap_or_else(|error| {
                tracing::error!(%job, %error, cause = error.cause, "an unfinished job could not be taken up");
                None
            })
        })
    }
}

async fn resume(
    desk: &Desk,
    job_manager: &ActorRef<JobManagerActor>,
    id: JobId,
    cause: AttemptCause,
) -> Result<Option<Waiting>> {
    let ports = &desk.ports;
    if desk.jobs.get(id).is_some() {
        return Ok(None);
    }
    let journal = JournalState::replay(&ports.records.journal(id).await?)?;
    let Some(state) = journal.state.filter(|state| !state.is_final()) else {
        // Either nothing was promised yet, or the end was journalled and only its marker is left.
        return tidy(desk, id, &journal).await.map(|()| None);
    };
    let record = ports.records.record(id).await?;
    let job = Arc::new(RunningJob::new(record, journal, ports.clock.monotonic()));
    if !desk.jobs.admit(job.clone(), usize::MAX, u64::MAX)? {
        return Ok(None);
    }
    let mut admission = Admission { desk, job: id, is_queued: false };
    // A job that only waited was not attempted yet.
    if state > JobState::Queued {
        let cause = match job.was_attempted_by(ports.writer).await {
            true => AttemptCause::HandedOver,
            false => cause,
        };
        match cause {
            AttemptCause::Abandoned => desk.counters.taken_over.add(),
            _ => desk.counters.handed_over.add(),
        }
        job.begin_attempt(ports, cause, None, Duration::ZERO).await?;
    }
    tracing::info!(job = %id, %state, ?cause, "taking up an unfinished job");
    if job.abandonments().await >= DEATHS_ALLOWED {
        desk.counters.parked.add();
        job.stop(Stop::Failed(Box::new(poisonous(state))));
    }
    admission.is_queued = true;
    job.hand_to(Holder::JobManager);
    job_manager.tell(Run(id)).await.map_err(|_| stopped())?;
    Ok(Some(job.watch_result()))
}

/// Finishes what a killed process left of a job that has ended, or that never began.
async fn tidy(desk: &Desk, id: JobId, journal: &JournalState) -> Result<()> {
    let records = &desk.ports.records;
    if journal.state.is_none() {
        return foreign::never_queued(desk, id).await;
    }
    match records.record(id).await {
        Ok(_) => foreign::put_away(desk, id).await,
        // It was never queued, and whoever cleared it away was cut off.
        Err(error) if error.kind == ErrorKind::NotFound => records.discard(id).await,
        Err(error) => Err(error),
    }
}

/// Why a job is not tried again that its instances did not survive.
fn poisonous(state: JobState) -> Error {
    let detail = format!(
        "the process that worked on the job was gone in the middle of {state} {DEATHS_ALLOWED} times in a row; the job \
         is parked and not tried again"
    );
    let hint =
        "the logs of the instances in the job's attempts may say what killed them, such as too little memory";
    Error::new(ErrorKind::PoisonousJob, detail).hint(hint)
}

/// A place for a job that is being taken in: free again unless the job was queued.
struct Admission<'a> {
    desk: &'a Desk,
    job: JobId,
    is_queued: bool,
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if !self.is_queued {
            self.desk.jobs.remove(self.job);
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
        return Ok(JobHandle::of(&running, &ports.records));
    }
    // What lies elsewhere is counted once it is read.
    let elements = inline.as_ref().map_or(0, cells);
    let own = match &ports.quotas {
        Some(quotas) => quotas.places(ports, &submission.owner, elements).await?,
        None => u64::MAX,
    };
    let record = JobRecord {
        job_id: claim.as_ref().map_or_else(|| ports.ids.job_id(), |claim| claim.job_id),
        owner: submission.owner,
        created_at: claim.map_or_else(|| ports.clock.now(), |claim| claim.claimed_at),
        request,
        inline: inline.is_some(),
    };
    let id = record.job_id;
    let job = Arc::new(RunningJob::new(record, JournalState::default(), ports.clock.monotonic()));
    let taken = match desk.jobs.admit(job.clone(), desk.options.admitted_jobs, own) {
        Ok(false) => {
            Err(Error::new(ErrorKind::NotFinished, "the job of this key is being taken in just now"))
        }
        Ok(true) => queued(desk, &job, inline).await,
        Err(refused) => Err(refused),
    };
    if let Err(error) = taken {
        if let Some(quotas) = &ports.quotas {
            quotas.give_back(&job.record.owner, elements);
        }
        return Err(error);
    }
    let mut handle = JobHandle::of(&job, &ports.records);
    if ports.handover.is_some() {
        handover::hand_over(desk, &job).await;
        handle.elsewhere = Some(desk.clone());
        return Ok(handle);
    }
    job.hand_to(Holder::JobManager);
    job_manager.tell(Run(id)).await.map_err(|_| stopped())?;
    Ok(handle)
}

/// Rows × columns of numbers that came with a request.
fn cells(table: &InlineTable) -> u64 {
    table.columns.iter().map(|column| column.values.len() as u64).sum()
}

/// Queues a job that has a place; without success the place is free again.
async fn queued(desk: &Desk, job: &RunningJob, inline: Option<InlineTable>) -> Result<()> {
    let mut admission = Admission { desk, job: job.id(), is_queued: false };
    queue(desk, job, inline).await?;
    admission.is_queued = true;
    Ok(())
}

async fn queue(desk: &Desk, job: &RunningJob, inline: Option<InlineTable>) -> Result<()> {
    // The lease comes first: whoever finds the marker of a job without one takes it for abandoned.
    leases::begin(&desk.ports, job, desk.options.lease).await?;
    desk.ports.records.create(&job.record, inline.as_ref()).await?;
    let queued = job.enter(&desk.ports, JobState::Queued, None).await;
    queued.map_err(|error| match error.kind {
        // This instance was silent for so long that another one has cleared the job away.
        ErrorKind::Conflict => {
            Error::new(ErrorKind::Overloaded, "the server was held up while it took the job in")
        }
        _ => error,
    })
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
