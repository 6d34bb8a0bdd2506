//! The jobs that this process carries: what outlives a restarted actor, and nothing that the bucket
//! does not also know or that could not be computed again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use caudal_core::job::{JobRecord, JobStatus, Plan, Progress, SourceDescription};
use caudal_core::journal::{JournalEntry, JournalState, Transition};
use caudal_core::ports::{Appended, CancelToken, ProgressSink, StageInput};
use caudal_core::results::{Analysis, GpuProcessing, SparkProcessing};
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use tokio::sync::watch;

use crate::orchestrator::{JobResult, Ports};

/// Which actor has a job in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Not queued yet: nobody was promised anything.
    Validation,
    JobManager,
    Analysis,
    Response,
}

/// How often a job may take an actor down before it is given up.
const PANICS_ALLOWED: u32 = 3;

/// What the stages have found so far.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub source: Option<SourceDescription>,
    pub plan: Option<Plan>,
    pub normalization: Option<GpuProcessing>,
    pub pipelines: Option<SparkProcessing>,
    pub analysis: Option<Analysis>,
    /// Why the job ends without a result.
    pub error: Option<Error>,
    /// Seconds between `queued` and the first stage.
    pub queue_time: f64,
    pub analysis_time: f64,
}

/// One job in this process.
pub struct RunningJob {
    pub record: Arc<JobRecord>,
    pub cancel: CancelToken,
    /// Monotonic time of the job's arrival in this process.
    pub arrived: Duration,
    pub findings: Mutex<Findings>,
    journal: tokio::sync::Mutex<JournalState>,
    /// Whether the lease is still renewed; locked while it is.
    leased: tokio::sync::Mutex<bool>,
    holder: Mutex<Holder>,
    panics: AtomicU32,
    progress: watch::Sender<Progress>,
    result: watch::Sender<Option<Arc<JobResult>>>,
}

impl RunningJob {
    pub fn new(record: JobRecord, journal: JournalState, arrived: Duration) -> Self {
        let state = journal.state.unwrap_or(JobState::Queued);
        let progress = Progress { state, step: state.name().into(), done: 0, total: 0, fraction: 0.0 };
        RunningJob {
            record: Arc::new(record),
            cancel: CancelToken::default(),
            arrived,
            findings: Mutex::default(),
            journal: tokio::sync::Mutex::new(journal),
            leased: tokio::sync::Mutex::new(true),
            holder: Mutex::new(Holder::Validation),
            panics: AtomicU32::new(0),
            progress: watch::channel(progress).0,
            result: watch::channel(None).0,
        }
    }

    pub fn id(&self) -> JobId {
        self.record.job_id
    }

    pub fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn holder(&self) -> Holder {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn hand_to(&self, holder: Holder) {
        *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = holder;
    }

    /// Counts an actor's fall over this job; false once it has caused too many.
    pub fn may_try_again(&self) -> bool {
        self.panics.fetch_add(1, Ordering::Relaxed) + 1 < PANICS_ALLOWED
    }

    pub fn watch_progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub fn watch_result(&self) -> watch::Receiver<Option<Arc<JobResult>>> {
        self.result.subscribe()
    }

    /// Wakes whoever waits for the job.
    pub fn conclude(&self, result: JobResult) {
        self.result.send_replace(Some(Arc::new(result)));
    }

    /// One attempt at a stage, with a progress sink whose fractions lie between `from` and `to`.
    pub async fn stage_input(self: &Arc<Self>, from: f64, to: f64) -> StageInput {
        let progress = self.progress.clone();
        let report = move |step: &str, done: u64, total: u64| {
            let share = if total == 0 { 0.0 } else { done as f64 / total as f64 };
            progress.send_modify(|p| {
                p.step = step.to_owned();
                (p.done, p.total) = (done, total);
                p.fraction = p.fraction.max(from + (to - from) * share.min(1.0));
            });
        };
        StageInput {
            record: self.record.clone(),
            attempt: self.attempt().await,
            cancel: self.cancel.clone(),
            progress: ProgressSink::new(report),
        }
    }

    async fn attempt(&self) -> u32 {
        self.journal.lock().await.attempt.max(1)
    }

    /// Keeps the lease from being renewed, or ended, while the guard lives; false once it has ended.
    pub async fn lease(&self) -> tokio::sync::MutexGuard<'_, bool> {
        self.leased.lock().await
    }

    /// Waits for a renewal that is under way; there is none after it, so that the leases can be taken away.
    pub async fn end_lease(&self) {
        *self.leased.lock().await = false;
    }

    /// Counts a new attempt, made by this process after another one left the job.
    pub async fn begin_attempt(&self) {
        self.journal.lock().await.attempt += 1;
    }

