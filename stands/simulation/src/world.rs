//! One run: instances come, are held up, die and end, clocks jump, clients ask; then what was promised is checked.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use caudal_core::job::LOCAL_OWNER;
use caudal_core::journal::{AttemptCause, JournalState};
use caudal_core::ports::JobRecords;
use caudal_core::request::{InlineColumn, InlineTable, JobRequest, SparkConfig};
use caudal_core::{ErrorKind, JobId, JobState};
use caudal_orchestration::retry::{Dice, RetryPolicy};
use caudal_orchestration::{JobResult, Orchestrator, OrchestratorOptions, Ports, Submission, SubmissionBody};
use chrono::TimeDelta;
use object_store::memory::InMemory;
use tokio::time::Instant;
use uuid::Uuid;

use crate::bucket::Bucket;
use crate::chance::Chance;
use crate::ports::{Instance, POISON};
use crate::records::BucketRecords;
use crate::store::{Faults, Life, Met, Process, Weather};

const LEASE: Duration = Duration::from_secs(3);

/// How long everything goes wrong, and how long it may take until all is well again.
const STORM: Duration = Duration::from_secs(40);
const CALM: Duration = Duration::from_secs(1800);

/// How long an instance may take to start before it is given up.
const LONGEST_START: Duration = Duration::from_secs(60);

const INSTANCES: usize = 2;

/// What a run has seen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub promised: u64,
    pub refused: u64,
    pub completed: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub parked: u64,
    pub deaths: u64,
    pub takeovers: u64,
    pub retries: u64,
    pub requests: u64,
}

/// What clients were told of a job.
#[derive(Default)]
struct Told {
    promised: bool,
    is_poison: bool,
    cancelled: bool,
    ends: Vec<Arc<JobResult>>,
}

type Book = Arc<Mutex<BTreeMap<JobId, Told>>>;

struct Running {
    instance: Arc<Instance>,
    orchestrator: Orchestrator,
}

pub struct World {
    chance: Chance,
    store: Arc<InMemory>,
    weather: Weather,
    begun: Instant,
    numbers: Arc<AtomicU64>,
    killed: Arc<Mutex<Vec<JobId>>>,
    book: Book,
    instances: Vec<Option<Running>>,
    processes: Vec<Arc<Process>>,
    tally: Tally,
}

/// Runs one seed.
///
/// # Errors
/// What was promised and not kept.
pub async fn run(seed: u64) -> Result<Tally, String> {
    let chance = Chance::seeded(seed);
    let faults = Faults {
        refused: 0.05 * chance.share(),
        unconfirmed: 0.05 * chance.share(),
        conflict: 0.05 * chance.share(),
        longest_latency: Duration::from_millis(5 + chance.below(400) as u64),
    };
    let mut world = World {
        chance,
        store: Arc::new(InMemory::new()),
        weather: Arc::new(Mutex::new(faults)),
        begun: Instant::now(),
        numbers: Arc::new(AtomicU64::new(1)),
        killed: Arc::default(),
        book: Book::default(),
        instances: (0..INSTANCES).map(|_| None).collect(),
        processes: Vec::new(),
        tally: Tally::default(),
    };
    world.storm().await;
    world.calm().await?;
    world.check().await?;
    Ok(world.tally)
}

impl World {
    async fn storm(&mut self) {
        let clients = 1 + self.chance.below(5);
        let mut left = clients;
        while self.begun.elapsed() < STORM {
            for slot in 0..INSTANCES {
                if self.instances[slot].as_ref().is_none_or(|running| running.instance.process.is_dead()) {
                    self.start(slot).await;
                }
            }
            tokio::time::sleep(self.chance.up_to(Duration::from_secs(3))).await;
            match self.chance.below(12) {
                0..=4 if left > 0 => {
                    left -= 1;
                    self.submit();
                }
                5 => self.kill(),
                6 => self.hold_up(),
                7 => self.jump(),
                8 => self.end().await,
                9 | 10 => self.cancel_something(),
                _ => self.tell_again().await,
            }
        }
    }

    fn records(&self, process: &Arc<Process>) -> Arc<BucketRecords> {
        let (chance, weather) = (self.chance.clone(), self.weather.clone());
        let met = Met { inner: self.store.clone(), process: process.clone(), chance, weather };
        Arc::new(BucketRecords::new(Bucket::over(Arc::new(met))))
    }

