//! The handle to the running actors: what the gateway and the command line call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use caudal_core::claims::{Claim, Claims};
use caudal_core::job::{JobPage, JobRecord, JobStatus, Progress};
use caudal_core::journal::AttemptCause;
use caudal_core::ports::{
    Clock, Handover, Ids, JobQuery, JobRecords, Normalizer, Pipeline, Planner, Sources,
};
use caudal_core::request::{InlineTable, JobRequest};
use caudal_core::results::FinalResponse;
use caudal_core::spark::SparkEngine;
use caudal_core::webhooks::Webhooks;
use caudal_core::{Error, ErrorKind, Faults, JobId, JobState, PriceList, Result};
use chrono::{DateTime, Utc};
use kameo::actor::{ActorRef, Spawn};
use kameo::error::SendError;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::counters::{Counters, Figure, Occupancy, Room};
use crate::job_manager::{Cancel, Drain, JobManagerActor};
use crate::leases::{self, Watch};
use crate::once::{self, Once, OnceHandle};
use crate::quotas::Quotas;
use crate::retry::{Dice, RetryPolicy};
use crate::running::{RunningJob, RunningJobs, Stop};
use crate::supervisor::Supervisor;
use crate::validation::{Submit, ValidationActor, settings};
use crate::{drain, foreign, handover};

/// Everything outside that the actors call.
#[derive(Clone)]
pub struct Ports {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub records: Arc<dyn JobRecords>,
    pub claims: Arc<dyn Claims>,
    pub sources: Arc<dyn Sources>,
    pub planner: Arc<dyn Planner>,
    pub normalizer: Arc<dyn Normalizer>,
    pub pipelines: Vec<Arc<dyn Pipeline>>,
    /// Where the build can submit to Apache Spark.
    pub spark: Option<Arc<dyn SparkEngine>>,
    /// Where this instance can tell a client's own server of a job's end.
    pub webhooks: Option<Arc<dyn Webhooks>>,
    /// Where this instance takes jobs in and others work on them.
    pub handover: Option<Arc<dyn Handover>>,
    /// What jitter is drawn from.
    pub dice: Arc<Dice>,
    /// Where owners may have only so much.
    pub quotas: Option<Arc<Quotas>>,
    /// This instance, as it signs journal entries.
    pub writer: uuid::Uuid,
}

#[derive(Clone, Debug)]
pub struct OrchestratorOptions {
    /// Messages that wait for an actor; a full mailbox is told to the client.
    pub mailbox_size: usize,
    /// Jobs whose stages run at the same time.
    pub running_jobs: usize,
    /// Jobs that are queued or running.
    pub admitted_jobs: usize,
    /// How long an instance may give no sign of life before another one takes its jobs over.
    pub lease: Duration,
    pub retry: RetryPolicy,
    /// How long one stage of a job may take.
    pub stage_deadline: Option<Duration>,
    /// How long a job may take in all, where it does not ask for less.
    pub job_deadline: Option<Duration>,
    /// Whether this instance takes over what others have left.
    pub takes_over: bool,
    /// Processor cores of this host, for the cost estimate.
    pub cores: usize,
    pub prices: PriceList,
}

/// What the four actors share.
pub struct Desk {
    pub ports: Ports,
    pub options: OrchestratorOptions,
    pub jobs: RunningJobs,
    pub counters: Counters,
    closing: AtomicBool,
}

impl Desk {
    pub fn new(ports: Ports, options: OrchestratorOptions) -> Desk {
        let (jobs, counters) = (RunningJobs::default(), Counters::default());
        Desk { ports, options, jobs, counters, closing: AtomicBool::new(false) }
    }

    /// Notes that an actor begins to handle a message.
    pub fn hear(&self, room: Room) {
        self.counters.message(room, self.ports.clock.monotonic());
    }

    /// Whether no more jobs are taken in or begun.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }
}

/// A job that is being asked for.
pub struct Submission {
    pub owner: String,
    pub body: SubmissionBody,
}

pub enum SubmissionBody {
    /// The contract's JSON, not yet looked at.
    Json(Bytes),
    /// Settings that the caller has built itself.
    Parsed { request: Box<JobRequest>, inline: Option<InlineTable> },
}

