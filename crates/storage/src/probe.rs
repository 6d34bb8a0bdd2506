//! Tries a bucket at the start: whether it keeps what the journal of a job stands on.

use bytes::Bytes;
use caudal_core::{Error, ErrorKind, Result};
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use object_store::path::Path;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::bucket::Bucket;
use crate::keys;

/// Writers that create the same object at the same time.
const WRITERS: usize = 16;

/// Tries to create an object at all, where nobody was told that it was created and it is not there.
const TRIES: usize = 3;

/// For how long one trial counts for all that come after it.
const COUNTS: TimeDelta = TimeDelta::hours(24);

/// That a bucket kept the rules.
#[derive(Serialize, Deserialize)]
struct Passed {
    at: DateTime<Utc>,
}

const HINT: &str = "Caudal needs a store with conditional writes (If-None-Match) and strong consistency, such as a \
                    folder or Amazon S3";

impl Bucket {
    /// Creates objects from many sides at once, of which exactly one may succeed each time, and looks whether
    /// what was written is read and listed at once. Leaves nothing behind.
    ///
    /// # Errors
    /// `UnsuitableStorage` where the bucket breaks one of these rules, `StorageUnavailable` where it does not answer.
    pub async fn probe(&self, probe: Uuid, rounds: usize) -> Result<()> {
        let kept = self.rules_are_kept(probe, rounds).await;
        let swept = self.delete_below(&keys::probe_folder(probe)).await;
        kept.and(swept)
    }

    /// Tries the bucket where nobody has within a day: a trial is some two hundred requests, sixteen of them at once, and
    /// this is one.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    pub async fn probe_unless_known(&self, probe: Uuid, rounds: usize, now: DateTime<Utc>) -> Result<()> {
        let key = keys::probe_passed();
        // What cannot be read as such says nothing.
        let passed = self.get(&key).await?.and_then(|found| serde_json::from_slice::<Passed>(&found).ok());
        if passed.is_some_and(|passed| (now - passed.at).abs() < COUNTS) {
            return Ok(());
        }
        self.probe(probe, rounds).await?;
        self.put_json(&key, &Passed { at: now }).await
    }

    async fn rules_are_kept(&self, probe: Uuid, rounds: usize) -> Result<()> {
        for round in 0..rounds {
            self.one_creates(&keys::probe(probe, round)).await?;
        }
        let folder = keys::probe_folder(probe);
        let listed = self.list_names(&folder).await?;
        let missing = (0..rounds).find(|round| {
            let key = keys::probe(probe, *round);
            !listed.iter().any(|name| Some(name.as_str()) == key.filename())
        });
        match missing {
            None => Ok(()),
            Some(_) => Err(unsuitable("an object that had just been written was not listed")),
        }
    }

    /// Writers race; later ones find the object there.
    async fn one_creates(&self, key: &Path) -> Result<()> {
        let (winners, there) = self.race(key).await?;
        match winners.as_slice() {
            // Whoever wrote it was not told so.
            [] => {}
            [winner] if there == content(*winner) => {}
            [_] => return Err(unsuitable("what was read is not what had just been written")),
            _ => {
                let detail =
                    format!("{} of {WRITERS} writers created the same object at once", winners.len());
                return Err(unsuitable(&detail));
            }
        }
        match self.create(key, content(WRITERS)).await? {
            false => Ok(()),
            true => Err(unsuitable("an object was created that was already there")),
        }
    }

    /// The writers who were told that they created the object, and what is there.
    async fn race(&self, key: &Path) -> Result<(Vec<usize>, Bytes)> {
        let mut last = None;
        for _ in 0..TRIES {
            let creations = (0..WRITERS).map(|writer| self.create(key, content(writer)));
            let mut winners = Vec::new();
            for (writer, created) in join_all(creations).await.into_iter().enumerate() {
                match created {
                    Ok(true) => winners.push(writer),
                    Ok(false) => {}
                    Err(error) => last = Some(error),
                }
            }
            match self.get(key).await? {
                Some(there) => return Ok((winners, there)),
                None if winners.is_empty() => {}
                None => return Err(unsuitable("an object that had just been written was not there")),
            }
        }
        Err(last.unwrap_or_else(|| unsuitable("an object is said to be there, and is not")))
    }
}

fn content(writer: usize) -> Bytes {
    format!("writer {writer}").into()
}

fn unsuitable(found: &str) -> Error {
    let detail = format!("the bucket cannot keep jobs: {found}");
    Error::new(ErrorKind::UnsuitableStorage, detail).hint(HINT)
}
