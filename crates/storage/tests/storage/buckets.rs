//! What every bucket keeps: one creates, what is written is there at once and listed, large things come back whole.

use std::ops::Range;
use std::sync::Arc;

use caudal_core::export::NormalizedData;
use caudal_core::ports::JobRecords;
use caudal_core::request::OutputFormat;
use caudal_core::{ErrorKind, JobId};
use caudal_storage::{Bucket, BucketRecords, Datasets, Filler, S3Location, SourceOptions};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use crate::support::{buckets, minute, on_server, record, server, stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_that_keeps_the_rules_is_taken_and_nothing_of_the_trial_stays() {
    for (backend, bucket, folder) in buckets() {
        bucket.probe(Uuid::now_v7(), 8).await.unwrap_or_else(|e| panic!("{backend}: {e} {:?}", e.cause));
        if let Some(folder) = folder {
            let files = walk(folder.path());
            assert!(files.is_empty(), "{files:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trial_counts_for_a_day() {
    let trials =
        |folder: &std::path::Path| walk(folder).iter().filter(|f| !f.ends_with("passed.json")).count();
    for (backend, bucket, folder) in buckets() {
        let probe = Uuid::now_v7();
        bucket.probe_unless_known(probe, 2, minute(0)).await.unwrap_or_else(|e| panic!("{backend}: {e}"));
        let Some(folder) = folder else { continue };
        let passed = folder.path().join("probe/passed.json");
        let first = std::fs::read(&passed).unwrap();
        bucket.probe_unless_known(probe, 2, minute(24 * 60 - 1)).await.unwrap();
        assert_eq!(std::fs::read(&passed).unwrap(), first, "within a day nothing is tried");
        bucket.probe_unless_known(probe, 2, minute(24 * 60)).await.unwrap();
        let second = std::fs::read(&passed).unwrap();
        assert_ne!(second, first);
        std::fs::write(&passed, "{").unwrap();
        bucket.probe_unless_known(probe, 2, minute(24 * 60)).await.unwrap();
        assert_eq!(std::fs::read(&passed).unwrap(), second, "what says nothing is written anew");
        assert_eq!(trials(folder.path()), 0);
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_where_several_writers_succeed_is_refused() {
    let Some(endpoint) = server("CAUDAL_TEST_S3_UNLOCKED") else { return };
    let bucket = Bucket::open_s3(on_server(&endpoint)).unwrap();
    let error = bucket.probe(Uuid::now_v7(), 8).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnsuitableStorage, "{error}");
    println!("refused: {}", error.full_text());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_that_is_not_there_or_not_ours_is_told_with_the_reason() {
    let Some(endpoint) = server("CAUDAL_TEST_S3") else { return };
    let location = on_server(&endpoint);
    let elsewhere = S3Location { bucket: "nobodys".into(), ..location.clone() };
    let wrong_key = |name: &str| {
        let mut location = location.clone();
        location.variables.iter_mut().filter(|(n, _)| n == name).for_each(|(_, value)| value.push('x'));
        location
    };
    let cases = [
        (elsewhere, "there is no such bucket"),
        (wrong_key("AWS_SECRET_ACCESS_KEY"), "the secret key is a wrong one"),
        (wrong_key("AWS_ACCESS_KEY_ID"), "the account of this access key does not use S3"),
    ];
    for (location, reason) in cases {
        let error = Bucket::open_s3(location).unwrap().probe(Uuid::now_v7(), 1).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::StorageUnavailable, "{error}");
        assert!(error.detail.contains(reason), "{} {:?}", error.full_text(), error.cause);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_objects_than_a_store_lists_at_once_are_all_listed() {
    for (backend, bucket, _folder) in buckets() {
        let records = Arc::new(BucketRecords::new(bucket));
        let created = stream::iter(0..1_100_u32).map(|number| {
            let records = records.clone();
            async move { records.create(&record(u128::from(number), minute(i64::from(number))), None).await }
        });
        created.buffer_unordered(32).try_collect::<()>().await.unwrap();
        let mut active = records.active().await.unwrap();
        active.sort();
        let expected: Vec<_> = (0..1_100).map(|number| JobId(Uuid::from_u128(number))).collect();
        assert!(active == expected, "{backend}: {} of 1,100 jobs", active.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn large_objects_are_whole_and_read_in_any_piece() {
    // Two parts of about 18 MB as text, so that each goes in pieces.
    let rows = 2_000_000;
    let value = |row: u64| (row as f64).sqrt();
    for (backend, bucket, _folder) in buckets() {
        let data = Datasets::new(bucket, SourceOptions::default());
        let input = stage(record(1, minute(0)));
        let fill = move |_: usize, mut rows: Range<u64>| {
            let next = move |out: &mut [f64]| {
                out.iter_mut().zip(&mut rows).for_each(|(slot, row)| *slot = value(row));
                Ok(())
            };
            Ok(Box::new(next) as Box<Filler>)
        };
        let names = ["root".to_owned()];
        data.put_normalized(&input, OutputFormat::Csv, &names, rows, Arc::new(fill)).await.unwrap();
        let export = data.export(input.job_id(), None).await.unwrap();
        let text: Vec<u8> = export.body.map_ok(|piece| piece.to_vec()).try_concat().await.unwrap();
        let mut lines = text.split(|byte| *byte == b'\n').skip(1);
        for row in 0..rows {
            let line = std::str::from_utf8(lines.next().unwrap()).unwrap();
            assert_eq!(line.parse(), Ok(value(row)), "{backend} row {row}");
        }
        assert_eq!(lines.next(), Some(b"".as_slice()), "{backend}");
    }
}
