//! Ports in memory, with turns that a test can ask for.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::claims::{Claim, Claimed, Claims};
use caudal_core::job::*;
use caudal_core::journal::{AttemptCause, Beat, JournalEntry, JournalState, Lease, Transition};
use caudal_core::ports::*;
use caudal_core::request::{InlineTable, JobRequest};
use caudal_core::results::*;
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use caudal_orchestration::retry::{Dice, RetryPolicy};
use caudal_orchestration::{OrchestratorOptions, Ports};
use chrono::{DateTime, Utc};

/// What shall go wrong, each as often as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// The analysis actor falls while it stores its analysis.
    PanicOnAnalysis,
    /// The response actor falls while it stores the final response.
    PanicOnFinal,
    PanicInStage,
    /// A stage works until the job is cancelled.
    WaitForCancel,
    /// A stage works on and looks at nothing.
    Hang,
    /// The data is not what it should be.
    WrongData,
    /// There is too little memory.
    TooLittleMemory,
    /// Another instance writes the entry behind `queued`.
    TakenByAnother,
    RefuseNormalization,
    RefuseAnalysis,
    RefuseFinal,
    /// Whoever takes a job in is held up before it is queued.
    HoldUpQueued,
    /// An entry is written and its confirmation is lost.
    LoseConfirmation,
}

#[derive(Default)]
struct Stored {
    records: HashMap<JobId, JobRecord>,
    active: BTreeSet<JobId>,
    journals: HashMap<JobId, Vec<JournalEntry>>,
    leases: HashMap<JobId, (u32, Lease)>,
    beats: HashMap<uuid::Uuid, Beat>,
    normalizations: HashMap<JobId, GpuProcessing>,
    pipelines: HashMap<JobId, SparkProcessing>,
    analyses: HashMap<JobId, Analysis>,
    finals: HashMap<JobId, FinalResponse>,
    claims: HashMap<(String, String), Claim>,
    turns: HashMap<Turn, u32>,
    /// Readings of the clock before the one that falls.
    readings: Option<u32>,
}

/// What one instance sees of the bucket that all share.
#[derive(Clone)]
pub struct Bucket {
    stored: Arc<Mutex<Stored>>,
    writer: uuid::Uuid,
    /// Nothing that an instance asks is answered any more once it is dead.
    is_dead: Arc<AtomicBool>,
}

pub fn options() -> OrchestratorOptions {
    OrchestratorOptions {
        mailbox_size: 16,
        running_jobs: 2,
        admitted_jobs: 8,
        lease: Duration::from_secs(10),
        retry: RetryPolicy {
            budget: 4,
            first: Duration::from_millis(10),
            longest: Duration::from_millis(50),
        },
        stage_deadline: None,
        job_deadline: None,
        takes_over: true,
        cores: 2,
        prices: Default::default(),
    }
}

/// Of an instance that takes over quickly.
pub fn quick() -> OrchestratorOptions {
    OrchestratorOptions { lease: Duration::from_millis(150), ..options() }
}

static NUMBERS: AtomicU64 = AtomicU64::new(1);

impl Bucket {
    pub fn new() -> Bucket {
        let writer = uuid::Uuid::from_u128(7);
        Bucket { stored: Arc::default(), writer, is_dead: Arc::default() }
    }

    /// The same bucket as another instance sees it.
    pub fn other(&self) -> Bucket {
        let writer = Numbers.entry_id();
        Bucket { stored: self.stored.clone(), writer, is_dead: Arc::default() }
    }

    pub fn ports(&self) -> Ports {
        Ports {
            clock: Arc::new(self.clone()),
            ids: Arc::new(Numbers),
            records: Arc::new(self.clone()),
            claims: Arc::new(self.clone()),
            sources: Arc::new(self.clone()),
            planner: Arc::new(self.clone()),
            normalizer: Arc::new(self.clone()),
            pipelines: vec![Arc::new(self.clone())],
            spark: None,
            webhooks: None,
            handover: None,
            dice: Arc::new(Dice::seeded(7)),
            quotas: None,
            writer: self.writer,
        }
    }

    /// Of an instance that takes jobs in for others to work on, and the jobs that it gave away.
    pub fn ports_that_hand_over(&self) -> (Ports, Given) {
        let given = Given::default();
        (Ports { handover: Some(Arc::new(given.clone())), ..self.ports() }, given)
    }

