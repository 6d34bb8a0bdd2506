//! What was promised survives a loss of power: a folder's file system is synced once for all who wait at that moment.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use caudal_core::{Error, ErrorKind, Result};
use tokio::sync::{Mutex as Turn, oneshot};

/// Syncs one folder. One sync of the file system is an order of magnitude quicker than one of each file and folder that
/// a job consists of, and serves all jobs that wait for one.
pub(crate) struct Syncer {
    waiting: Mutex<Vec<oneshot::Sender<Result<()>>>>,
    turn: Turn<()>,
    folder: std::fs::File,
}

impl Syncer {
    /// # Errors
    /// `StorageUnavailable` where the folder cannot be opened.
    pub fn open(folder: &Path) -> Result<Arc<Syncer>> {
        let opened = std::fs::File::open(folder).map_err(|e| {
            let detail = format!("the folder {} cannot be opened: {e}", folder.display());
            Error::new(ErrorKind::StorageUnavailable, detail)
        })?;
        Ok(Arc::new(Syncer { waiting: Mutex::default(), turn: Turn::new(()), folder: opened }))
    }

    /// Returns once everything that was written before the call is on the disk.
    ///
    /// # Errors
    /// `StorageUnavailable` where the disk does not take it.
    pub async fn sync(self: &Arc<Self>) -> Result<()> {
        let (told, outcome) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(told);
        // On a task of its own: others wait for it too, whatever becomes of this caller.
        tokio::spawn(self.clone().sync_all());
        outcome.await.unwrap_or_else(|_| Err(unsynced("the sync was cut short")))
    }

    async fn sync_all(self: Arc<Self>) {
        let turn = self.turn.lock().await;
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return;
        }
        let me = self.clone();
        let synced = tokio::task::spawn_blocking(move || sync_file_system(&me.folder)).await;
        drop(turn);
        let synced = match synced {
            Ok(synced) => synced.map_err(unsynced),
            Err(stopped) => Err(unsynced(stopped)),
        };
        for told in waiting {
            // Somebody who went away needs no answer.
            let _ = told.send(synced.clone());
        }
    }
}

fn unsynced(cause: impl std::fmt::Display) -> Error {
    let detail = "the bucket's disk did not take what was written";
    Error::new(ErrorKind::StorageUnavailable, detail).cause(cause)
}

#[cfg(target_os = "linux")]
fn sync_file_system(folder: &std::fs::File) -> std::io::Result<()> {
    rustix::fs::syncfs(folder).map_err(std::io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(folder: &std::fs::File) -> std::io::Result<()> {
    rustix::fs::sync();
    folder.sync_all()
}