/// How a job ended.
#[derive(Clone, Debug)]
pub enum JobResult {
    Completed(Box<FinalResponse>),
    /// Failed or cancelled.
    Ended(Box<JobStatus>),
}

/// The running actors. Cheap to clone.
#[derive(Clone)]
pub struct Orchestrator {
    desk: Arc<Desk>,
    validation: ActorRef<ValidationActor>,
    job_manager: ActorRef<JobManagerActor>,
    supervisor: ActorRef<Supervisor>,
    keeper: AbortHandle,
}

/// How long a job that is to be taken away may take to be put away first.
const PUTTING_AWAY: Duration = Duration::from_secs(3);

impl Orchestrator {
    /// Starts the actors and, where that is asked for, takes up the unfinished jobs that nobody works on.
    ///
    /// # Errors
    /// [`ErrorKind::StorageUnavailable`] when the bucket does not answer.
    pub async fn start(ports: Ports, options: OrchestratorOptions) -> Result<Orchestrator> {
        ports.records.ready().await?;
        let desk = Arc::new(Desk::new(ports, options));
        leases::announce(&desk).await?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let supervisor = Supervisor::spawn((desk.clone(), sender));
        let (validation, job_manager) = receiver.await.map_err(|_| stopped())?;
        let mut watch = Watch::default();
        if desk.options.takes_over {
            watch.adopt(&desk, &validation).await?;
        }
        let keeper = tokio::spawn(leases::keep_on(desk.clone(), validation.clone(), watch));
        let keeper = keeper.abort_handle();
        Ok(Orchestrator { desk, validation, job_manager, supervisor, keeper })
    }

    /// Validates a request, stores it and journals `queued`.
    ///
    /// # Errors
    /// `MalformedRequest`, `InvalidRequest`, `TooLarge`, `UnavailableEngine` for what the client must
    /// change; `Overloaded`, `StorageUnavailable` for what may pass.
    pub async fn submit(&self, submission: Submission) -> Result<JobHandle> {
        self.ask_for(Submit { submission, claim: None }).await
    }

    /// Like [`submit`](Self::submit), unless a request with the same key was taken in before: then the job is that one's.
    ///
    /// # Errors
    /// As there; `Conflict` where the key was given to another request, `NotFinished` where the first one is still being
    /// taken in.
    pub async fn submit_once(&self, submission: Submission, once: &Once) -> Result<OnceHandle> {
        once::submit(self, submission, once).await
    }

    /// Takes a request in as the job that its claim names.
    pub(crate) async fn submit_claimed(&self, submission: Submission, claim: Claim) -> Result<JobHandle> {
        self.ask_for(Submit { submission, claim: Some(claim) }).await
    }

    pub(crate) fn desk(&self) -> &Desk {
        &self.desk
    }

    async fn ask_for(&self, submit: Submit) -> Result<JobHandle> {
        if self.desk.is_closing() {
            return Err(stopped());
        }
        let answer = match self.validation.ask(submit).try_send().await {
            Ok(handle) => Ok(handle),
            Err(SendError::HandlerError(error)) => Err(error),
            Err(SendError::MailboxFull(_)) => {
                Err(Error::new(ErrorKind::Overloaded, "too many requests are being validated at this moment"))
            }
            Err(_) => Err(stopped()),
        };
        let counters = &self.desk.counters;
        if answer.is_ok() {
            counters.accepted.add()
        } else {
            counters.refused.add()
        }
        answer
    }

    /// A job of this owner; another owner's is not found.
    pub async fn status(&self, owner: &str, job: JobId) -> Result<JobStatus> {
        let status = match self.desk.jobs.get(job) {
            Some(running) => running.visible_status().await,
            None => self.desk.ports.records.status(job).await?,
        };
        match status.owner == owner {
            true => Ok(status),
            false => Err(Error::new(ErrorKind::NotFound, format!("there is no job {job}"))),
        }
    }