    /// This instance's process is gone, as after `kill -9`.
    pub fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// This instance's process goes on after it was held up.
    pub fn wake(&self) {
        self.is_dead.store(false, Ordering::Relaxed);
    }

    async fn alive(&self) {
        while self.is_dead.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn turn(&self, turn: Turn, times: u32) {
        self.stored().turns.insert(turn, times);
    }

    /// The clock falls once, after so many readings.
    pub fn clock_falls_after(&self, readings: u32) {
        self.stored().readings = Some(readings);
    }

    pub fn clock_has_fallen(&self) -> bool {
        self.stored().readings.is_none()
    }

    pub fn turns_left(&self, turn: Turn) -> u32 {
        self.stored().turns.get(&turn).copied().unwrap_or(0)
    }

    fn met(&self, turn: Turn) -> bool {
        match self.stored().turns.get_mut(&turn) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn refuses(&self, turn: Turn) -> Result<()> {
        match self.met(turn) {
            true => Err(Error::new(ErrorKind::StorageUnavailable, "the disk is full")),
            false => Ok(()),
        }
    }

    pub fn jobs(&self) -> usize {
        self.stored().records.len()
    }

    pub fn states(&self, job: JobId) -> Vec<JobState> {
        self.journal_of(job).entered.iter().map(|e| e.state).collect()
    }

    /// Why each attempt at a job began.
    pub fn causes(&self, job: JobId) -> Vec<AttemptCause> {
        self.journal_of(job).attempts.iter().map(|attempt| attempt.cause).collect()
    }

    pub fn journal_of(&self, job: JobId) -> JournalState {
        let entries = self.stored().journals.get(&job).cloned().unwrap_or_default();
        JournalState::replay(&entries).unwrap()
    }

    fn read_clock(&self) -> u64 {
        let mut stored = self.stored();
        match &mut stored.readings {
            Some(0) => {
                stored.readings = None;
                drop(stored);
                panic!("the clock falls, as the test asked");
            }
            Some(left) => *left -= 1,
            None => {}
        }
        START.with(|start| start.elapsed().as_millis() as u64)
    }
}

thread_local! {
    static START: tokio::time::Instant = tokio::time::Instant::now();
}

#[derive(Clone, Default)]
pub struct Given(pub Arc<Mutex<Vec<JobId>>>);

#[async_trait]
impl Handover for Given {
    async fn hand_over(&self, job: JobId) -> Result<()> {
        self.0.lock().unwrap().push(job);
        Ok(())
    }
}

#[async_trait]
impl Claims for Bucket {
    async fn claim(&self, owner: &str, key: &str, claim: &Claim) -> Result<Claimed> {
        let mut stored = self.stored.lock().unwrap();
        match stored.claims.get(&(owner.to_owned(), key.to_owned())) {
            Some(earlier) => Ok(Claimed::Earlier(earlier.clone())),
            None => {
                stored.claims.insert((owner.to_owned(), key.to_owned()), claim.clone());
                Ok(Claimed::Mine)
            }
        }
    }

    async fn release(&self, owner: &str, key: &str) -> Result<()> {
        self.stored.lock().unwrap().claims.remove(&(owner.to_owned(), key.to_owned()));
        Ok(())
    }
}

impl Clock for Bucket {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::from_millis(self.read_clock())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.read_clock())
    }
}

struct Numbers;

impl Ids for Numbers {
    fn job_id(&self) -> JobId {
        JobId(self.entry_id())
    }

    fn entry_id(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(u128::from(NUMBERS.fetch_add(1, Ordering::Relaxed)) + 1000)
    }
}

#[async_trait]
impl JobRecords for Bucket {
    async fn create(&self, record: &JobRecord, _: Option<&InlineTable>) -> Result<()> {
        self.alive().await;
        let mut stored = self.stored();
        stored.records.insert(record.job_id, record.clone());
        stored.active.insert(record.job_id);
        Ok(())
    }

