//! Idempotency keys: which job the first request with a key has, and the port behind which that is kept.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::job::JobId;

/// What a key stands for: `idempotency/{hash of owner and key}`, stored by put-if-absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The job that the request becomes, or has become.
    pub job_id: JobId,
    /// Of the request: what has another one is another request.
    pub fingerprint: String,
    pub claimed_at: DateTime<Utc>,
    /// It may be taken away from then on; a day is promised.
    pub expires_at: DateTime<Utc>,
}

/// Whose a key is.
#[derive(Clone, Debug)]
pub enum Claimed {
    Mine,
    /// An earlier request has it, with this claim.
    Earlier(Claim),
}

/// The idempotency keys of all owners. Keys of different owners have nothing to do with each other.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Claims a key unless somebody has. Whatever the store answers, the claim is read back where there is any doubt.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    async fn claim(&self, owner: &str, key: &str, claim: &Claim) -> Result<Claimed>;

    /// Gives a key back that came to nothing.
    ///
    /// # Errors
    /// `StorageUnavailable`.
    async fn release(&self, owner: &str, key: &str) -> Result<()>;
}