    /// Something to wait with for the end of a job that was taken in before.
    ///
    /// # Errors
    /// `NotFound` where there is no such job of this owner.
    pub async fn handle(&self, owner: &str, job: JobId) -> Result<JobHandle> {
        if let Some(running) = self.desk.jobs.get(job) {
            // One that is not in the journal yet may still come to nothing.
            return match running.record.owner == owner && running.state().await.is_some() {
                true => Ok(JobHandle::of(&running, &self.desk.ports.records)),
                false => Err(Error::new(ErrorKind::NotFound, format!("there is no job {job}"))),
            };
        }
        let status = self.status(owner, job).await?;
        let fraction = if status.status.is_final() { 1.0 } else { 0.0 };
        let state = status.status;
        let progress = Progress { state, step: state.name().into(), done: 0, total: 0, fraction };
        Ok(JobHandle {
            job_id: job,
            progress: watch::channel(progress).1,
            result: watch::channel(None).1,
            record: Arc::new(self.desk.ports.records.record(job).await?),
            records: self.desk.ports.records.clone(),
            elsewhere: Some(self.desk.clone()),
        })
    }

    /// How far a job is, if it runs in this process.
    pub fn progress(&self, job: JobId) -> Option<Progress> {
        self.desk.jobs.get(job).map(|running| running.watch_progress().borrow().clone())
    }

    /// The progress of a job as it changes, if it runs in this process.
    pub fn watch(&self, job: JobId) -> Option<watch::Receiver<Progress>> {
        self.desk.jobs.get(job).map(|running| running.watch_progress())
    }

    /// What is wrong with settings that came without inline numbers.
    pub fn faults_of(&self, request: &JobRequest) -> Faults {
        let mut faults = Faults::default();
        settings::check(request, false, self.desk.ports.webhooks.as_deref(), &mut faults);
        faults
    }

    /// What the clock of this instance says.
    pub fn now(&self) -> DateTime<Utc> {
        self.desk.ports.clock.now()
    }

    pub async fn list(&self, query: JobQuery) -> Result<JobPage> {
        self.desk.ports.records.list(&query).await
    }

    /// How a job ended.
    ///
    /// # Errors
    /// `NotFinished` while it runs, `NotFound` where there is no such job of this owner.
    pub async fn result(&self, owner: &str, job: JobId) -> Result<JobResult> {
        let status = self.status(owner, job).await?;
        match status.status {
            JobState::Completed => match self.desk.ports.records.final_response(job).await? {
                Some(response) => Ok(JobResult::Completed(Box::new(response))),
                None => Err(Error::new(ErrorKind::NotFound, format!("the result of job {job} is gone"))),
            },
            JobState::Failed | JobState::Cancelled => Ok(JobResult::Ended(Box::new(status))),
            state => {
                let detail = format!("job {job} is {state}");
                Err(Error::new(ErrorKind::NotFinished, detail).of_job(job))
            }
        }
    }

    /// Whether a job has ended, whoever carries it.
    ///
    /// # Errors
    /// `NotFound`; `StorageUnavailable` when the bucket does not answer.
    pub async fn has_ended(&self, job: JobId) -> Result<bool> {
        Ok(self.desk.ports.records.status(job).await?.status.is_final())
    }

    /// Asks a job to stop. Where this process works on it, it ends as `cancelled` within a second; anywhere else its
    /// journal says so at once, and whoever works on it stops.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it has finished.
    pub async fn cancel(&self, owner: &str, job: JobId) -> Result<()> {
        let status = self.status(owner, job).await?;
        if status.status.is_final() {
            return Err(Error::new(ErrorKind::Conflict, format!("job {job} is {} already", status.status)));
        }
        match self.desk.jobs.get(job) {
            Some(running) => {
                // Said before it is told: a message can be lost with an actor that falls.
                running.stop(Stop::Cancelled);
                self.job_manager.tell(Cancel(job)).await.map_err(|_| stopped())
            }
            None => foreign::cancel(&self.desk, job).await,
        }
    }

    /// Cancels a job of this owner, or takes it away with all its objects where it has ended.
    ///
    /// # Errors
    /// `NotFound`; `NotFinished` where the end of the job is still being put away after a while; `Conflict` where it ends
    /// at this moment.
    pub async fn remove(&self, owner: &str, job: JobId) -> Result<Removal> {
        let status = self.status(owner, job).await?;
        if !status.status.is_final() {
            self.cancel(owner, job).await?;
            return Ok(Removal::Cancelled(Box::new(self.status(owner, job).await?)));
        }
        let clock = &self.desk.ports.clock;
        let begun = clock.monotonic();
        loop {
            // Its end is told a moment before all of it is put away.
            match self.desk.ports.records.remove(&status).await {
                Err(error)
                    if error.kind == ErrorKind::NotFinished && clock.monotonic() < begun + PUTTING_AWAY =>
                {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                removed => return removed.map(|()| Removal::Removed),
            }
        }
    }

    /// Takes a job up that nobody works on, and works on it until it ends; `None` where another instance has it or it
    /// has ended already.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn carry(&self, job: JobId) -> Result<Option<Arc<JobResult>>> {
        handover::carry(&self.desk, &self.validation, job).await
    }

