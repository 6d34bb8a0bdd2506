//! The records of jobs: requests, journals, stage results, and the finished job in one object.

use async_trait::async_trait;
use caudal_core::job::{JobPage, JobRecord, JobStatus, Plan};
use caudal_core::journal::{Beat, JournalEntry, JournalState, Lease};
use caudal_core::ports::{Appended, JobQuery, JobRecords};
use caudal_core::request::{InlineTable, OutputFormat};
use caudal_core::results::{Analysis, FinalResponse, GpuProcessing, SparkProcessing, StoredPaths};
use caudal_core::{Error, ErrorKind, JobId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bucket::{Bucket, json, pretty_json};
use crate::{index, inline, journal, keys};

/// `jobs/{id}/job.json`: a finished job and all that its journal said.
#[derive(Serialize, Deserialize)]
struct FinishedJob {
    #[serde(flatten)]
    status: JobStatus,
    journal: Vec<JournalEntry>,
}

pub struct BucketRecords {
    bucket: Bucket,
}

impl BucketRecords {
    pub fn new(bucket: Bucket) -> Self {
        BucketRecords { bucket }
    }
}

#[async_trait]
impl JobRecords for BucketRecords {
    /// Request and numbers first, then the marker, then the index: a crash in between leaves nothing
    /// that another reader would take for a job, since only the journal makes it one.
    async fn create(&self, record: &JobRecord, inline: Option<&InlineTable>) -> Result<()> {
        let job = record.job_id;
        if let Some(table) = inline {
            self.bucket.put(&keys::inline_data(job), inline::encode(table)?).await?;
        }
        self.bucket.put_json(&keys::request(job), record).await?;
        self.bucket.put(&keys::active(job), Vec::new()).await?;
        self.bucket.put(&keys::index_entry(&record.owner, record.created_at, job), Vec::new()).await
    }

    async fn append(&self, job: JobId, number: u32, entry: &JournalEntry) -> Result<Appended> {
        journal::append(&self.bucket, job, number, entry).await
    }

    async fn journal(&self, job: JobId) -> Result<Vec<JournalEntry>> {
        let entries = journal::read(&self.bucket, job).await?;
        let last = entries.last().and_then(|entry| entry.transitions.last());
        if last.is_some_and(|last| last.to.is_final()) {
            return Ok(entries);
        }
        // That of a job that ended long ago is in the compacted job alone, or will be in a moment.
        let finished = self.bucket.get_json::<FinishedJob>(&keys::finished_job(job)).await?;
        Ok(finished.map_or(entries, |finished| finished.journal))
    }

    async fn entry(&self, job: JobId, number: u32) -> Result<Option<JournalEntry>> {
        self.bucket.get_json(&keys::journal_entry(job, number)).await
    }

    async fn lease(&self, job: JobId) -> Result<Option<(u32, Lease)>> {
        let names = self.bucket.list_names(&keys::lease_folder(job)).await?;
        let number = |name: &String| name.strip_suffix(".json").and_then(|n| n.parse().ok());
        let Some(newest) = names.iter().filter_map(number).max() else { return Ok(None) };
        // One that is gone again belonged to a job that has just ended.
        let lease = self.bucket.get_json(&keys::lease(job, newest)).await?;
        Ok(lease.map(|lease| (newest, lease)))
    }

    async fn put_lease(&self, job: JobId, number: u32, lease: &Lease) -> Result<bool> {
        let key = keys::lease(job, number);
        let created = self.bucket.create(&key, json(lease)?).await;
        // Whatever the store says but success may be about one's own write.
        let mine = match created {
            Ok(true) => true,
            answer => match self.bucket.get_json::<Lease>(&key).await? {
                Some(found) => found == *lease,
                None => answer?,
            },
        };
        if mine && number > 0 {
            self.bucket.delete(&keys::lease(job, number - 1)).await?;
        }
        Ok(mine)
    }

    async fn put_beat(&self, writer: Uuid, beat: Option<&Beat>) -> Result<()> {
        match beat {
            Some(beat) => self.bucket.put_json(&keys::beat(writer), beat).await,
            None => self.bucket.delete(&keys::beat(writer)).await,
        }
    }

    async fn beat(&self, writer: Uuid) -> Result<Option<Beat>> {
        self.bucket.get_json(&keys::beat(writer)).await
    }

    async fn keep(&self, _: &JobRecord) -> Result<()> {
        self.bucket.persist().await
    }

    async fn record(&self, job: JobId) -> Result<JobRecord> {
        self.bucket.get_json(&keys::request(job)).await?.ok_or_else(|| no_such(job))
    }

    async fn put_normalization(&self, job: JobId, result: &GpuProcessing) -> Result<()> {
        self.bucket.put_pretty_json(&keys::normalization_result(job), result).await
    }

    async fn put_pipelines(&self, job: JobId, result: &SparkProcessing) -> Result<()> {
        self.bucket.put_pretty_json(&keys::pipeline_results(job), result).await
    }

    async fn put_analysis(&self, job: JobId, result: &Analysis) -> Result<()> {
        self.bucket.put_pretty_json(&keys::analysis(job), result).await
    }

    async fn put_final(&self, job: JobId, response: FinalResponse) -> Result<FinalResponse> {
        let key = keys::final_results(job);
        let created = self.bucket.create(&key, pretty_json(&response)?).await;
        match created {
            Ok(true) => Ok(response),
            // Whatever the store says but success may be about one's own write.
            answer => match self.bucket.get_json(&key).await? {
                Some(there) => Ok(there),
                None => Err(answer.err().unwrap_or_else(|| {
                    Error::new(ErrorKind::StorageUnavailable, format!("the bucket cannot write {key}"))
                })),
            },
        }
    }

    async fn normalization(&self, job: JobId) -> Result<Option<GpuProcessing>> {
        self.bucket.get_json(&keys::normalization_result(job)).await
    }

    async fn pipelines(&self, job: JobId) -> Result<Option<SparkProcessing>> {
        self.bucket.get_json(&keys::pipeline_results(job)).await
    }

    async fn analysis(&self, job: JobId) -> Result<Option<Analysis>> {
        self.bucket.get_json(&keys::analysis(job)).await
    }

    async fn final_response(&self, job: JobId) -> Result<Option<FinalResponse>> {
        self.bucket.get_json(&keys::final_results(job)).await
    }

    async fn finish(&self, status: &JobStatus) -> Result<()> {
        let job = status.job_id;
        let journal = self.journal(job).await?;
        let finished = FinishedJob { status: status.clone(), journal };
        self.bucket.put_json(&keys::finished_job(job), &finished).await?;
        self.bucket.persist().await?;
        // What no attempt published, and who worked on it, is of no use any more.
        self.bucket.delete_below(&keys::attempts_folder(job)).await?;
        self.bucket.delete_below(&keys::lease_folder(job)).await?;
        self.bucket.delete(&keys::active(job)).await
    }

    async fn discard(&self, job: JobId) -> Result<()> {
        if let Some(record) = self.bucket.get_json::<JobRecord>(&keys::request(job)).await? {
            self.bucket.delete(&keys::index_entry(&record.owner, record.created_at, job)).await?;
        }
        self.bucket.delete(&keys::request(job)).await?;
        self.bucket.delete(&keys::inline_data(job)).await?;
        self.bucket.delete_below(&keys::lease_folder(job)).await?;
        self.bucket.delete(&keys::active(job)).await
    }

    async fn remove(&self, status: &JobStatus) -> Result<()> {
        let job = status.job_id;
        // Whoever ends a job takes its marker away last, and would write what is taken away here.
        if self.bucket.get(&keys::active(job)).await?.is_some() {
            let detail = format!("job {job} is {} and is being put away", status.status);
            return Err(Error::new(ErrorKind::NotFinished, detail).hint("try again in a moment"));
        }
        self.bucket.remove_job(job, &status.owner, status.created_at).await
    }

    async fn status(&self, job: JobId) -> Result<JobStatus> {
        if let Some(finished) = self.bucket.get_json::<FinishedJob>(&keys::finished_job(job)).await? {
            return Ok(finished.status);
        }
        let record = self.record(job).await?;
        let journal = JournalState::replay(&journal::read(&self.bucket, job).await?)?;
        let status = journal.state.ok_or_else(|| no_such(job))?;
        Ok(JobStatus {
            job_id: job,
            owner: record.owner,
            status,
            created_at: record.created_at,
            updated_at: journal.entered.last().map_or(record.created_at, |entered| entered.at),
            transitions: journal.entered,
            attempts: journal.attempt.max(1),
            attempt_history: journal.attempts,
            error: journal.error,
        })
    }

    async fn active(&self) -> Result<Vec<JobId>> {
        let names = self.bucket.list_names(&keys::active_folder()).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    async fn list(&self, query: &JobQuery) -> Result<JobPage> {
        let mut page = JobPage::default();
        let mut last = None;
        let mut walk = index::Walk::new(&self.bucket, &query.owner, query.cursor.as_deref()).await?;
        while let Some(entry) = walk.next().await? {
            // A job may be in the index and not yet queued, or no longer there.
            let status = match self.status(entry.job).await {
                Ok(status) => status,
                Err(error) if error.kind == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if query.status.is_some_and(|wanted| wanted != status.status) {
                continue;
            }
            if page.jobs.len() == query.limit {
                page.next_cursor = last;
                break;
            }
            last = Some(entry.cursor);
            page.jobs.push(status);
        }
        Ok(page)
    }

    fn paths(&self, job: JobId, plan: Option<&Plan>) -> StoredPaths {
        let as_document = plan.is_none_or(|p| p.output_format == OutputFormat::Json);
        let data = if as_document { keys::normalized_json(job) } else { keys::normalized_manifest(job) };
        StoredPaths {
            normalized_data: self.bucket.uri(&data),
            gpu_results: self.bucket.uri(&keys::normalization_result(job)),
            spark_results: self.bucket.uri(&keys::pipeline_results(job)),
            final_results: self.bucket.uri(&keys::final_results(job)),
            analysis_results: self.bucket.uri(&keys::analysis(job)),
        }
    }

    async fn ready(&self) -> Result<()> {
        self.bucket.is_there()?;
        self.bucket.list_names(&keys::active_folder()).await.map(drop)
    }
}

fn no_such(job: JobId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no job {job}"))
}