    async fn append(&self, job: JobId, number: u32, entry: &JournalEntry) -> Result<Appended> {
        self.alive().await;
        if number == 1 && self.met(Turn::TakenByAnother) {
            let transitions = vec![Transition::from(JobState::Cancelled)];
            let (entry_id, writer) = (uuid::Uuid::max(), uuid::Uuid::max());
            let theirs = JournalEntry { entry_id, writer, transitions, ..entry.clone() };
            self.stored().journals.entry(job).or_default().push(theirs);
        }
        if number == 0 && self.met(Turn::HoldUpQueued) {
            // Long enough for the instance to be taken for dead, as the test sees to.
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.alive().await;
        }
        let lost = number > 0 && self.met(Turn::LoseConfirmation);
        let mut stored = self.stored();
        let journal = stored.journals.entry(job).or_default();
        match journal.get(number as usize) {
            Some(theirs) if theirs.entry_id == entry.entry_id => Ok(Appended::Mine),
            Some(theirs) => Ok(Appended::Taken(Box::new(theirs.clone()))),
            None => {
                assert_eq!(journal.len(), number as usize, "a gap in the journal");
                journal.push(entry.clone());
                match lost {
                    true => Err(Error::new(ErrorKind::StorageUnavailable, "no answer")),
                    false => Ok(Appended::Mine),
                }
            }
        }
    }

    async fn journal(&self, job: JobId) -> Result<Vec<JournalEntry>> {
        self.alive().await;
        Ok(self.stored().journals.get(&job).cloned().unwrap_or_default())
    }

    async fn entry(&self, job: JobId, number: u32) -> Result<Option<JournalEntry>> {
        Ok(self.journal(job).await?.get(number as usize).cloned())
    }

    async fn lease(&self, job: JobId) -> Result<Option<(u32, Lease)>> {
        self.alive().await;
        Ok(self.stored().leases.get(&job).copied())
    }

    async fn put_lease(&self, job: JobId, number: u32, lease: &Lease) -> Result<bool> {
        self.alive().await;
        let mut stored = self.stored();
        let is_next = stored.leases.get(&job).is_none_or(|(newest, _)| *newest < number);
        if is_next {
            stored.leases.insert(job, (number, *lease));
        }
        Ok(is_next)
    }

    async fn put_beat(&self, writer: uuid::Uuid, beat: Option<&Beat>) -> Result<()> {
        self.alive().await;
        let mut stored = self.stored();
        match beat {
            Some(beat) => stored.beats.insert(writer, *beat),
            None => stored.beats.remove(&writer),
        };
        Ok(())
    }

    async fn beat(&self, writer: uuid::Uuid) -> Result<Option<Beat>> {
        self.alive().await;
        Ok(self.stored().beats.get(&writer).copied())
    }

    async fn keep(&self, _: &JobRecord) -> Result<()> {
        self.alive().await;
        Ok(())
    }

    async fn record(&self, job: JobId) -> Result<JobRecord> {
        self.alive().await;
        let stored = self.stored();
        stored.records.get(&job).cloned().ok_or_else(|| Error::new(ErrorKind::NotFound, "no such job"))
    }

    async fn put_normalization(&self, job: JobId, result: &GpuProcessing) -> Result<()> {
        self.alive().await;
        self.refuses(Turn::RefuseNormalization)?;
        self.stored().normalizations.insert(job, result.clone());
        Ok(())
    }

    async fn put_pipelines(&self, job: JobId, result: &SparkProcessing) -> Result<()> {
        self.alive().await;
        self.stored().pipelines.insert(job, result.clone());
        Ok(())
    }

    async fn put_analysis(&self, job: JobId, result: &Analysis) -> Result<()> {
        self.alive().await;
        assert!(!self.met(Turn::PanicOnAnalysis), "the analysis falls, as the test asked");
        self.refuses(Turn::RefuseAnalysis)?;
        self.stored().analyses.insert(job, result.clone());
        Ok(())
    }

    async fn put_final(&self, job: JobId, response: FinalResponse) -> Result<FinalResponse> {
        self.alive().await;
        assert!(!self.met(Turn::PanicOnFinal), "the response falls, as the test asked");
        self.refuses(Turn::RefuseFinal)?;
        Ok(self.stored().finals.entry(job).or_insert(response).clone())
    }

    async fn normalization(&self, job: JobId) -> Result<Option<GpuProcessing>> {
        Ok(self.stored().normalizations.get(&job).cloned())
    }

    async fn pipelines(&self, job: JobId) -> Result<Option<SparkProcessing>> {
        Ok(self.stored().pipelines.get(&job).cloned())
    }

