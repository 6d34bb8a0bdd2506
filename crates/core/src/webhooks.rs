//! Webhooks: telling a client's own server that a job has ended, and the journal behind which that is kept until it is heard.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::job::{JobId, JobStatus};

/// Tells of the ends of jobs.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Whether an address may be called, as far as its text tells; the reason where it may not.
    ///
    /// # Errors
    /// What was expected and what was found.
    fn check(&self, url: &str) -> Result<(), String>;

    /// Has the end of a job told. From here on it is in the bucket, and told until it is heard or given up; saying it again
    /// changes nothing.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    async fn announce(&self, status: &JobStatus, url: &str) -> Result<()>;
}

/// A message that is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    pub job_id: JobId,
    pub owner: String,
    pub url: String,
    /// What is sent: JSON, the same bytes at every attempt.
    pub body: String,
    pub created_at: DateTime<Utc>,
}

/// An attempt at a delivery, which belongs to whoever created it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryAttempt {
    pub id: uuid::Uuid,
    pub at: DateTime<Utc>,
    /// Seconds until the next one, if this one comes to nothing.
    pub next_in: f64,
}

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryOutcome {
    pub delivered: bool,
    pub attempts: u32,
    pub at: DateTime<Utc>,
    /// What the other side, or the way to it, said last.
    pub said: String,
}

/// The journal of deliveries in the bucket.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Keeps a delivery unless the job has one, ended or not; whether it is new.
    async fn begin(&self, delivery: &Delivery) -> Result<bool>;
    /// Jobs whose delivery has not ended.
    async fn pending(&self) -> Result<Vec<JobId>>;
    /// `None` where it has ended.
    async fn find(&self, job: JobId) -> Result<Option<Delivery>>;
    /// The attempts so far, in their order.
    async fn attempts(&self, job: JobId) -> Result<Vec<DeliveryAttempt>>;
    /// Claims attempt `number`, from 0; false where another instance has it.
    async fn attempt(&self, job: JobId, number: u32, attempt: &DeliveryAttempt) -> Result<bool>;
    async fn end(&self, job: JobId, outcome: &DeliveryOutcome) -> Result<()>;
    /// Takes away how deliveries ended that ended before a time.
    async fn forget(&self, before: DateTime<Utc>) -> Result<()>;
}