    async fn start(&mut self, slot: usize) {
        let process = Process::new();
        self.processes.push(process.clone());
        let instance = Arc::new(Instance {
            process: process.clone(),
            chance: self.chance.clone(),
            begun: self.begun,
            wrong_by: AtomicI64::new(0),
            numbers: self.numbers.clone(),
            killed: self.killed.clone(),
            stage_failures: 0.1 * self.chance.share(),
        });
        let ports = Ports {
            clock: instance.clone(),
            ids: instance.clone(),
            records: self.records(&process),
            claims: instance.clone(),
            sources: instance.clone(),
            planner: instance.clone(),
            normalizer: instance.clone(),
            pipelines: vec![instance.clone()],
            spark: None,
            webhooks: None,
            handover: None,
            dice: Arc::new(Dice::seeded(self.numbers.fetch_add(1, Ordering::Relaxed))),
            quotas: None,
            writer: Uuid::from_u128(u128::from(self.numbers.fetch_add(1, Ordering::Relaxed))),
        };
        let options = OrchestratorOptions {
            mailbox_size: 8,
            running_jobs: 2,
            admitted_jobs: 16,
            lease: LEASE,
            retry: RetryPolicy {
                budget: 8,
                first: Duration::from_millis(200),
                longest: Duration::from_secs(5),
            },
            stage_deadline: None,
            job_deadline: None,
            takes_over: true,
            cores: 2,
            prices: Default::default(),
        };
        // One that cannot start, or dies over a job while it does, is started again later.
        let started = tokio::time::timeout(LONGEST_START, Orchestrator::start(ports, options)).await;
        let running = |orchestrator| Running { instance, orchestrator };
        self.instances[slot] = started.ok().and_then(Result::ok).map(running);
    }

    fn some(&self) -> Option<&Running> {
        self.instances[self.chance.below(INSTANCES)].as_ref()
    }

    /// A client that asks for a job and waits for its end.
    fn submit(&self) {
        let Some(running) = self.some() else { return };
        let (orchestrator, book) = (running.orchestrator.clone(), self.book.clone());
        let is_poison = self.chance.happens(0.1);
        let waits = self.chance.happens(0.7);
        tokio::spawn(async move {
            let Ok(mut handle) = orchestrator.submit(submission(is_poison)).await else { return };
            let promised = handle.promise().await.is_ok();
            let job = handle.job_id;
            let told = Told { promised, is_poison, ..Told::default() };
            book.lock().expect("nobody panics with it").insert(job, told);
            if waits && let Ok(end) = handle.finished().await {
                if let Some(told) = book.lock().expect("nobody panics with it").get_mut(&job) {
                    told.ends.push(end);
                }
            }
        });
    }

    fn kill(&mut self) {
        if let Some(running) = self.some() {
            running.instance.process.become_(Life::Dead);
        }
        self.tally.deaths += 1;
    }

