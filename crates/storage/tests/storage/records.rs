//! What every bucket promises of jobs: one owner for each journal entry, lists newest first, nothing lost.

use caudal_core::job::LOCAL_OWNER;
use caudal_core::ports::{Appended, JobQuery, JobRecords};
use caudal_core::request::{InlineColumn, InlineTable};
use caudal_core::{ErrorKind, JobState};
use caudal_storage::{Bucket, BucketRecords, Datasets, SourceOptions};
use tempfile::TempDir;

use crate::support::{buckets, entry, minute, record, stage, table_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_one_owns_an_entry_and_the_others_are_told_who() {
    for (backend, bucket, _folder) in buckets() {
        let job = record(7, minute(0)).job_id;
        for number in 0..20 {
            let attempts: Vec<_> = (0..16)
                .map(|writer| {
                    let records = BucketRecords::new(bucket.clone());
                    let entry = entry(writer, minute(0), &[JobState::Queued]);
                    tokio::spawn(async move {
                        (entry.entry_id, records.append(job, number, &entry).await.unwrap())
                    })
                })
                .collect();
            let mut owners = Vec::new();
            let mut told = Vec::new();
            for attempt in attempts {
                match attempt.await.unwrap() {
                    (id, Appended::Mine) => owners.push(id),
                    (_, Appended::Taken(other)) => told.push(other.entry_id),
                }
            }
            assert_eq!((owners.len(), told.len()), (1, 15), "{backend}");
            assert!(told.iter().all(|id| *id == owners[0]), "{backend}");
        }
    }
}

#[tokio::test]
async fn an_entry_that_was_written_after_all_is_still_its_writers() {
    for (backend, bucket, _folder) in buckets() {
        let (records, job) = (BucketRecords::new(bucket), record(7, minute(0)).job_id);
        let entry = entry(1, minute(0), &[JobState::Queued]);
        for _ in 0..2 {
            // The second time stands for a retry after a lost answer.
            let appended = records.append(job, 0, &entry).await.unwrap();
            assert!(matches!(appended, Appended::Mine), "{backend}");
        }
        assert_eq!(records.journal(job).await.unwrap().len(), 1, "{backend}");
    }
}

#[tokio::test]
async fn a_job_is_found_once_it_is_queued_and_its_marker_goes_with_its_end() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket);
        let mine = record(9, minute(3));
        let job = mine.job_id;
        assert_eq!(records.status(job).await.unwrap_err().kind, ErrorKind::NotFound, "{backend}");
        records.create(&mine, None).await.unwrap();
        assert_eq!(records.status(job).await.unwrap_err().kind, ErrorKind::NotFound, "{backend}");
        assert_eq!(records.active().await.unwrap(), [job], "{backend}");
        records.append(job, 0, &entry(1, minute(4), &[JobState::Queued])).await.unwrap();
        let queued = records.status(job).await.unwrap();
        assert_eq!((queued.status, queued.created_at), (JobState::Queued, minute(3)), "{backend}");
        let last = [JobState::Validating, JobState::Failed];
        records.append(job, 1, &entry(1, minute(5), &last)).await.unwrap();
        let failed = records.status(job).await.unwrap();
        records.finish(&failed).await.unwrap();
        assert!(records.active().await.unwrap().is_empty(), "{backend}");
        let compacted = records.status(job).await.unwrap();
        assert_eq!((compacted.status, compacted.transitions.len()), (JobState::Failed, 3), "{backend}");
        assert_eq!(compacted.updated_at, minute(5), "{backend}");
    }
}

#[tokio::test]
async fn an_ended_job_is_removed_whole_once_nobody_sees_to_its_end_any_more() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket.clone());
        let (gone, stays) = (record(21, minute(3)), record(22, minute(3)));
        for job in [&gone, &stays] {
            let columns = vec![InlineColumn { name: "x".into(), values: vec![1.0], inexact_integers: 0 }];
            records.create(job, Some(&InlineTable { columns })).await.unwrap();
            let states = [JobState::Queued, JobState::Validating, JobState::Failed];
            records.append(job.job_id, 0, &entry(1, minute(4), &states)).await.unwrap();
        }
        let failed = records.status(gone.job_id).await.unwrap();
        let early = records.remove(&failed).await.unwrap_err();
        assert_eq!(early.kind, ErrorKind::NotFinished, "{backend}: its marker is there");
        records.finish(&failed).await.unwrap();
        records.remove(&failed).await.unwrap();
        records.remove(&failed).await.unwrap();
        assert_eq!(records.status(gone.job_id).await.unwrap_err().kind, ErrorKind::NotFound, "{backend}");
        assert!(records.journal(gone.job_id).await.unwrap().is_empty(), "{backend}");
        let query = JobQuery { owner: gone.owner.clone(), status: None, limit: 10, cursor: None };
        let listed = records.list(&query).await.unwrap().jobs;
        assert_eq!(listed.iter().map(|job| job.job_id).collect::<Vec<_>>(), [stays.job_id], "{backend}");
    }
}

