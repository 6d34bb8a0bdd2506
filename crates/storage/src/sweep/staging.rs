//! Files that a killed process had begun to write in a bucket that is a folder.

use std::path::{Path as FolderPath, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::{Error, ErrorKind, Result};
use chrono::{DateTime, Utc};
use object_store::path::Path;

use super::{Garbage, Place, Rule, Target};

/// The store writes `name#1` and renames it to `name`.
pub(super) struct Staging;

#[async_trait]
impl Rule for Staging {
    fn name(&self) -> &'static str {
        "half-written file"
    }

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>> {
        let Some(folder) = place.bucket.file(&Path::default()) else { return Ok(Vec::new()) };
        let (now, age) = (place.now, place.retention.leftovers);
        let found = tokio::task::spawn_blocking(move || {
            let mut found = Vec::new();
            look_below(&folder, now, age, &mut found);
            found
        });
        let found = found.await.map_err(|e| Error::new(ErrorKind::Internal, "the sweep stopped").cause(e))?;
        Ok(found
            .into_iter()
            .map(|path| self.garbage(path.display(), vec![Target::File(path.clone())]))
            .collect())
    }
}

fn look_below(folder: &FolderPath, now: DateTime<Utc>, age: Duration, found: &mut Vec<PathBuf>) {
    // What is gone meanwhile is no garbage.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => look_below(&path, now, age, found),
            Ok(kind) if kind.is_file() && is_staging(&path) && is_old(&entry, now, age) => found.push(path),
            _ => {}
        }
    }
}

fn is_staging(path: &FolderPath) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let number = name.rsplit_once('#').map_or("", |(_, number)| number);
    !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_old(entry: &std::fs::DirEntry, now: DateTime<Utc>, age: Duration) -> bool {
    let changed = entry.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| DateTime::<Utc>::from(changed) + age <= now)
}