    /// A process that is held up, for longer than its lease or not.
    fn hold_up(&self) {
        let Some(running) = self.some() else { return };
        let (process, pause) = (running.instance.process.clone(), self.chance.up_to(LEASE * 6));
        process.become_(Life::HeldUp);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            process.become_(Life::Runs);
        });
    }

    fn jump(&self) {
        if let Some(running) = self.some() {
            let by = if self.chance.happens(0.5) { 1 } else { -1 };
            running.instance.jump(TimeDelta::hours(by));
        }
    }

    /// An instance that ends in good order.
    async fn end(&mut self) {
        let slot = self.chance.below(INSTANCES);
        let Some(Running { instance, orchestrator }) = self.instances[slot].take() else { return };
        let limit = self.chance.up_to(Duration::from_secs(5));
        let process = instance.process.clone();
        tokio::spawn(async move {
            orchestrator.drain(limit).await;
            orchestrator.shutdown().await;
            process.become_(Life::Dead);
        });
    }

    fn cancel_something(&self) {
        let jobs: Vec<JobId> = self.book.lock().expect("nobody panics with it").keys().copied().collect();
        let Some(running) = self.some().filter(|_| !jobs.is_empty()) else { return };
        let job = jobs[self.chance.below(jobs.len())];
        if !self.chance.happens(0.3) {
            return;
        }
        let (orchestrator, book) = (running.orchestrator.clone(), self.book.clone());
        if let Some(told) = book.lock().expect("nobody panics with it").get_mut(&job) {
            told.cancelled = true;
        }
        tokio::spawn(async move { orchestrator.cancel(LOCAL_OWNER, job).await });
    }

    async fn tell_again(&self) {
        let jobs: Vec<JobId> = self.book.lock().expect("nobody panics with it").keys().copied().collect();
        let Some(running) = self.some().filter(|_| !jobs.is_empty()) else { return };
        let (orchestrator, job) = (running.orchestrator.clone(), jobs[self.chance.below(jobs.len())]);
        tokio::spawn(async move { orchestrator.tell_again(job).await });
    }

    /// No more faults; two instances live, and every promise is to be kept.
    async fn calm(&mut self) -> Result<(), String> {
        *self.weather.lock().expect("nobody panics with it") = Faults::default();
        self.processes.iter().for_each(|process| process.become_(Life::Runs));
        let until = self.begun.elapsed() + CALM;
        let process = Process::new();
        let records = self.records(&process);
        while self.begun.elapsed() < until {
            for slot in 0..INSTANCES {
                if self.instances[slot].as_ref().is_none_or(|running| running.instance.process.is_dead()) {
                    self.start(slot).await;
                }
            }
            tokio::time::sleep(LEASE).await;
            let active = records.active().await.map_err(|e| e.to_string())?;
            if active.is_empty() {
                return Ok(());
            }
        }
        let active = records.active().await.map_err(|e| e.to_string())?;
        let mut stuck = String::new();
        for job in active {
            let journal = JournalState::replay(&records.journal(job).await.map_err(|e| e.to_string())?);
            let lease = records.lease(job).await.map_err(|e| e.to_string())?;
            let beat = match lease {
                Some((_, held)) => records.beat(held.writer).await.map_err(|e| e.to_string())?,
                None => None,
            };
            let record = records.record(job).await.is_ok();
            stuck += &format!("\n  {job}: record {record}, {journal:?}, lease {lease:?}, beat {beat:?}");
        }
        Err(format!("jobs have not ended after {} s of calm:{stuck}", CALM.as_secs()))
    }

    async fn check(&mut self) -> Result<(), String> {
        let process = Process::new();
        let records = self.records(&process);
        let book = std::mem::take(&mut *self.book.lock().expect("nobody panics with it"));
        for (job, told) in &book {
            self.check_job(&records, *job, told).await.map_err(|wrong| format!("job {job}: {wrong}"))?;
        }
        self.tally.requests = self.processes.iter().map(|p| p.requests.load(Ordering::Relaxed)).sum();
        Ok(())
    }

    async fn check_job(&mut self, records: &BucketRecords, job: JobId, told: &Told) -> Result<(), String> {
        if !told.promised && told.ends.is_empty() {
            self.tally.refused += 1;
            return Ok(());
        }
        self.tally.promised += 1;
        let status = records.status(job).await.map_err(|e| format!("it was promised and is lost: {e}"))?;
        let entries = records.journal(job).await.map_err(|e| e.to_string())?;
        let journal = JournalState::replay(&entries).map_err(|e| e.to_string())?;
        let finals = journal.entered.iter().filter(|entered| entered.state.is_final()).count();
        if finals != 1 || journal.state != Some(status.status) {
            return Err(format!("{finals} ends, status {}, journal {:?}", status.status, journal.state));
        }
        let mut ids: Vec<Uuid> = entries.iter().map(|entry| entry.entry_id).collect();
        ids.sort();
        ids.dedup();
        if ids.len() != entries.len() || entries.windows(2).any(|pair| pair[0].at > pair[1].at) {
            return Err("its journal is out of order".into());
        }
        let response = records.final_response(job).await.map_err(|e| e.to_string())?;
        if status.status == JobState::Completed && response.is_none() {
            return Err("it has completed without a result".into());
        }
        for end in &told.ends {
            match &**end {
                JobResult::Completed(seen) if Some(&**seen) != response.as_ref() => {
                    return Err("a client was told another result than is stored".into());
                }
                JobResult::Completed(_) if status.status != JobState::Completed => {
                    return Err(format!("a client was told a result, and the job is {}", status.status));
                }
                JobResult::Ended(seen) if seen.status.is_final() && seen.status != status.status => {
                    return Err(format!(
                        "a client was told {}, and the job is {}",
                        seen.status, status.status
                    ));
                }
                _ => {}
            }
        }
        self.count(job, told, &journal)
    }

    fn count(&mut self, job: JobId, told: &Told, journal: &JournalState) -> Result<(), String> {
        let kind = journal.error.as_ref().map(|error| error.kind);
        let kills = self.killed.lock().expect("nobody panics with it").iter().filter(|j| **j == job).count();
        let causes: Vec<AttemptCause> = journal.attempts.iter().map(|attempt| attempt.cause).collect();
        let abandoned = causes.iter().filter(|cause| **cause == AttemptCause::Abandoned).count();
        // An instance that was held up may die of a job that was taken over meanwhile: once for each attempt.
        if told.is_poison && kills > causes.len() {
            return Err(format!("it killed {kills} instances in {causes:?}"));
        }
        if kind == Some(ErrorKind::PoisonousJob) && abandoned < 3 {
            return Err(format!("it was parked after {abandoned} deaths"));
        }
        if journal.state == Some(JobState::Cancelled) && !told.cancelled {
            return Err("it was cancelled, and nobody asked".into());
        }
        if told.is_poison && journal.state == Some(JobState::Completed) {
            return Err("nobody survives it, and it has completed".into());
        }
        self.tally.takeovers += abandoned as u64;
        self.tally.retries += u64::from(journal.retries());
        match (journal.state, kind) {
            (Some(JobState::Completed), _) => self.tally.completed += 1,
            (Some(JobState::Cancelled), _) => self.tally.cancelled += 1,
            (_, Some(ErrorKind::PoisonousJob)) => self.tally.parked += 1,
            _ => self.tally.failed += 1,
        }
        Ok(())
    }
}

fn submission(is_poison: bool) -> Submission {
    let column = InlineColumn { name: "value".into(), values: vec![1.0, 2.0], inexact_integers: 0 };
    let executor_memory = is_poison.then(|| POISON.to_owned());
    let spark_config = Some(SparkConfig { executor_memory, ..SparkConfig::default() });
    let request = Box::new(JobRequest { spark_config, ..JobRequest::default() });
    let inline = Some(InlineTable { columns: vec![column] });
    Submission { owner: LOCAL_OWNER.into(), body: SubmissionBody::Parsed { request, inline } }
}
