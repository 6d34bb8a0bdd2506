//! Takes away what nobody needs any more: jobs past their time, and what killed processes left.
//!
//! Whatever is found is old and belongs to nobody, and stays so, since no rule looks at a job that may be worked on: two
//! instances may sweep at once, and a sweep may be cut off anywhere. A kind of garbage is a [`Rule`]; [`rules`] lists them.

mod expired;
mod jobs;
mod leftovers;
mod staging;

use std::time::Duration;

use async_trait::async_trait;
use caudal_core::{JobId, Result};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::bucket::Bucket;
use crate::keys;
use crate::removal::Target;

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// A job, after it has ended.
    pub jobs: Duration,
    /// What belongs to no job, before it counts as forgotten.
    pub leftovers: Duration,
    /// The single entries of the journal of a job that has ended, which lie in the compacted job as well.
    pub journals: Duration,
}

/// Something that can go, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Garbage {
    pub rule: &'static str,
    /// What it is, for people.
    pub what: String,
    targets: Vec<Target>,
}

/// One kind of garbage.
#[async_trait]
trait Rule: Send + Sync {
    fn name(&self) -> &'static str;

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>>;

    fn garbage(&self, what: impl std::fmt::Display, targets: Vec<Target>) -> Garbage
    where
        Self: Sized,
    {
        Garbage { rule: self.name(), what: what.to_string(), targets }
    }
}

/// Every kind of garbage. Records that expire need no more than a line in [`expired::Expired`].
fn rules() -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(jobs::EndedJobs),
        Box::new(jobs::Journals),
        Box::new(leftovers::UnmarkedJobs),
        Box::new(leftovers::Orphans),
        Box::new(leftovers::Instances),
        Box::new(leftovers::Named::PROBES),
        Box::new(expired::Expired::UPLOADS),
        Box::new(expired::Expired::IDEMPOTENCY),
        Box::new(staging::Staging),
    ]
}

/// What a sweep looks at.
struct Place<'a> {
    bucket: &'a Bucket,
    retention: Retention,
    now: DateTime<Utc>,
    /// All jobs that have a folder, in order.
    jobs: Vec<JobId>,
    active: Vec<JobId>,
}

impl Place<'_> {
    /// Whether something with an identity that tells its time was made so long ago.
    fn is_older(&self, id: Uuid, age: Duration) -> bool {
        made_at(id).is_some_and(|at| at + age <= self.now)
    }
}

/// When an identity was made; only those of version 7 tell.
fn made_at(id: Uuid) -> Option<DateTime<Utc>> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}

impl Bucket {
    /// Finds garbage and, unless it is only to be shown, takes it away. What cannot be taken away is left for the next
    /// time.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket cannot be looked through.
    pub async fn sweep(
        &self,
        retention: Retention,
        now: DateTime<Utc>,
        dry_run: bool,
    ) -> Result<Vec<Garbage>> {
        let ids = |names: Vec<String>| names.iter().filter_map(|name| name.parse().ok()).collect();
        // Markers first: a job that is made between the two looks is too young for every rule.
        let active = ids(self.list_names(&keys::active_folder()).await?);
        let jobs = ids(self.list_names(&keys::jobs_folder()).await?);
        let place = Place { bucket: self, retention, now, jobs, active };
        let mut all = Vec::new();
        for rule in rules() {
            all.extend(rule.find(&place).await?);
        }
        if !dry_run {
            for garbage in &all {
                self.take_away(&garbage.targets).await?;
            }
        }
        Ok(all)
    }
}