    /// The unfinished jobs that nobody works on.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn abandoned(&self) -> Result<Vec<JobId>> {
        leases::abandoned(&self.desk).await
    }

    pub async fn ready(&self) -> Result<()> {
        self.desk.ports.records.ready().await
    }

    /// What this process has done and is doing, in numbers.
    pub fn figures(&self) -> Vec<Figure> {
        let options = &self.desk.options;
        let jobs = self.desk.jobs.all();
        self.desk.counters.figures(Occupancy {
            admitted: jobs.len(),
            running: jobs.iter().filter(|job| job.is_begun()).count(),
            admitted_limit: options.admitted_jobs,
            running_limit: options.running_jobs,
        })
    }

    /// Takes no more jobs in, lets those go that wait, and lets those end that run, for so long at most; then lets go of
    /// them too. Nothing is lost: another instance, or the next start, goes on with them.
    pub async fn drain(&self, limit: Duration) {
        self.desk.close();
        // Told in vain only where the actor is gone, and its jobs with it.
        let _ = self.job_manager.tell(Drain).await;
        drain::drain(&self.desk, limit).await;
    }

    /// Stops the actors; jobs that run are left in the journal for another instance or the next start.
    pub async fn shutdown(self) {
        self.drain(Duration::ZERO).await;
        self.keeper.abort();
        // An actor that has stopped already cannot be told to.
        let _ = self.supervisor.stop_gracefully().await;
        self.supervisor.wait_for_shutdown().await;
        // A sign of life that stays is one of an instance that falls silent.
        let _ = self.desk.ports.records.put_beat(self.desk.ports.writer, None).await;
    }

    /// Tells every actor of a job once more, as messages that are delivered twice would.
    #[doc(hidden)]
    pub async fn tell_again(&self, job: JobId) {
        let _ = self.validation.tell(crate::validation::Resume(job, AttemptCause::Abandoned)).await;
        let _ = self.job_manager.tell(crate::job_manager::Echo(job)).await;
    }
}

pub(crate) fn stopped() -> Error {
    Error::new(ErrorKind::Overloaded, "the server is shutting down").hint("try again in a moment")
}

/// What has become of a job that its owner does not want any more.
pub enum Removal {
    /// It was told to stop, and is as far as this says.
    Cancelled(Box<JobStatus>),
    /// Nothing is left of it.
    Removed,
}

/// A job that was taken in.
pub struct JobHandle {
    pub job_id: JobId,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) result: watch::Receiver<Option<Arc<JobResult>>>,
    pub(crate) record: Arc<JobRecord>,
    pub(crate) records: Arc<dyn JobRecords>,
    /// Where another instance works on the job: what reads its journal.
    pub(crate) elsewhere: Option<Arc<Desk>>,
}

impl JobHandle {
    /// Of a job that this process carries.
    pub(crate) fn of(job: &RunningJob, records: &Arc<dyn JobRecords>) -> JobHandle {
        JobHandle {
            job_id: job.id(),
            progress: job.watch_progress(),
            result: job.watch_result(),
            record: job.record.clone(),
            records: records.clone(),
            elsewhere: None,
        }
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Makes sure of the promise that the job will be done, before anybody is given it.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not keep it.
    pub async fn promise(&self) -> Result<()> {
        self.records.keep(&self.record).await.map_err(|error| error.of_job(self.job_id))
    }

    /// Waits for the end. Dropping the future loses nothing.
    ///
    /// # Errors
    /// `Overloaded` when the server shuts down before the job ends; its journal keeps it.
    pub async fn finished(&mut self) -> Result<Arc<JobResult>> {
        if let Some(desk) = &self.elsewhere {
            return handover::follow(desk, self.job_id).await;
        }
        let result = self.result.wait_for(|r| r.is_some()).await.map_err(|_| stopped())?;
        result.clone().ok_or_else(stopped)
    }
}
