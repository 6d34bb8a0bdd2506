//! Many writers of one journal: nothing is lost and nothing is there twice, whatever the store answers.

use std::collections::HashMap;

use caudal_core::JobState;
use caudal_core::ports::{Appended, JobRecords};
use caudal_storage::{Bucket, BucketRecords};
use futures::future::join_all;
use uuid::Uuid;

use crate::support::{buckets, entry, minute, record};

const WRITERS: u128 = 16;
const EVENTS: usize = 25;

/// What a journal holds after a race, against what its writers were told.
#[derive(Debug, Default, PartialEq)]
struct Damage {
    lost: usize,
    doubled: usize,
    gaps: usize,
}

/// `told` are the events that their writers take for written, `found` those that are there, by number.
fn damage(told: &[Uuid], found: &[Option<Uuid>]) -> Damage {
    let mut counts: HashMap<Uuid, usize> = HashMap::new();
    for id in found.iter().flatten() {
        *counts.entry(*id).or_default() += 1;
    }
    Damage {
        lost: told.iter().filter(|id| !counts.contains_key(id)).count(),
        doubled: counts.values().filter(|count| **count > 1).count(),
        gaps: found.iter().filter(|entry| entry.is_none()).count(),
    }
}

/// Appends events one after the other, each behind whatever is there.
async fn append_all(bucket: Bucket, writer: u128) -> Vec<Uuid> {
    let (records, job) = (BucketRecords::new(bucket), record(1, minute(0)).job_id);
    let (mut number, mut told) = (0, Vec::new());
    for _ in 0..EVENTS {
        let entry = entry(writer, minute(0), &[JobState::Queued]);
        loop {
            match records.append(job, number, &entry).await {
                Ok(Appended::Mine) => break,
                Ok(Appended::Taken(_)) => number += 1,
                // In doubt the same entry is written again: it is found to be one's own where it is there.
                Err(_) => {}
            }
        }
        number += 1;
        told.push(entry.entry_id);
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_of_one_journal_lose_and_double_nothing() {
    for (backend, bucket, _folder) in buckets() {
        let writers = (0..WRITERS).map(|writer| tokio::spawn(append_all(bucket.clone(), writer)));
        let told: Vec<Uuid> = join_all(writers).await.into_iter().flat_map(|told| told.unwrap()).collect();
        let entries = BucketRecords::new(bucket).journal(record(1, minute(0)).job_id).await.unwrap();
        let found: Vec<_> = entries.iter().map(|entry| Some(entry.entry_id)).collect();
        assert_eq!(told.len(), WRITERS as usize * EVENTS, "{backend}");
        assert_eq!(found.len(), told.len(), "{backend}");
        assert_eq!(damage(&told, &found), Damage::default(), "{backend}");
        println!("{backend}: {} events by {WRITERS} writers, nothing lost, nothing doubled", told.len());
    }
}

/// The writer that one writes first, and the test that it must not pass.
#[cfg(feature = "s3")]
mod naive {
    use std::sync::Arc;

    use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
    use object_store::path::Path;
    use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};

    use super::*;
    use crate::support::{on_server, server};

    /// Takes the store at its word: "already exists" is somebody else's, and what failed was not written.
    async fn append_all(store: Arc<AmazonS3>, folder: String) -> Vec<Uuid> {
        let (mut number, mut told) = (0, Vec::new());
        for _ in 0..EVENTS {
            let id = Uuid::now_v7();
            loop {
                let key = Path::from(format!("{folder}/{number:08}"));
                match store.put_opts(&key, id.to_string().into(), PutMode::Create.into()).await {
                    Ok(_) => break,
                    Err(Error::AlreadyExists { .. }) => number += 1,
                    Err(_) => {}
                }
            }
            number += 1;
            told.push(id);
        }
        told
    }

    async fn read(store: &AmazonS3, key: &Path) -> Option<Uuid> {
        loop {
            match store.get(key).await {
                Ok(found) => {
                    if let Ok(bytes) = found.bytes().await {
                        return Some(std::str::from_utf8(&bytes).unwrap().parse().unwrap());
                    }
                }
                Err(Error::NotFound { .. }) => return None,
                Err(_) => {}
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_writer_that_does_not_read_back_fails_the_same_test_on_a_store_with_faults() {
        let Some(endpoint) = server("CAUDAL_TEST_S3_FAULTS") else { return };
        let location = on_server(&endpoint);
        let builder = AmazonS3Builder::new()
            .with_endpoint(&endpoint)
            .with_allow_http(true)
            .with_bucket_name(&location.bucket)
            .with_region("us-east-1")
            .with_access_key_id("test")
            .with_secret_access_key("testtest")
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        let store = Arc::new(builder.build().unwrap());
        let writers = (0..WRITERS).map(|_| tokio::spawn(append_all(store.clone(), location.prefix.clone())));
        let told: Vec<Uuid> = join_all(writers).await.into_iter().flat_map(|told| told.unwrap()).collect();
        let mut found = Vec::new();
        // Numbers were passed over by somebody whenever they were taken for somebody else's: look behind gaps.
        while found.len() < WRITERS as usize || found.iter().rev().take(WRITERS as usize).any(Option::is_some)
        {
            let key = Path::from(format!("{}/{:08}", location.prefix, found.len()));
            found.push(read(&store, &key).await);
        }
        while found.last() == Some(&None) {
            found.pop();
        }
        let damage = damage(&told, &found);
        println!("the naive writer: {} events, {damage:?}", told.len());
        assert_ne!(damage, Damage::default(), "the faults of this server harm nobody");
    }
}
