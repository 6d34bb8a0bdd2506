//! The index of an owner's jobs, walked from the newest day back without reading what is not asked for.

use caudal_core::fault::pointer;
use caudal_core::{Error, ErrorKind, Faults, JobId, Result};

use crate::bucket::Bucket;
use crate::keys;

/// One job in the index.
pub struct Entry {
    pub job: JobId,
    /// `{day}/{name}`: the cursor that goes on behind this entry.
    pub cursor: String,
}

/// Goes through an owner's jobs, newest first.
pub struct Walk<'a> {
    bucket: &'a Bucket,
    owner: &'a str,
    /// Days that are still to come, the next one last.
    days: Vec<String>,
    day: String,
    /// Names of the current day that are still to come, the next one last.
    names: Vec<String>,
}

impl<'a> Walk<'a> {
    /// Starts at the newest job, or behind a cursor that an earlier walk gave out.
    ///
    /// # Errors
    /// `MalformedRequest` where the cursor was not given out by this index.
    pub async fn new(bucket: &'a Bucket, owner: &'a str, cursor: Option<&str>) -> Result<Walk<'a>> {
        let mut days = bucket.list_names(&keys::index_folder(owner)).await?;
        let mut walk = Walk { bucket, owner, days: Vec::new(), day: String::new(), names: Vec::new() };
        if let Some(cursor) = cursor {
            let (day, name) =
                cursor.split_once('/').filter(|(_, name)| job_of(name).is_some()).ok_or_else(foreign)?;
            days.retain(|d| d.as_str() < day);
            walk.day = day.to_owned();
            walk.names = walk.names_of(day).await?;
            walk.names.retain(|n| n.as_str() > name);
        }
        walk.days = days;
        Ok(walk)
    }

    pub async fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            while let Some(name) = self.names.pop() {
                if let Some(job) = job_of(&name) {
                    return Ok(Some(Entry { job, cursor: format!("{}/{name}", self.day) }));
                }
            }
            let Some(day) = self.days.pop() else { return Ok(None) };
            self.names = self.names_of(&day).await?;
            self.day = day;
        }
    }

    async fn names_of(&self, day: &str) -> Result<Vec<String>> {
        let mut names = self.bucket.list_names(&keys::index_day(self.owner, day)).await?;
        names.reverse();
        Ok(names)
    }
}

/// `{9999999999999 − milliseconds}-{job id}`.
fn job_of(name: &str) -> Option<JobId> {
    name.split_once('-')?.1.parse().ok()
}

fn foreign() -> Error {
    let mut faults = Faults::default();
    let detail = || "expected the next_cursor of an earlier answer".into();
    faults.push(|| pointer("", "cursor"), detail);
    Error::from_faults(ErrorKind::MalformedRequest, faults)
}
