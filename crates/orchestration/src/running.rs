//! The jobs that this process carries: what outlives a restarted actor, and nothing that the bucket
//! does not also know or that could not be computed again.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use caudal_core::job::{JobRecord, JobStatus, Plan, Progress, SourceDescription};
use caudal_core::journal::{Attempt, AttemptCause, JournalEntry, JournalState, Transition};
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
    /// Its end is written, and is being made safe.
    Nobody,
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

/// Why work on a job stops before its end.
#[derive(Clone, Debug)]
pub enum Stop {
    Cancelled,
    /// The job ends here: it took too long, or is not to be tried again.
    Failed(Box<Error>),
    /// Another instance has the job, or is to have it.
    Left,
}

/// A job's journal as far as it is known to be stored, and attempts that could not be stored yet.
#[derive(Clone, Debug, Default)]
struct Book {
    stored: JournalState,
    pending: Vec<Attempt>,
}

impl Book {
    fn attempt(&self) -> u32 {
        (self.stored.attempt + self.pending.len() as u32).max(1)
    }
}

/// One job in this process.
pub struct RunningJob {
    pub record: Arc<JobRecord>,
    pub cancel: CancelToken,
    /// Monotonic time of the job's arrival in this process.
    pub arrived: Duration,
    pub findings: Mutex<Findings>,
    book: tokio::sync::Mutex<Book>,
    holder: Mutex<Holder>,
    panics: AtomicU32,
    /// Whether it runs, or is to run, while no other job does.
    alone: AtomicBool,
    stop: watch::Sender<Option<Stop>>,
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
            book: tokio::sync::Mutex::new(Book { stored: journal, pending: Vec::new() }),
            holder: Mutex::new(Holder::Validation),
            panics: AtomicU32::new(0),
            alone: AtomicBool::new(false),
            stop: watch::channel(None).0,
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

    /// Has the job run while no other job does from now on; false where it did already.
    pub fn seclude(&self) -> bool {
        !self.alone.swap(true, Ordering::Relaxed)
    }

