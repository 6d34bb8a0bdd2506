//! Applications of Spark that run elsewhere: what they are given, and the records by which any process finds them again.

use bytes::Bytes;
use caudal_core::{Error, ErrorKind, JobId, Result};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bucket::{Bucket, failed};
use crate::keys;

/// One attempt at a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    pub job: JobId,
    pub number: u32,
}

/// The objects of applications elsewhere. All but the jar and the logs go when their job ends.
#[derive(Clone)]
pub struct Applications {
    bucket: Bucket,
}

impl Applications {
    pub fn new(bucket: Bucket) -> Self {
        Applications { bucket }
    }

    /// Whether Spark reaches what a URI names wherever it reaches the bucket.
    pub fn reaches(&self, uri: &str) -> bool {
        let scheme = |uri: &str| uri.split_once(':').map(|(scheme, _)| scheme.to_owned());
        scheme(uri) == scheme(&self.bucket.place())
    }

    /// The place of the Spark job, put there unless it is.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn jar(&self, hash: &str, content: &'static [u8]) -> Result<String> {
        let key = keys::spark_jar(hash);
        match self.bucket.store().head(&key).await {
            Ok(found) if found.size == content.len() as u64 => {}
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                self.bucket.put(&key, Bytes::from_static(content)).await?;
            }
            Err(error) => return Err(failed("read", &key, error)),
        }
        Ok(self.bucket.uri(&key))
    }

    /// The place of what an application is told.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn put_spec(&self, attempt: Attempt, content: Vec<u8>) -> Result<String> {
        let key = keys::spark_spec(attempt.job, attempt.number);
        self.bucket.put(&key, content).await?;
        Ok(self.bucket.uri(&key))
    }

    /// Where services are to put logs.
    pub fn logs_uri(&self) -> String {
        format!("{}/", self.bucket.uri(&keys::spark_logs()))
    }

    /// A log that a service has put there.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn log(&self, folder: &str, name: &str) -> Result<Option<Bytes>> {
        let key = Path::parse(format!("{}/{folder}/{name}", keys::spark_logs())).map_err(|e| {
            Error::new(ErrorKind::StorageUnavailable, "a log has a place that is none").cause(e)
        })?;
        self.bucket.get(&key).await
    }

    /// Says that an application is about to be started; true for the one who says so first. Intents differ
    /// from each other, even of one process.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn intend(&self, attempt: Attempt, number: u32, intent: &impl Serialize) -> Result<bool> {
        let key = keys::spark_intent(attempt.job, attempt.number, number);
        let content = Bytes::from(crate::bucket::json(intent)?);
        // A store that tries again by itself may meet its own first try.
        Ok(self.bucket.create(&key, content.clone()).await? || self.bucket.get(&key).await? == Some(content))
    }

    /// The newest intent, by its number.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn intent<T: DeserializeOwned>(&self, attempt: Attempt) -> Result<Option<(u32, T)>> {
        let names = self.bucket.list_names(&keys::spark_intents(attempt.job, attempt.number)).await?;
        let newest = names.iter().filter_map(|name| name.strip_suffix(".json")?.parse::<u32>().ok()).max();
        let Some(number) = newest else { return Ok(None) };
        let found = self.bucket.get_json(&keys::spark_intent(attempt.job, attempt.number, number)).await?;
        Ok(found.map(|intent| (number, intent)))
    }

    /// Keeps how an application is to be started, unless it was said before; what was said first.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn order<T: Serialize + DeserializeOwned>(&self, attempt: Attempt, order: T) -> Result<T> {
        let key = keys::spark_order(attempt.job, attempt.number);
        match self.bucket.create(&key, crate::bucket::json(&order)?).await? {
            true => Ok(order),
            false => Ok(self.ordered(attempt).await?.unwrap_or(order)),
        }
    }

    /// How an application is to be started, where that was said.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn ordered<T: DeserializeOwned>(&self, attempt: Attempt) -> Result<Option<T>> {
        self.bucket.get_json(&keys::spark_order(attempt.job, attempt.number)).await
    }

    /// Has an application be none that is known; its results and logs stay.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn forget(&self, attempt: Attempt) -> Result<()> {
        self.bucket.delete(&keys::spark_order(attempt.job, attempt.number)).await
    }

    /// Keeps the identity of what was started, or a look at it.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn keep(&self, note: Note, attempt: Attempt, value: &impl Serialize) -> Result<()> {
        self.bucket.put_json(&note.key(attempt), value).await
    }

    /// What was kept.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn kept<T: DeserializeOwned>(&self, note: Note, attempt: Attempt) -> Result<Option<T>> {
        self.bucket.get_json(&note.key(attempt)).await
    }
}

/// What is kept of an application.
#[derive(Clone, Copy, Debug)]
pub enum Note {
    Started,
    Look,
}

impl Note {
    fn key(self, attempt: Attempt) -> Path {
        let key = match self {
            Note::Started => keys::spark_started,
            Note::Look => keys::spark_look,
        };
        key(attempt.job, attempt.number)
    }
}
