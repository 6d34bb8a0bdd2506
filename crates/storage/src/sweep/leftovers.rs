//! What killed processes left: half-made jobs, outputs without a job, instances and probes that are no more.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::job::JobRecord;
use caudal_core::journal::JournalState;
use caudal_core::{JobId, Result};
use object_store::path::Path;
use uuid::Uuid;

use super::{Garbage, Place, Rule, Target};
use crate::removal::objects_of;
use crate::{journal, keys};

/// Jobs that have neither ended nor a marker: those that were never queued go, and those that were get their marker back.
pub(super) struct UnmarkedJobs;

#[async_trait]
impl Rule for UnmarkedJobs {
    fn name(&self) -> &'static str {
        "job without end or marker"
    }

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>> {
        let mut found = Vec::new();
        for job in &place.jobs {
            let is_old = place.is_older(job.0, place.retention.leftovers);
            if !is_old || place.active.contains(job) || is_finished(place, *job).await? {
                continue;
            }
            let record = place.bucket.get_json::<JobRecord>(&keys::request(*job)).await?;
            let journal = journal::read(place.bucket, *job).await?;
            let was_queued = JournalState::replay(&journal).is_ok_and(|journal| journal.state.is_some());
            found.push(match (record, was_queued) {
                (Some(_), true) => self.garbage(format!("{job}: marked again"), vec![Target::Marker(*job)]),
                (record, _) => {
                    let index = record.as_ref().map(|r| (r.owner.as_str(), r.created_at));
                    self.garbage(job, objects_of(*job, index))
                }
            });
        }
        Ok(found)
    }
}

async fn is_finished(place: &Place<'_>, job: JobId) -> Result<bool> {
    let names = place.bucket.list_names(&keys::job_folder(job)).await?;
    let finished = keys::finished_job(job);
    Ok(names.iter().any(|name| Some(name.as_str()) == finished.filename()))
}

/// Outputs of jobs that are not there.
pub(super) struct Orphans;

#[async_trait]
impl Rule for Orphans {
    fn name(&self) -> &'static str {
        "output without a job"
    }

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>> {
        let there: BTreeSet<JobId> = place.jobs.iter().copied().collect();
        let mut found = Vec::new();
        for root in keys::output_roots() {
            for name in place.bucket.list_names(&root).await? {
                let Ok(job) = name.parse::<JobId>() else { continue };
                if !there.contains(&job) && place.is_older(job.0, place.retention.leftovers) {
                    let folder = root.clone().join(name);
                    found.push(self.garbage(&folder, vec![Target::Below(folder.clone())]));
                }
            }
        }
        Ok(found)
    }
}

/// Things below one folder that are named by an identity, which tells their time.
pub(super) struct Named {
    name: &'static str,
    folder: fn() -> Path,
    age: Duration,
}

impl Named {
    pub const PROBES: Named =
        Named { name: "probe", folder: keys::probes_folder, age: Duration::from_secs(3600) };
}

#[async_trait]
impl Rule for Named {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>> {
        let folder = (self.folder)();
        let names = place.bucket.list_names(&folder).await?;
        let old = names.into_iter().filter(|name| {
            name.parse::<Uuid>().is_ok_and(|id| place.is_older(id, self.age.max(place.retention.journals)))
        });
        Ok(old
            .map(|name| folder.clone().join(name))
            .map(|path| self.garbage(&path, vec![Target::Below(path.clone())]))
            .collect())
    }
}

/// Signs of life of instances that gave none for long. Their identities are as old as their processes and tell nothing.
pub(super) struct Instances;

#[async_trait]
impl Rule for Instances {
    fn name(&self) -> &'static str {
        "instance that is no more"
    }

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>> {
        let folder = keys::instances_folder();
        let mut found = Vec::new();
        for name in place.bucket.list_names(&folder).await? {
            let key = folder.clone().join(name);
            let beat = place.bucket.get_json::<caudal_core::journal::Beat>(&key).await?;
            if beat.is_some_and(|beat| beat.at + place.retention.leftovers <= place.now) {
                found.push(self.garbage(&key, vec![Target::Object(key.clone())]));
            }
        }
        Ok(found)
    }
}
