//! Idempotency keys in the bucket: one object each, created by whoever is first.

use std::time::Duration;

use async_trait::async_trait;
use caudal_core::claims::{Claim, Claimed, Claims};
use caudal_core::uploads::hex;
use caudal_core::{Error, ErrorKind, Result};
use object_store::path::Path;
use sha2::{Digest, Sha256};

use crate::bucket::{Bucket, json};
use crate::keys;

/// Tries after an answer that leaves open whose the key is.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// Idempotency keys behind the port of core.
pub struct BucketClaims {
    bucket: Bucket,
}

impl BucketClaims {
    pub fn new(bucket: Bucket) -> Self {
        BucketClaims { bucket }
    }
}

#[async_trait]
impl Claims for BucketClaims {
    async fn claim(&self, owner: &str, key: &str, claim: &Claim) -> Result<Claimed> {
        let (key, content) = (place(owner, key), json(claim)?);
        let mut wait = FIRST_WAIT;
        let mut last = None;
        for _ in 0..TRIES {
            match self.bucket.create(&key, content.clone()).await {
                Ok(true) => return Ok(Claimed::Mine),
                Ok(false) => {}
                Err(error) => last = Some(error),
            }
            match self.bucket.get_json::<Claim>(&key).await {
                Ok(Some(found)) if found.job_id == claim.job_id => return Ok(Claimed::Mine),
                Ok(Some(found)) => return Ok(Claimed::Earlier(found)),
                // It has just been given back.
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

    async fn release(&self, owner: &str, key: &str) -> Result<()> {
        self.bucket.delete(&place(owner, key)).await
    }
}

/// Owners and keys are of any length and any characters, and a hash is not.
fn place(owner: &str, key: &str) -> Path {
    let mut hash = Sha256::new();
    hash.update((owner.len() as u64).to_le_bytes());
    hash.update(owner);
    hash.update(key);
    keys::idempotency(&hex(&hash.finalize().into()))
}
