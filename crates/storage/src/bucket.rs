//! One bucket over an object store, with errors in our own words.

use std::path::{Path as FolderPath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use caudal_core::reasons::{self, Reason};
use caudal_core::{Error, ErrorKind, Result};
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::durable::Syncer;
use crate::s3::Presigner;
use crate::{S3Location, file_uri, keys, large};

/// A folder, a place on S3 or, for tests, memory. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    place: Place,
    syncer: Option<Arc<Syncer>>,
    presigner: Option<Arc<Presigner>>,
}

/// Tries to create an object that others are said to be creating.
const CREATIONS: u32 = 8;

#[derive(Clone)]
enum Place {
    Folder(Arc<PathBuf>),
    S3(Arc<S3Location>),
    /// A store that tests bring along and that keeps the rules of S3.
    Other,
    Memory,
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
        let place = Place::Folder(Arc::new(folder));
        Ok(Bucket { store: Arc::new(store), place, syncer: None, presigner: None })
    }

    /// The same bucket, which makes [sure](Self::persist) of what is promised. Objects on S3 are sure as they are.
    ///
    /// # Errors
    /// `StorageUnavailable` where the folder cannot be opened.
    pub fn durable(self) -> Result<Bucket> {
        match &self.place {
            Place::Folder(folder) => Ok(Bucket { syncer: Some(Syncer::open(folder)?), ..self }),
            Place::S3(_) | Place::Other | Place::Memory => Ok(self),
        }
    }

    /// Opens a place on S3 as a bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// `UnavailableEngine` in a build without S3, `InvalidRequest` where the settings do not go together.
    pub fn open_s3(location: S3Location) -> Result<Bucket> {
        let presigner = Some(Arc::new(Presigner::new(&location)?));
        Ok(Bucket { store: location.open()?, place: Place::S3(Arc::new(location)), syncer: None, presigner })
    }

    /// A bucket over a store of another kind, which keeps the rules of S3.
    pub fn over(store: Arc<dyn ObjectStore>) -> Bucket {
        Bucket { store, place: Place::Other, syncer: None, presigner: None }
    }

    /// A bucket that is gone with the process.
    pub fn memory() -> Bucket {
        Bucket { store: Arc::new(InMemory::new()), place: Place::Memory, syncer: None, presigner: None }
    }

    /// Where the bucket itself is.
    pub fn place(&self) -> String {
        self.uri(&Path::default())
    }

    /// Where an object is, for people and other programs.
    pub fn uri(&self, key: &Path) -> String {
        match &self.place {
            Place::Folder(folder) => file_uri(&folder.join(key.as_ref())).replacen("file:", "file://", 1),
            Place::S3(location) => location.uri(key.as_ref()),
            Place::Other | Place::Memory => format!("memory:///{key}"),
        }
    }

    /// Whether it is on other machines.
    pub fn is_remote(&self) -> bool {
        matches!(self.place, Place::S3(_) | Place::Other)
    }

    /// The folder that it is.
    pub(crate) fn folder(&self) -> Option<&FolderPath> {
        match &self.place {
            Place::Folder(folder) => Some(folder),
            Place::S3(_) | Place::Other | Place::Memory => None,
        }
    }

    /// What its keys begin with in a bucket on S3, where it lies in that one.
    pub(crate) fn prefix_in(&self, bucket: &str) -> Option<Path> {
        match &self.place {
            Place::S3(location) => location.prefix_in(bucket),
            Place::Folder(_) | Place::Other | Place::Memory => None,
        }
    }

    /// The file that an object is, where the bucket is a folder.
    pub(crate) fn file(&self, key: &Path) -> Option<PathBuf> {
        match &self.place {
            Place::Folder(folder) => Some(folder.join(key.as_ref())),
            Place::S3(_) | Place::Other | Place::Memory => None,
        }
    }

    /// An address of the store itself to put an object of so many bytes to; `None` where it gives none.
    pub(crate) async fn presigned_put(
        &self,
        key: &Path,
        size: u64,
        lasts: Duration,
    ) -> Result<Option<String>> {
        let Some(presigner) = &self.presigner else { return Ok(None) };
        presigner.put(key, size, lasts).await.map(Some).map_err(|e| failed("give an address for", key, e))
    }

    /// Whether the store itself can be asked for objects, at addresses that it gives.
    pub(crate) fn gives_addresses(&self) -> bool {
        self.presigner.is_some()
    }

    /// An address of the store itself to get an object from, as a file of this media type and name.
    pub(crate) async fn presigned_get(
        &self,
        key: &Path,
        media_type: &str,
        name: &str,
        lasts: Duration,
    ) -> Result<String> {
        let Some(presigner) = &self.presigner else {
            return Err(Error::new(ErrorKind::Internal, "the bucket gives no addresses"));
        };
        presigner.get(key, media_type, name, lasts).await.map_err(|e| failed("give an address for", key, e))
    }

    pub(crate) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Returns once everything that was written before survives a loss of power.
    ///
    /// # Errors
    /// `StorageUnavailable` where the disk does not take it.
    pub(crate) async fn persist(&self) -> Result<()> {
        match &self.syncer {
            Some(syncer) => syncer.sync().await,
            None => Ok(()),
        }
    }

    /// That the bucket's folder is still there: one that was taken away is not made again, since what it held is missed.
    pub(crate) fn is_there(&self) -> Result<()> {
        match &self.place {
            Place::Folder(folder) if !folder.is_dir() => {
                let detail = format!("the bucket's folder {} is gone", folder.display());
                Err(Error::new(ErrorKind::StorageUnavailable, detail).hint("put it back, or mount its disk"))
            }
            _ => Ok(()),
        }
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
        self.is_there()?;
        let written = match self.is_remote() && content.len() > large::FROM {
            true => large::put(&*self.store, key, &content).await,
            false => self.store.put(key, content.into()).await.map(drop),
        };
        written.map_err(|e| failed("write", key, e))
    }

    /// Writes an object unless there is one; false where there was. S3 also refuses a writer that meets another one, though
    /// neither may have written: so it is looked whether there is one.
    pub(crate) async fn create(&self, key: &Path, content: impl Into<Bytes>) -> Result<bool> {
        let content: Bytes = content.into();
        self.is_there()?;
        let mut tried = 1;
        loop {
            let options = PutOptions::from(PutMode::Create);
            match self.store.put_opts(key, content.clone().into(), options).await {
                Ok(_) => return Ok(true),
                Err(object_store::Error::AlreadyExists { .. }) if !self.is_remote() => return Ok(false),
                Err(object_store::Error::AlreadyExists { .. }) => {}
                Err(e) => return Err(failed("write", key, e)),
            }
            match self.store.head(key).await {
                Ok(_) => return Ok(false),
                Err(object_store::Error::NotFound { .. }) if tried < CREATIONS => tried += 1,
                Err(e) => return Err(failed("write", key, e)),
            }
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
        self.put(key, pretty_json(value)?).await
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
        let found = self.store.list(Some(folder)).map_ok(|object| object.location).boxed();
        let mut gone = self.store.delete_stream(found);
        while let Some(deleted) = gone.next().await {
            match deleted {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(e) => return Err(failed("delete", folder, e)),
            }
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

pub(crate) fn pretty_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(unwritable)
}

fn unwritable(e: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, "a record cannot be written as JSON").cause(e)
}

/// An error of the store in our words; its own stays in the log.
pub(crate) fn failed(what: &str, key: &Path, error: object_store::Error) -> Error {
    explained(ErrorKind::StorageUnavailable, format!("the bucket cannot {what} {key}"), error)
}

/// An error of a store, with the reason and the cure where they are known.
pub(crate) fn explained(kind: ErrorKind, what: String, error: object_store::Error) -> Error {
    let cause = full_cause(&error);
    let error = match reasons::find(&cause, &[REASONS, reasons::OF_AWS, NOBODY_THERE]) {
        Some((_, reason, cure)) => Error::new(kind, format!("{what}: {reason}")).hint(cure),
        None => Error::new(kind, what),
    };
    error.cause(cause)
}

/// What disks and stores say beside what Amazon's services do.
const REASONS: &[Reason] = &[
    ("os error 28", "the disk is full", "make room and try again"),
    ("os error 30", "the disk is read-only", "name another folder"),
    ("os error 13", "permission denied", "check who owns the folder"),
    ("NoSuchBucket", "there is no such bucket", "create it, or name another one with --storage"),
    ("NotSignedUp", "the account of this access key does not use S3", "check AWS_ACCESS_KEY_ID"),
    ("without LOCATION", "the bucket is in another region", "set AWS_REGION to the bucket's region"),
    ("SlowDown", "it asks for fewer requests", "try again later"),
];

/// Said also where an instance's role is asked for and there is none, which is the better reason.
const NOBODY_THERE: &[Reason] = &[(
    "Connection refused",
    "nobody listens at its address",
    "check AWS_ENDPOINT_URL or storage.s3_endpoint",
)];

fn full_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}
