//! Takes objects away that belong together: all of a job, or what a sweep has found.

use caudal_core::{JobId, Result};
use chrono::{DateTime, Utc};
use object_store::path::Path;

use crate::bucket::Bucket;
use crate::keys;

/// Objects that go together, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Target {
    Object(Path),
    Below(Path),
    /// A file that the store itself does not show.
    File(std::path::PathBuf),
    /// Not to be taken away but to be put back: the marker of a job that has not ended.
    Marker(JobId),
}

/// All objects of a job. Its own folder is the last to go: as long as it is there, the next sweep finds the rest.
pub(crate) fn objects_of(job: JobId, index: Option<(&str, DateTime<Utc>)>) -> Vec<Target> {
    let mut targets: Vec<Target> = keys::output_folders(job).into_iter().map(Target::Below).collect();
    targets.push(Target::Below(keys::delivery_attempts(job)));
    targets.push(Target::Object(keys::ended_delivery(job)));
    if let Some((owner, created_at)) = index {
        targets.push(Target::Object(keys::index_entry(owner, created_at, job)));
    }
    targets.push(Target::Object(keys::active(job)));
    targets.push(Target::Below(keys::job_folder(job)));
    targets
}

impl Bucket {
    /// Takes away every object of a job.
    pub(crate) async fn remove_job(&self, job: JobId, owner: &str, created_at: DateTime<Utc>) -> Result<()> {
        self.take_away(&objects_of(job, Some((owner, created_at)))).await
    }

    /// Takes away what is there of it.
    pub(crate) async fn take_away(&self, targets: &[Target]) -> Result<()> {
        for target in targets {
            match target {
                Target::Object(key) => self.delete(key).await?,
                Target::Below(folder) => self.delete_folder(folder).await?,
                Target::Marker(job) => self.put(&keys::active(*job), Vec::new()).await?,
                // Gone already, or somebody else's: the next sweep sees.
                Target::File(path) => drop(tokio::fs::remove_file(path).await),
            }
        }
        Ok(())
    }

    /// Everything below a folder, and the folder itself where folders are things.
    async fn delete_folder(&self, folder: &Path) -> Result<()> {
        self.delete_below(folder).await?;
        if let Some(path) = self.file(folder) {
            remove_empty(&path).await;
        }
        Ok(())
    }
}

/// Takes folders away that hold nothing but folders that hold nothing. One that got something meanwhile stays.
async fn remove_empty(folder: &std::path::Path) {
    let folder = folder.to_owned();
    // Where that is cut short, empty folders stay.
    let _ = tokio::task::spawn_blocking(move || remove_empty_now(&folder)).await;
}

fn remove_empty_now(folder: &std::path::Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty_now(&entry.path());
        }
    }
    // Refused where there is anything in it.
    let _ = std::fs::remove_dir(folder);
}
