//! The journal of a job: numbered entries by put-if-absent, and any doubt resolved by reading back.

use std::time::Duration;

use caudal_core::journal::JournalEntry;
use caudal_core::ports::Appended;
use caudal_core::{Error, ErrorKind, JobId, Result};

use crate::bucket::{Bucket, json};
use crate::keys;

/// Tries after an answer that leaves open whether the entry was written.
const TRIES: u32 = 5;

/// The wait after the first such answer; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// Writes entry `number` unless it is there.
///
/// A store may say "already exists" of one's own write (a lost answer, then its own retry), or fail
/// after writing. So whatever it says but success, the entry is read back and its id compared.
pub async fn append(bucket: &Bucket, job: JobId, number: u32, entry: &JournalEntry) -> Result<Appended> {
    let key = keys::journal_entry(job, number);
    let content = json(entry)?;
    let mut wait = FIRST_WAIT;
    let mut last = None;
    for _ in 0..TRIES {
        match bucket.create(&key, content.clone()).await {
            Ok(true) => return Ok(Appended::Mine),
            Ok(false) => {}
            Err(error) => last = Some(error),
        }
        match bucket.get_json::<JournalEntry>(&key).await {
            Ok(Some(found)) if found.entry_id == entry.entry_id => return Ok(Appended::Mine),
            Ok(Some(found)) => return Ok(Appended::Taken(Box::new(found))),
            Ok(None) => {}
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    Err(last.unwrap_or_else(|| {
        Error::new(ErrorKind::StorageUnavailable, format!("the bucket cannot write {key}"))
    }))
}

/// All entries by number; they are read up to the first gap, since nobody writes beyond one.
pub async fn read(bucket: &Bucket, job: JobId) -> Result<Vec<JournalEntry>> {
    let mut entries = Vec::new();
    while let Some(entry) = bucket.get_json(&keys::journal_entry(job, entries.len() as u32)).await? {
        entries.push(entry);
    }
    Ok(entries)
}
