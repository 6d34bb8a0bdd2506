//! API keys in the bucket: one object a key, without its secret.

use async_trait::async_trait;
use caudal_core::identity::{ApiKey, ApiKeys};
use caudal_core::{Error, ErrorKind, Result};
use chrono::{DateTime, Utc};

use crate::bucket::{Bucket, json};
use crate::keys;

/// The API keys of everybody who shares a bucket.
pub struct BucketApiKeys {
    bucket: Bucket,
}

impl BucketApiKeys {
    pub fn new(bucket: Bucket) -> Self {
        BucketApiKeys { bucket }
    }
}

#[async_trait]
impl ApiKeys for BucketApiKeys {
    async fn find(&self, id: &str) -> Result<Option<ApiKey>> {
        self.bucket.get_json(&keys::api_key(id)).await
    }

    async fn list(&self) -> Result<Vec<ApiKey>> {
        let mut found = Vec::new();
        for name in self.bucket.list_names(&keys::api_keys_folder()).await? {
            let Some(id) = name.strip_suffix(".json") else { continue };
            found.extend(self.find(id).await?);
        }
        found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(found)
    }

    async fn add(&self, key: &ApiKey) -> Result<()> {
        match self.bucket.create(&keys::api_key(&key.id), json(key)?).await? {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Conflict, format!("there is a key {} already", key.id))),
        }
    }

    /// What is stored stays, so that a list tells that there was such a key and when it ended.
    async fn revoke(&self, id: &str, at: DateTime<Utc>) -> Result<Option<ApiKey>> {
        let Some(mut key) = self.find(id).await? else { return Ok(None) };
        if key.revoked_at.is_none() {
            key.revoked_at = Some(at);
            self.bucket.put_json(&keys::api_key(id), &key).await?;
        }
        Ok(Some(key))
    }
}