    pub async fn state(&self) -> Option<JobState> {
        self.journal.lock().await.state
    }

    /// Journals the entry into a state, unless the job is there or beyond already.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] where another instance wrote the next entry: the job is theirs.
    pub async fn enter(&self, ports: &Ports, state: JobState, error: Option<Error>) -> Result<()> {
        self.change(ports, Transition { error, ..Transition::from(state) }).await
    }

    /// Like [`enter`](Self::enter), for a state whose work an engine does as part of its own.
    ///
    /// # Errors
    /// As there.
    pub async fn delegate(&self, ports: &Ports, state: JobState, engine: &str) -> Result<()> {
        self.change(ports, Transition { delegated_to: Some(engine.into()), ..Transition::from(state) }).await
    }

    async fn change(&self, ports: &Ports, transition: Transition) -> Result<()> {
        let state = transition.to;
        let mut journal = self.journal.lock().await;
        if journal.state.is_some_and(|now| now >= state || now.is_final()) {
            return Ok(());
        }
        let entry = JournalEntry {
            entry_id: ports.ids.entry_id(),
            writer: ports.writer,
            attempt: journal.attempt.max(1),
            at: ports.clock.now(),
            transitions: vec![transition],
        };
        let mut next = journal.clone();
        next.apply(&entry)?;
        match ports.records.append(self.id(), journal.next, &entry).await? {
            Appended::Mine => *journal = next,
            Appended::Taken(other) => {
                let detail = format!("another instance ({}) carries job {} now", other.writer, self.id());
                return Err(Error::new(ErrorKind::Conflict, detail).of_job(self.id()));
            }
        }
        drop(journal);
        self.progress.send_modify(|p| {
            p.state = state;
            p.step = state.name().into();
            (p.done, p.total) = (0, 0);
        });
        Ok(())
    }

    /// The job as its journal has it now.
    pub async fn status(&self) -> JobStatus {
        let journal = self.journal.lock().await;
        JobStatus {
            job_id: self.id(),
            owner: self.record.owner.clone(),
            status: journal.state.unwrap_or(JobState::Queued),
            created_at: self.record.created_at,
            updated_at: journal.entered.last().map_or(self.record.created_at, |e| e.at),
            transitions: journal.entered.clone(),
            attempts: journal.attempt.max(1),
            error: journal.error.clone(),
        }
    }
}

/// All jobs of this process, by id.
#[derive(Default)]
pub struct RunningJobs(Mutex<HashMap<JobId, Arc<RunningJob>>>);

impl RunningJobs {
    fn map(&self) -> MutexGuard<'_, HashMap<JobId, Arc<RunningJob>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job in, unless there are `limit` already, or `own` of its owner.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] when all places are taken, [`ErrorKind::TooManyRequests`] when all of the owner's are.
    pub fn admit(&self, job: Arc<RunningJob>, limit: usize, own: u64) -> Result<()> {
        let mut map = self.map();
        if own != u64::MAX {
            let owned = map.values().filter(|other| other.record.owner == job.record.owner).count();
            if owned as u64 >= own {
                let detail = "as many jobs of this owner are queued or running as it may have";
                return Err(Error::new(ErrorKind::TooManyRequests, detail).hint("wait until one has ended"));
            }
        }
        if map.len() >= limit {
            let detail =
                format!("{limit} jobs are queued or running, which is all this server takes at once");
            return Err(Error::new(ErrorKind::Overloaded, detail).hint("try again in a moment"));
        }
        map.insert(job.id(), job);
        Ok(())
    }

    pub fn get(&self, job: JobId) -> Option<Arc<RunningJob>> {
        self.map().get(&job).cloned()
    }

    pub fn all(&self) -> Vec<Arc<RunningJob>> {
        self.map().values().cloned().collect()
    }

    pub fn remove(&self, job: JobId) {
        self.map().remove(&job);
    }

    /// How many jobs each owner has.
    pub fn by_owner(&self) -> HashMap<String, u64> {
        let mut owners = HashMap::new();
        for job in self.map().values() {
            *owners.entry(job.record.owner.clone()).or_default() += 1;
        }
        owners
    }

    pub fn len(&self) -> usize {
        self.map().len()
    }

    pub fn is_empty(&self) -> bool {
        self.map().is_empty()
    }

    /// The jobs that an actor has in hand, oldest first.
    pub fn held_by(&self, holder: Holder) -> Vec<JobId> {
        let mut jobs: Vec<_> = self.map().values().filter(|j| j.holder() == holder).map(|j| j.id()).collect();
        jobs.sort();
        jobs
    }
}
