//! What owners use, in the bucket: one small object for each owner and instance.

use async_trait::async_trait;
use caudal_core::Result;
use caudal_core::usage::{Usage, UsageRecords};
use uuid::Uuid;

use crate::bucket::Bucket;
use crate::keys;

/// The usage that all who share a bucket have told.
pub struct BucketUsage {
    bucket: Bucket,
}

impl BucketUsage {
    pub fn new(bucket: Bucket) -> Self {
        BucketUsage { bucket }
    }
}

#[async_trait]
impl UsageRecords for BucketUsage {
    async fn tell(&self, owner: &str, instance: Uuid, usage: &Usage) -> Result<()> {
        self.bucket.put_json(&keys::usage(owner, instance), usage).await
    }

    async fn told(&self, owner: &str) -> Result<Vec<(Uuid, Usage)>> {
        let mut all = Vec::new();
        for name in self.bucket.list_names(&keys::usage_folder(owner)).await? {
            let Some(instance) = name.strip_suffix(".json").and_then(|id| id.parse().ok()) else { continue };
            // One that is gone again is of no use to anybody.
            let told = self.bucket.get_json(&keys::usage(owner, instance)).await?;
            all.extend(told.map(|usage| (instance, usage)));
        }
        Ok(all)
    }

    async fn forget(&self, owner: &str, instance: Uuid) -> Result<()> {
        self.bucket.delete(&keys::usage(owner, instance)).await
    }
}
