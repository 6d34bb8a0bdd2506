//! What is old and nobody's goes; what is young, or somebody's, stays, whoever sweeps at the same time.

use std::time::Duration;

use caudal_core::JobId;
use caudal_core::JobState::{self, Completed, Failed, Queued, Validating};
use caudal_core::job::{JobRecord, JobStatus};
use caudal_core::journal::Beat;
use caudal_core::ports::JobRecords;
use caudal_core::results::{
    FinalResponse, GpuProcessing, PipelineResult, ProcessingSummary, SparkProcessing,
};
use caudal_storage::{Bucket, BucketRecords, Retention};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use uuid::{NoContext, Timestamp, Uuid};

use crate::support::{buckets, entry, record};

const DAY: Duration = Duration::from_secs(86_400);

const RETENTION: Retention =
    Retention { jobs: DAY.saturating_mul(30), leftovers: DAY, journals: Duration::from_secs(3600) };

/// Now, in this test.
fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// A record of a job that was made so long ago, as its identity tells too.
fn made(ago: TimeDelta, number: u8) -> JobRecord {
    let at = now() - ago;
    let seconds = u64::try_from(at.timestamp()).unwrap();
    let stamped = Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, u32::from(number)));
    JobRecord { job_id: JobId(stamped), ..record(0, at) }
}

/// A job with outputs, in the states that its journal says.
async fn put(records: &BucketRecords, record: &JobRecord, states: &[JobState]) {
    records.create(record, None).await.unwrap();
    for (number, state) in states.iter().enumerate() {
        let entry = entry(1, record.created_at, &[*state]);
        records.append(record.job_id, number as u32, &entry).await.unwrap();
    }
    records.put_normalization(record.job_id, &GpuProcessing::default()).await.unwrap();
    if states.last().is_some_and(|state| state.is_final()) {
        let status: JobStatus = records.status(record.job_id).await.unwrap();
        records.finish(&status).await.unwrap();
    }
}

async fn sweep(bucket: &Bucket, dry_run: bool) -> Vec<String> {
    let found = bucket.sweep(RETENTION, now(), dry_run).await.unwrap();
    found.into_iter().map(|garbage| format!("{}: {}", garbage.rule, garbage.what)).collect()
}

const ENDED: [JobState; 3] = [Queued, Validating, Failed];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_job_past_its_time_goes_with_all_its_objects_and_a_younger_one_stays() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket.clone());
        let (old, young) = (made(TimeDelta::days(31), 1), made(TimeDelta::days(29), 2));
        for job in [&old, &young] {
            put(&records, job, &ENDED).await;
        }
        assert_eq!(sweep(&bucket, true).await, [format!("job past its time: {}", old.job_id)], "{backend}");
        assert!(records.status(old.job_id).await.is_ok(), "{backend}: a dry run takes nothing");
        assert_eq!(sweep(&bucket, false).await.len(), 1, "{backend}");
        assert!(records.status(old.job_id).await.is_err(), "{backend}");
        assert!(records.normalization(old.job_id).await.unwrap().is_none(), "{backend}");
        assert!(records.status(young.job_id).await.is_ok(), "{backend}");
        assert!(records.normalization(young.job_id).await.unwrap().is_some(), "{backend}");
        assert_eq!(sweep(&bucket, false).await, [""; 0], "{backend}: nothing is left to take");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_job_that_has_not_ended_stays_however_old_it_is() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket.clone());
        let running = made(TimeDelta::days(300), 1);
        put(&records, &running, &[Queued, Validating]).await;
        assert_eq!(sweep(&bucket, false).await, [""; 0], "{backend}");
        assert_eq!(records.active().await.unwrap(), [running.job_id], "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_journal_of_a_job_that_has_ended_is_kept_in_one_object() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket.clone());
        let job = made(TimeDelta::hours(2), 1);
        put(&records, &job, &ENDED).await;
        let before = records.journal(job.job_id).await.unwrap();
        assert_eq!(
            sweep(&bucket, false).await,
            [format!("journal of an ended job: {}", job.job_id)],
            "{backend}"
        );
        assert!(records.entry(job.job_id, 0).await.unwrap().is_none(), "{backend}");
        let after = records.journal(job.job_id).await.unwrap();
        let ids = |entries: &[caudal_core::journal::JournalEntry]| {
            entries.iter().map(|e| e.entry_id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&before), ids(&after), "{backend}");
        assert_eq!(records.status(job.job_id).await.unwrap().status, Failed, "{backend}");
    }
}