    async fn analysis(&self, job: JobId) -> Result<Option<Analysis>> {
        Ok(self.stored().analyses.get(&job).cloned())
    }

    async fn final_response(&self, job: JobId) -> Result<Option<FinalResponse>> {
        Ok(self.stored().finals.get(&job).cloned())
    }

    async fn finish(&self, status: &JobStatus) -> Result<()> {
        self.alive().await;
        let mut stored = self.stored();
        stored.active.remove(&status.job_id);
        stored.leases.remove(&status.job_id);
        Ok(())
    }

    async fn discard(&self, job: JobId) -> Result<()> {
        self.alive().await;
        let mut stored = self.stored();
        stored.active.remove(&job);
        stored.records.remove(&job);
        Ok(())
    }

    async fn remove(&self, status: &JobStatus) -> Result<()> {
        self.alive().await;
        let mut stored = self.stored();
        if stored.active.contains(&status.job_id) {
            return Err(Error::new(ErrorKind::NotFinished, "the job is being put away"));
        }
        stored.records.remove(&status.job_id);
        stored.journals.remove(&status.job_id);
        stored.finals.remove(&status.job_id);
        Ok(())
    }

    async fn status(&self, job: JobId) -> Result<JobStatus> {
        let record = self.record(job).await?;
        let journal = JournalState::replay(&self.journal(job).await?)?;
        Ok(JobStatus {
            job_id: job,
            owner: record.owner,
            status: journal.state.unwrap_or(JobState::Queued),
            created_at: record.created_at,
            updated_at: record.created_at,
            transitions: journal.entered,
            attempts: journal.attempt,
            attempt_history: journal.attempts,
            error: journal.error,
        })
    }

    async fn active(&self) -> Result<Vec<JobId>> {
        self.alive().await;
        Ok(self.stored().active.iter().copied().collect())
    }

    async fn list(&self, _: &JobQuery) -> Result<JobPage> {
        Ok(JobPage::default())
    }

    fn paths(&self, _: JobId, _: Option<&Plan>) -> StoredPaths {
        StoredPaths::default()
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Sources for Bucket {
    async fn open(&self, input: &StageInput) -> Result<SourceDescription> {
        assert!(!self.met(Turn::PanicInStage), "the stage falls, as the test asked");
        if self.met(Turn::WrongData) {
            return Err(Error::new(ErrorKind::InvalidData, "the source holds no numbers"));
        }
        if self.met(Turn::TooLittleMemory) {
            return Err(Error::new(ErrorKind::InsufficientMemory, "the data does not fit"));
        }
        if self.met(Turn::Hang) {
            std::future::pending::<()>().await;
        }
        if self.met(Turn::WaitForCancel) {
            while !input.cancel.is_cancelled() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            input.cancel.check()?;
        }
        let column = ColumnDescription { name: "value".into(), data_type: "Float64".into() };
        Ok(SourceDescription {
            format: None,
            rows: 2,
            bytes_read: 16,
            columns: vec![column],
            skipped: Vec::new(),
        })
    }

    fn release(&self, _: JobId) {}
}

#[async_trait]
impl Planner for Bucket {
    async fn plan(&self, request: &JobRequest, _: &SourceDescription) -> Result<Plan> {
        Ok(Plan {
            pipelines: vec![PipelineKind::Rdd],
            normalization: request.normalization,
            statistics: request.statistics,
            output_format: Default::default(),
            engine: "embedded".into(),
            on_spark: false,
            device: "cpu".into(),
            compare_devices: false,
            fallback_reason: None,
            why: "there is one pipeline".into(),
        })
    }
}

#[async_trait]
impl Normalizer for Bucket {
    async fn normalize(&self, _: &StageInput, plan: &Plan) -> Result<GpuProcessing> {
        Ok(GpuProcessing { device: plan.device.clone(), processing_time: 0.25, ..GpuProcessing::default() })
    }
}

#[async_trait]
impl Pipeline for Bucket {
    fn kind(&self) -> PipelineKind {
        PipelineKind::Rdd
    }

    async fn run(&self, _: &StageInput, _: &Plan) -> Result<PipelineResult> {
        let statistics = ColumnStatistics { rows: 2, count: 2, ..ColumnStatistics::default() };
        Ok(PipelineResult::Completed {
            processing_time: 0.5,
            columns: [("value".to_owned(), statistics)].into(),
        })
    }
}