#[tokio::test]
async fn pages_walk_the_days_back_and_leave_nothing_out() {
    for (backend, bucket, _folder) in buckets() {
        let records = BucketRecords::new(bucket);
        // Five jobs on each of four days, among them two of the same millisecond.
        let minutes: Vec<i64> = (0..4).flat_map(|day| [0, 0, 1, 700, 1439].map(|m| day * 1440 + m)).collect();
        for (number, minutes) in minutes.iter().enumerate() {
            let record = record(number as u128, minute(*minutes));
            records.create(&record, None).await.unwrap();
            let queued = entry(1, record.created_at, &[JobState::Queued]);
            records.append(record.job_id, 0, &queued).await.unwrap();
        }
        for limit in [1, 3, 5, 20, 100] {
            let mut query = JobQuery { owner: LOCAL_OWNER.into(), status: None, limit, cursor: None };
            let mut found = Vec::new();
            loop {
                let page = records.list(&query).await.unwrap();
                assert!(page.jobs.len() <= limit, "{backend}");
                found.extend(page.jobs.iter().map(|job| (job.created_at, job.job_id)));
                query.cursor = page.next_cursor;
                if query.cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found.len(), 20, "{backend}, pages of {limit}");
            assert!(found.windows(2).all(|pair| pair[0].0 >= pair[1].0), "{backend}");
            found.sort();
            found.dedup();
            assert_eq!(found.len(), 20, "{backend}, pages of {limit}: each job once");
        }
        let nobody = JobQuery { owner: "nobody".into(), status: None, limit: 9, cursor: None };
        assert!(records.list(&nobody).await.unwrap().jobs.is_empty(), "{backend}");
        let failed = JobQuery { owner: LOCAL_OWNER.into(), status: Some(JobState::Failed), ..nobody };
        assert!(records.list(&failed).await.unwrap().jobs.is_empty(), "{backend}");
    }
}

#[tokio::test]
async fn a_cursor_of_our_own_making_only() {
    let records = BucketRecords::new(Bucket::memory());
    for cursor in ["", "x", "2026-01-01", "2026-01-01/", "../../etc/passwd", "2026-01-01/12-notauuid"] {
        let query =
            JobQuery { owner: LOCAL_OWNER.into(), status: None, limit: 9, cursor: Some(cursor.into()) };
        let error = records.list(&query).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::MalformedRequest, "{cursor}");
    }
}

#[tokio::test]
async fn inline_numbers_come_back_bit_by_bit() {
    for (backend, bucket, _folder) in buckets() {
        let values = vec![0.1, -0.0, f64::NAN, 5e-324, f64::MAX, -1.5];
        let columns =
            vec![InlineColumn { name: "a.\"b\"\nc".into(), values: values.clone(), inexact_integers: 3 }];
        let mut mine = record(5, minute(0));
        mine.inline = true;
        BucketRecords::new(bucket.clone()).create(&mine, Some(&InlineTable { columns })).await.unwrap();
        let source = Datasets::new(bucket, SourceOptions::default()).source(&stage(mine)).await.unwrap();
        let table = table_of(&source).unwrap();
        let bits = |values: &[f64]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&table.columns[0].values), bits(&values), "{backend}");
        assert_eq!(table.columns[0].name, "a.\"b\"\nc", "{backend}");
        assert_eq!(table.columns[0].inexact_integers, 3, "{backend}");
    }
}

#[test]
fn a_file_cannot_be_a_bucket_and_the_message_says_what_to_do() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let Err(error) = Bucket::open_folder(&file) else { panic!("a file was opened as a bucket") };
    assert_eq!(error.kind, ErrorKind::StorageUnavailable);
    assert!(error.full_text().contains("--storage"), "{}", error.full_text());
}