#[tokio::test]
async fn what_was_never_queued_goes_and_what_was_gets_its_marker_back() {
    let folder = tempfile::TempDir::new().unwrap();
    let bucket = Bucket::open_folder(folder.path()).unwrap();
    let records = BucketRecords::new(bucket.clone());
    let (never, unmarked) = (made(TimeDelta::days(2), 1), made(TimeDelta::days(2), 2));
    let just_now = made(TimeDelta::hours(2), 3);
    for (job, states) in [(&never, [].as_slice()), (&unmarked, &[Queued]), (&just_now, &[])] {
        put(&records, job, states).await;
        std::fs::remove_file(folder.path().join("active").join(job.job_id.to_string())).unwrap();
    }
    let found = sweep(&bucket, false).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(records.record(never.job_id).await.is_err());
    assert!(records.record(just_now.job_id).await.is_ok(), "it may be on its way");
    assert_eq!(records.active().await.unwrap(), [unmarked.job_id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_that_are_no_more_go_and_those_that_live_stay() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket.clone());
        let beat = |ago| Beat { number: 1, at: now() - ago, seconds: 10.0 };
        let (gone, lives) = (Uuid::from_u128(1), Uuid::from_u128(2));
        records.put_beat(gone, Some(&beat(TimeDelta::days(2)))).await.unwrap();
        records.put_beat(lives, Some(&beat(TimeDelta::seconds(5)))).await.unwrap();
        assert_eq!(sweep(&bucket, false).await.len(), 1, "{backend}");
        assert!(records.beat(gone).await.unwrap().is_none(), "{backend}");
        assert!(records.beat(lives).await.unwrap().is_some(), "{backend}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_that_sweep_at_once_take_the_same_and_no_more() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket.clone());
        let mut kept = Vec::new();
        for number in 0..20_u8 {
            let days = if number % 2 == 0 { 40 } else { 10 };
            let job = made(TimeDelta::days(days) + TimeDelta::seconds(i64::from(number)), number);
            put(&records, &job, &[Queued, Validating, Failed]).await;
            if days == 10 {
                kept.push(job.job_id);
            }
        }
        join_all((0..2).map(|_| sweep(&bucket, false))).await;
        assert_eq!(sweep(&bucket, false).await, [""; 0], "{backend}");
        for job in kept {
            assert_eq!(records.status(job).await.unwrap().status, Failed, "{backend}");
        }
    }
}

#[tokio::test]
async fn files_that_a_killed_process_had_begun_go_once_they_are_old() {
    let folder = tempfile::TempDir::new().unwrap();
    let bucket = Bucket::open_folder(folder.path()).unwrap();
    let below = folder.path().join("jobs");
    std::fs::create_dir_all(&below).unwrap();
    let (half, whole) = (below.join("request.json#1"), below.join("request.json"));
    for file in [&half, &whole] {
        std::fs::write(file, "{}").unwrap();
    }
    let at =
        |ago: TimeDelta| DateTime::<Utc>::from(std::fs::metadata(&half).unwrap().modified().unwrap()) + ago;
    assert_eq!(bucket.sweep(RETENTION, at(TimeDelta::hours(23)), false).await.unwrap(), []);
    assert_eq!(bucket.sweep(RETENTION, at(TimeDelta::hours(25)), false).await.unwrap().len(), 1);
    assert!(!half.exists() && whole.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_final_response_stays() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket);
        let job = made(TimeDelta::hours(1), 1).job_id;
        let response = |engine: &str| {
            let skipped = PipelineResult::Skipped;
            FinalResponse {
                job_id: job,
                status: Completed,
                timestamp: now(),
                processing_summary: ProcessingSummary { engine: engine.into(), ..Default::default() },
                gpu_processing: GpuProcessing::default(),
                spark_processing: SparkProcessing {
                    rdd_results: skipped.clone(),
                    dataframe_results: skipped,
                    rdd_time: None,
                    dataframe_time: None,
                    speedup: None,
                    max_relative_difference: None,
                    agreement: None,
                    disagreements: Vec::new(),
                    spark: None,
                },
                performance_metrics: Default::default(),
                data_quality: Default::default(),
                cost_analysis: Default::default(),
                recommendations: Default::default(),
                s3_paths: Default::default(),
                notes: Vec::new(),
            }
        };
        let first = records.put_final(job, response("first")).await.unwrap();
        let second = records.put_final(job, response("second")).await.unwrap();
        assert_eq!(first.processing_summary.engine, "first", "{backend}");
        assert_eq!(second, first, "{backend}: a job has one answer");
    }
}
