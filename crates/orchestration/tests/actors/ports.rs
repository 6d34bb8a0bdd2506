//! Ports in memory, with turns that a test can ask for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::job::*;
use caudal_core::journal::{JournalEntry, JournalState, Lease, Transition};
use caudal_core::ports::*;
use caudal_core::request::{InlineTable, JobRequest};
use caudal_core::results::*;
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
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
    /// Another instance writes the entry behind `queued`.
    TakenByAnother,
    RefuseFinal,
}

#[derive(Default)]
struct Stored {
    records: HashMap<JobId, JobRecord>,
    journals: HashMap<JobId, Vec<JournalEntry>>,
    normalizations: HashMap<JobId, GpuProcessing>,
    pipelines: HashMap<JobId, SparkProcessing>,
    analyses: HashMap<JobId, Analysis>,
    finals: HashMap<JobId, FinalResponse>,
    turns: HashMap<Turn, u32>,
}

#[derive(Clone, Default)]
pub struct Bucket(Arc<Mutex<Stored>>);

pub fn options() -> OrchestratorOptions {
    OrchestratorOptions {
        mailbox_size: 16,
        running_jobs: 2,
        admitted_jobs: 8,
        lease: Duration::from_secs(10),
        takes_over: true,
        cores: 2,
        prices: Default::default(),
    }
}

impl Bucket {
    pub fn new() -> Bucket {
        Bucket::default()
    }

    pub fn ports(&self) -> Ports {
        Ports {
            clock: Arc::new(Ticks(AtomicU64::new(0))),
            ids: Arc::new(Numbers(AtomicU64::new(1))),
            records: Arc::new(self.clone()),
            sources: Arc::new(self.clone()),
            planner: Arc::new(self.clone()),
            normalizer: Arc::new(self.clone()),
            pipelines: vec![Arc::new(self.clone())],
            spark: None,
            handover: None,
            quotas: None,
            writer: uuid::Uuid::from_u128(7),
        }
    }

    /// Of an instance that takes jobs in for others to work on, and the jobs that it gave away.
    pub fn ports_that_hand_over(&self) -> (Ports, Given) {
        let given = Given::default();
        (Ports { handover: Some(Arc::new(given.clone())), ..self.ports() }, given)
    }

    pub fn turn(&self, turn: Turn, times: u32) {
        self.0.lock().unwrap().turns.insert(turn, times);
    }

    pub fn turns_left(&self, turn: Turn) -> u32 {
        self.0.lock().unwrap().turns.get(&turn).copied().unwrap_or(0)
    }

    fn met(&self, turn: Turn) -> bool {
        match self.0.lock().unwrap().turns.get_mut(&turn) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    pub fn jobs(&self) -> usize {
        self.0.lock().unwrap().records.len()
    }

    pub fn states(&self, job: JobId) -> Vec<JobState> {
        let entries = self.0.lock().unwrap().journals[&job].clone();
        JournalState::replay(&entries).unwrap().entered.iter().map(|e| e.state).collect()
    }
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

struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

struct Numbers(AtomicU64);

impl Ids for Numbers {
    fn job_id(&self) -> JobId {
        JobId(self.entry_id())
    }

    fn entry_id(&self) -> uuid::Uuid {
        uuid::Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}

#[async_trait]
impl JobRecords for Bucket {
    async fn create(&self, record: &JobRecord, _: Option<&InlineTable>) -> Result<()> {
        self.0.lock().unwrap().records.insert(record.job_id, record.clone());
        Ok(())
    }

    async fn append(&self, job: JobId, number: u32, entry: &JournalEntry) -> Result<Appended> {
        if number == 1 && self.met(Turn::TakenByAnother) {
            let transitions = vec![Transition::from(JobState::Cancelled)];
            let theirs = JournalEntry { entry_id: uuid::Uuid::max(), transitions, ..entry.clone() };
            self.0.lock().unwrap().journals.entry(job).or_default().push(theirs);
        }
        let mut stored = self.0.lock().unwrap();
        let journal = stored.journals.entry(job).or_default();
        match journal.get(number as usize) {
            Some(theirs) => Ok(Appended::Taken(Box::new(theirs.clone()))),
            None => {
                assert_eq!(journal.len(), number as usize, "a gap in the journal");
                journal.push(entry.clone());
                Ok(Appended::Mine)
            }
        }
    }

    async fn journal(&self, job: JobId) -> Result<Vec<JournalEntry>> {
        Ok(self.0.lock().unwrap().journals.get(&job).cloned().unwrap_or_default())
    }

    async fn lease(&self, _: JobId) -> Result<Option<(u32, Lease)>> {
        Ok(None)
    }

    async fn put_lease(&self, _: JobId, _: u32, _: &Lease) -> Result<bool> {
        Ok(true)
    }

    async fn record(&self, job: JobId) -> Result<JobRecord> {
        let stored = self.0.lock().unwrap();
        stored.records.get(&job).cloned().ok_or_else(|| Error::new(ErrorKind::NotFound, "no such job"))
    }

    async fn put_normalization(&self, job: JobId, result: &GpuProcessing) -> Result<()> {
        self.0.lock().unwrap().normalizations.insert(job, result.clone());
        Ok(())
    }

    async fn put_pipelines(&self, job: JobId, result: &SparkProcessing) -> Result<()> {
        self.0.lock().unwrap().pipelines.insert(job, result.clone());
        Ok(())
    }

    async fn put_analysis(&self, job: JobId, result: &Analysis) -> Result<()> {
        assert!(!self.met(Turn::PanicOnAnalysis), "the analysis falls, as the test asked");
        self.0.lock().unwrap().analyses.insert(job, result.clone());
        Ok(())
    }

    async fn put_final(&self, job: JobId, response: &FinalResponse) -> Result<()> {
        assert!(!self.met(Turn::PanicOnFinal), "the response falls, as the test asked");
        if self.met(Turn::RefuseFinal) {
            return Err(Error::new(ErrorKind::StorageUnavailable, "the disk is full"));
        }
        self.0.lock().unwrap().finals.insert(job, response.clone());
        Ok(())
    }

    async fn normalization(&self, job: JobId) -> Result<Option<GpuProcessing>> {
        Ok(self.0.lock().unwrap().normalizations.get(&job).cloned())
    }

    async fn pipelines(&self, job: JobId) -> Result<Option<SparkProcessing>> {
        Ok(self.0.lock().unwrap().pipelines.get(&job).cloned())
    }

    async fn analysis(&self, job: JobId) -> Result<Option<Analysis>> {
        Ok(self.0.lock().unwrap().analyses.get(&job).cloned())
    }

    async fn final_response(&self, job: JobId) -> Result<Option<FinalResponse>> {
        Ok(self.0.lock().unwrap().finals.get(&job).cloned())
    }

    async fn finish(&self, _: &JobStatus) -> Result<()> {
        Ok(())
    }

    async fn discard(&self, job: JobId) -> Result<()> {
        self.0.lock().unwrap().records.remove(&job);
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
            error: journal.error,
        })
    }

    async fn active(&self) -> Result<Vec<JobId>> {
        Ok(Vec::new())
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