    pub fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    /// Has all work on the job stop; the first reason counts.
    pub fn stop(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let is_first = stop.is_none();
            if is_first {
                *stop = Some(why);
            }
            is_first
        });
        self.cancel.cancel();
    }

    /// Waits until work is to stop; why.
    pub async fn stopped(&self) -> Stop {
        let mut stop = self.stop.subscribe();
        let why = stop.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        // The sender lives as long as the job does.
        why.unwrap_or(Stop::Left)
    }

    /// What a job ends with that was stopped, or is left with.
    pub fn stop_error(&self) -> Option<Error> {
        let error = match self.stop.borrow().clone()? {
            Stop::Cancelled => Error::new(ErrorKind::Cancelled, "the job was cancelled"),
            Stop::Failed(error) => *error,
            Stop::Left => Error::new(ErrorKind::Conflict, "another instance carries the job on"),
        };
        Some(error.of_job(self.id()))
    }

    pub fn is_left(&self) -> bool {
        matches!(*self.stop.borrow(), Some(Stop::Left))
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
            attempt: self.book.lock().await.attempt(),
            cancel: self.cancel.clone(),
            progress: ProgressSink::new(report),
        }
    }

    pub async fn state(&self) -> Option<JobState> {
        self.book.lock().await.stored.state
    }

    /// The number of the journal's next entry.
    pub async fn next_entry(&self) -> u32 {
        self.book.lock().await.stored.next
    }

    /// How often the job was tried again.
    pub async fn retries(&self) -> u32 {
        let book = self.book.lock().await;
        book.stored.retries() + book.pending.len() as u32
    }

    /// How often in a row an instance fell silent over the job where it stands.
    pub async fn abandonments(&self) -> u32 {
        self.book.lock().await.stored.abandonments()
    }

    /// Whether the last attempt on record is this instance's: then nobody died over it.
    pub async fn was_attempted_by(&self, writer: uuid::Uuid) -> bool {
        let book = self.book.lock().await;
        book.stored.attempts.last().is_some_and(|attempt| attempt.writer == writer)
    }

    /// Time that instances before this one have spent on the job, as they wrote it down.
    pub async fn spent_before(&self) -> Duration {
        let book = self.book.lock().await;
        let last = book.stored.last.unwrap_or(self.record.created_at);
        (last - self.record.created_at).to_std().unwrap_or_default()
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
        let mut book = self.book.lock().await;
        while book.stored.state.is_none_or(|now| now < state && !now.is_final()) {
            if state == JobState::Queued {
                book.pending.push(attempt(ports, 1, AttemptCause::Submitted, JobState::Queued));
            }
            self.append(ports, &mut book, vec![transition.clone()]).await?;
        }
        drop(book);
        self.progress.send_modify(|p| {
            if p.state != state {
                p.state = state;
                p.step = state.name().into();
                (p.done, p.total) = (0, 0);
            }
        });
        Ok(())
    }

    /// Puts a new attempt on record. Where that fails it goes with the next entry.
    ///
    /// # Errors
    /// Those of the bucket; [`ErrorKind::Conflict`] where another instance wrote the next entry.
    pub async fn begin_attempt(
        &self,
        ports: &Ports,
        cause: AttemptCause,
        error: Option<Error>,
        waited: Duration,
    ) -> Result<()> {
        let mut book = self.book.lock().await;
        let (number, state) = (book.attempt() + 1, book.stored.state.unwrap_or(JobState::Queued));
        let new = Attempt { error, waited: waited.as_secs_f64(), ..attempt(ports, number, cause, state) };
        book.pending.push(new);
        while book.pending.iter().any(|pending| pending.number == number) {
            self.append(ports, &mut book, Vec::new()).await?;
        }
        Ok(())
    }

    /// Writes one entry. An entry that is there already and is this process's own is one whose confirmation was lost: it
    /// is taken note of, and the caller looks again what is left to write.
    async fn append(&self, ports: &Ports, book: &mut Book, transitions: Vec<Transition>) -> Result<()> {
        let now = ports.clock.now();
        let entry = JournalEntry {
            entry_id: ports.ids.entry_id(),
            writer: ports.writer,
            attempt: book.attempt(),
            at: book.stored.last.map_or(now, |last| last.max(now)),
            transitions,
            began: book.pending.clone(),
        };
        let mut next = book.stored.clone();
        next.apply(&entry)?;
        match ports.records.append(self.id(), book.stored.next, &entry).await? {
            Appended::Mine => *book = Book { stored: next, pending: Vec::new() },
            Appended::Taken(own) if own.writer == ports.writer => {
                book.stored.apply(&own)?;
                book.pending.retain(|p| own.began.iter().all(|began| began.number != p.number));
            }
            Appended::Taken(other) => {
                let detail = format!("another instance ({}) carries job {} now", other.writer, self.id());
                return Err(Error::new(ErrorKind::Conflict, detail).of_job(self.id()));
            }
        }
        Ok(())
    }

    /// The job as its journal has it now.
    pub async fn status(&self) -> JobStatus {
        let journal = self.book.lock().await.stored.clone();
        JobStatus {
            job_id: self.id(),
            owner: self.record.owner.clone(),
            status: journal.state.unwrap_or(JobState::Queued),
            created_at: self.record.created_at,
            updated_at: journal.entered.last().map_or(self.record.created_at, |e| e.at),
            transitions: journal.entered,
            attempts: journal.attempt.max(1),
            attempt_history: journal.attempts,
            error: journal.error,
        }
    }

    /// The job as it may be told: an end that might not survive a loss of power yet is none.
    pub async fn visible_status(&self) -> JobStatus {
        let mut status = self.status().await;
        if status.status.is_final() && self.result.borrow().is_none() {
            status.transitions.pop();
            let last = status.transitions.last();
            status.updated_at = last.map_or(status.created_at, |entered| entered.at);
            status.status = last.map_or(JobState::Queued, |entered| entered.state);
            status.error = None;
        }
        status
    }

    /// Whether its stages run, or have run.
    pub fn is_begun(&self) -> bool {
        self.progress.borrow().state > JobState::Queued
    }

    /// Whether the job's last state is written already.
    pub fn is_ending(&self) -> bool {
        self.progress.borrow().state.is_final()
    }
}

fn attempt(ports: &Ports, number: u32, cause: AttemptCause, state: JobState) -> Attempt {
    Attempt { number, at: ports.clock.now(), writer: ports.writer, cause, state, waited: 0.0, error: None }
}

/// All jobs of this process, by id.
#[derive(Default)]
pub struct RunningJobs(Mutex<BTreeMap<JobId, Arc<RunningJob>>>);

impl RunningJobs {
    fn map(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<RunningJob>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job in, unless there are `limit` already, or `own` of its owner; false where it is here.
    ///
    /// # Errors
    /// [`ErrorKind::Overloaded`] when all places are taken, [`ErrorKind::TooManyRequests`] when all of the owner's are.
    pub fn admit(&self, job: Arc<RunningJob>, limit: usize, own: u64) -> Result<bool> {
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
        let is_new = !map.contains_key(&job.id());
        map.entry(job.id()).or_insert(job);
        Ok(is_new)
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
        self.map().values().filter(|j| j.holder() == holder).map(|j| j.id()).collect()
    }
}
