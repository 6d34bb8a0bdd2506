//! The journal of webhooks in the bucket: what is to be delivered, the attempts at it, and how it ended.

use async_trait::async_trait;
use caudal_core::webhooks::{Deliveries, Delivery, DeliveryAttempt, DeliveryOutcome};
use caudal_core::{JobId, Result};
use chrono::{DateTime, Utc};

use crate::bucket::{Bucket, json};
use crate::keys;

/// Deliveries behind the port of core.
pub struct BucketDeliveries {
    bucket: Bucket,
}

impl BucketDeliveries {
    pub fn new(bucket: Bucket) -> Self {
        BucketDeliveries { bucket }
    }

    async fn jobs(&self, folder: &object_store::path::Path) -> Result<Vec<JobId>> {
        let names = self.bucket.list_names(folder).await?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".json")?.parse().ok()).collect())
    }
}

#[async_trait]
impl Deliveries for BucketDeliveries {
    async fn begin(&self, delivery: &Delivery) -> Result<bool> {
        let job = delivery.job_id;
        if self.bucket.get(&keys::ended_delivery(job)).await?.is_some() {
            return Ok(false);
        }
        self.bucket.create(&keys::pending_delivery(job), json(delivery)?).await
    }

    async fn pending(&self) -> Result<Vec<JobId>> {
        self.jobs(&keys::pending_deliveries()).await
    }

    async fn find(&self, job: JobId) -> Result<Option<Delivery>> {
        self.bucket.get_json(&keys::pending_delivery(job)).await
    }

    async fn attempts(&self, job: JobId) -> Result<Vec<DeliveryAttempt>> {
        let mut attempts = Vec::new();
        while let Some(attempt) =
            self.bucket.get_json(&keys::delivery_attempt(job, attempts.len() as u32)).await?
        {
            attempts.push(attempt);
        }
        Ok(attempts)
    }

    async fn attempt(&self, job: JobId, number: u32, attempt: &DeliveryAttempt) -> Result<bool> {
        let key = keys::delivery_attempt(job, number);
        // Whatever the store says but success may be about one's own write.
        match self.bucket.create(&key, json(attempt)?).await {
            Ok(true) => Ok(true),
            answer => match self.bucket.get_json::<DeliveryAttempt>(&key).await? {
                Some(found) => Ok(found == *attempt),
                None => answer,
            },
        }
    }

    async fn end(&self, job: JobId, outcome: &DeliveryOutcome) -> Result<()> {
        self.bucket.put_json(&keys::ended_delivery(job), outcome).await?;
        self.bucket.delete(&keys::pending_delivery(job)).await?;
        self.bucket.delete_below(&keys::delivery_attempts(job)).await
    }

    async fn forget(&self, before: DateTime<Utc>) -> Result<()> {
        for job in self.jobs(&keys::ended_deliveries()).await? {
            let key = keys::ended_delivery(job);
            let outcome: Option<DeliveryOutcome> = self.bucket.get_json(&key).await?;
            if outcome.is_some_and(|outcome| outcome.at < before) {
                self.bucket.delete(&key).await?;
            }
        }
        Ok(())
    }
}
