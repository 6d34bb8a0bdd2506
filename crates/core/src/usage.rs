//! What an owner uses of a server, as each instance tells the others.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;

/// What one owner has used at one instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The day, in UTC, that the elements are of.
    pub day: NaiveDate,
    /// Rows × columns that were handed in on that day.
    pub elements: u64,
    /// Jobs that are queued or running.
    pub running: u64,
    /// When this was so.
    pub at: DateTime<Utc>,
}

/// What instances on one bucket tell each other of what owners use.
#[async_trait]
pub trait UsageRecords: Send + Sync {
    /// Tells what an owner has used at an instance; what it told before is forgotten.
    async fn tell(&self, owner: &str, instance: Uuid, usage: &Usage) -> Result<()>;
    /// What all instances have told of an owner.
    async fn told(&self, owner: &str) -> Result<Vec<(Uuid, Usage)>>;
    /// Takes away what an instance has told.
    async fn forget(&self, owner: &str, instance: Uuid) -> Result<()>;
}
