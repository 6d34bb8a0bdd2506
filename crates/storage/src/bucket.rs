//! One bucket over an object store, with errors in our own words.

use std::path::{Path as FolderPath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use caudal_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys;

/// A folder or, for tests, memory. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// The folder, where the bucket is one.
    folder: Option<Arc<PathBuf>>,
}

impl Bucket {
    /// Opens a folder as a bucket, and makes it where it is not there.
    ///
    /// # Errors
    /// `StorageUnavailable` when it cannot be made or is not a folder.
    pub fn open_folder(path: &FolderPath) -> Result<Bucket> {
        let unusable = |e: &dyn std::fmt::Display| {
            let detail = format!("the folder {} cannot be used as the bucket: {e}", path.display());
            Error::new(ErrorKind::StorageUnavailable, detail).hint("name another one with --storage")
        };
        std::fs::create_dir_all(path).map_err(|e| unusable(&e))?;
        let folder = path.canonicalize().map_err(|e| unusable(&e))?;
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(|e| unusable(&e))?;
        Ok(Bucket { store: Arc::new(store), folder: Some(Arc::new(folder)) })
    }

    /// A bucket that is gone with the process.
    pub fn memory() -> Bucket {
        Bucket { store: Arc::new(InMemory::new()), folder: None }
    }

    /// Where an object is, for people and other programs.
    pub fn uri(&self, key: &Path) -> String {
        match &self.folder {
            Some(folder) => format!("file://{}/{key}", folder.display()),
            None => format!("memory:///{key}"),
        }
    }

    /// The file that an object is, where the bucket is a folder.
    pub(crate) fn file(&self, key: &Path) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(key.as_ref()))
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    pub(crate) async fn get(&self, key: &Path) -> Result<Option<Bytes>> {
        match self.store.get(key).await {
            Ok(found) => found.bytes().await.map(Some).map_err(|e| failed("read", key, e)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed("read", key, e)),
        }
    }

    pub(crate) async fn put(&self, key: &Path, content: impl Into<Bytes>) -> Result<()> {
        let content: Bytes = content.into();
        self.store.put(key, content.into()).await.map(drop).map_err(|e| failed("write", key, e))
    }

    /// Writes an object unless there is one; false where there was.
    pub(crate) async fn create(&self, key: &Path, content: impl Into<Bytes>) -> Result<bool> {
        let content: Bytes = content.into();
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(key, content.into(), options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(e) => Err(failed("write", key, e)),
        }
    }

    pub(crate) async fn get_json<T: DeserializeOwned>(&self, key: &Path) -> Result<Option<T>> {
        let Some(bytes) = self.get(key).await? else { return Ok(None) };
        let value = serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(ErrorKind::StorageUnavailable, format!("the object {key} is damaged")).cause(e)
        })?;
        Ok(Some(value))
    }

    pub(crate) async fn put_json(&self, key: &Path, value: &impl Serialize) -> Result<()> {
        self.put(key, json(value)?).await
    }

    /// Like [`put_json`](Self::put_json), laid out for people who open the object.
    pub(crate) async fn put_pretty_json(&self, key: &Path, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_vec_pretty(value).map_err(unwritable)?;
        self.put(key, text).await
    }

    /// Takes an object away; one that is not there is fine.
    pub(crate) async fn delete(&self, key: &Path) -> Result<()> {
        match self.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(failed("delete", key, e)),
        }
    }

    /// The folders and objects directly below a folder, by name and in order.
    pub(crate) async fn list_names(&self, folder: &Path) -> Result<Vec<String>> {
        let found =
            self.store.list_with_delimiter(Some(folder)).await.map_err(|e| failed("list", folder, e))?;
        let objects = found.objects.iter().map(|object| &object.location);
        let names = found.common_prefixes.iter().chain(objects).filter_map(Path::filename);
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Takes everything below a folder away.
    pub(crate) async fn delete_below(&self, folder: &Path) -> Result<()> {
        let found: Vec<_> =
            self.store.list(Some(folder)).try_collect().await.map_err(|e| failed("list", folder, e))?;
        for object in found {
            self.delete(&object.location).await?;
        }
        Ok(())
    }

    /// What a host has measured of itself, as it was stored.
    pub async fn calibration<T: DeserializeOwned>(&self, fingerprint: &str) -> Option<T> {
        // A calibration that cannot be read is measured again.
        self.get_json(&keys::calibration(fingerprint)).await.ok().flatten()
    }

    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn put_calibration(&self, fingerprint: &str, calibration: &impl Serialize) -> Result<()> {
        self.put_json(&keys::calibration(fingerprint), calibration).await
    }
}

pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(unwritable)
}

fn unwritable(e: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "a record cannot be written as JSON").cause(e)
}

/// An error of the store in our words; its own stays in the log.
pub(crate) fn failed(what: &str, key: &Path, error: object_store::Error) -> Error {
    let cause = full_cause(&error);
    let (reason, hint) = match () {
        () if cause.contains("os error 28") => (": the disk is full", Some("make room and try again")),
        () if cause.contains("os error 30") => (": the disk is read-only", Some("name another folder")),
        () if cause.contains("os error 13") => (": permission denied", Some("check who owns the folder")),
        () => ("", None),
    };
    let mut mapped =
        Error::new(ErrorKind::StorageUnavailable, format!("the bucket cannot {what} {key}{reason}"));
    mapped.hint = hint.map(str::to_owned);
    mapped.cause(cause)
}

fn full_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}
