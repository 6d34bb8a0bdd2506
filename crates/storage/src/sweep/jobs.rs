//! Jobs past their time, and the journals of jobs that have ended.

use async_trait::async_trait;
use caudal_core::{JobId, Result};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Garbage, Place, Rule, Target};
use crate::keys;
use crate::removal::objects_of;

/// The part of the compacted job that says when it ended.
#[derive(Deserialize)]
struct Ended {
    owner: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

async fn ended(place: &Place<'_>, job: JobId) -> Result<Option<Ended>> {
    place.bucket.get_json(&keys::finished_job(job)).await
}

/// Jobs that ended longer ago than jobs are kept.
pub(super) struct EndedJobs;

#[async_trait]
impl Rule for EndedJobs {
    fn name(&self) -> &'static str {
        "job past its time"
    }

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>> {
        let mut found = Vec::new();
        for job in &place.jobs {
            // A job is not older than its identity.
            if !place.is_older(job.0, place.retention.jobs) || place.active.contains(job) {
                continue;
            }
            let Some(ended) = ended(place, *job).await? else { continue };
            if ended.updated_at + place.retention.jobs <= place.now {
                let index = Some((ended.owner.as_str(), ended.created_at));
                found.push(self.garbage(job, objects_of(*job, index)));
            }
        }
        Ok(found)
    }
}

/// How long after its making a job's journal is looked at: each sweep in that time would have taken it away.
const WATCHED: chrono::TimeDelta = chrono::TimeDelta::days(3);

/// The entries of journals that lie in the compacted job as well.
pub(super) struct Journals;

#[async_trait]
impl Rule for Journals {
    fn name(&self) -> &'static str {
        "journal of an ended job"
    }

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>> {
        let mut found = Vec::new();
        for job in &place.jobs {
            let made = super::made_at(job.0);
            let is_watched = made.is_none_or(|at| at + WATCHED > place.now);
            if !is_watched || !place.is_older(job.0, place.retention.journals) || place.active.contains(job) {
                continue;
            }
            let Some(ended) = ended(place, *job).await? else { continue };
            let folder = keys::journal_folder(*job);
            if ended.updated_at + place.retention.journals <= place.now {
                let names = place.bucket.list_names(&folder).await?;
                // From the first on: whoever finds no first entry reads the compacted job.
                let entries = names.into_iter().map(|name| Target::Object(folder.clone().join(name)));
                let entries: Vec<Target> = entries.collect();
                if !entries.is_empty() {
                    found.push(self.garbage(job, entries));
                }
            }
        }
        Ok(found)
    }
}
