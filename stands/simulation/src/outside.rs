//! What the journal's own files ask of the crate around them, and a simulation has no need of: S3, Arrow, file names.

use std::path::Path as FolderPath;
use std::sync::Arc;
use std::time::Duration;

use caudal_core::{Error, ErrorKind, Result};
use object_store::ObjectStore;
use object_store::path::Path;

/// A place on S3; there is none here.
pub struct S3Location;

impl S3Location {
    pub fn open(&self) -> Result<Arc<dyn ObjectStore>> {
        Err(Error::new(ErrorKind::UnavailableEngine, "there is no S3 in a simulation"))
    }

    pub fn uri(&self, key: &str) -> String {
        format!("s3://simulated/{key}")
    }

    pub fn prefix_in(&self, _: &str) -> Option<Path> {
        None
    }
}

pub struct Presigner;

impl Presigner {
    pub fn new(_: &S3Location) -> Result<Presigner> {
        Ok(Presigner)
    }

    pub async fn put(&self, _: &Path, _: u64, _: Duration) -> object_store::Result<String> {
        Err(no_addresses())
    }

    pub async fn get(&self, _: &Path, _: &str, _: &str, _: Duration) -> object_store::Result<String> {
        Err(no_addresses())
    }
}

fn no_addresses() -> object_store::Error {
    object_store::Error::NotImplemented { operation: "presigning".into(), implementer: "a simulation".into() }
}

pub fn file_uri(path: &FolderPath) -> String {
    format!("file:{}", path.display())
}
