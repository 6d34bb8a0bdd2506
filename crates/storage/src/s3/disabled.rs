//! S3 in a build without it: says so.

use std::sync::Arc;
use std::time::Duration;

use caudal_core::{Error, ErrorKind, Result};
use object_store::ObjectStore;
use object_store::path::Path;

use super::S3Location;

/// What there is none of.
pub enum Presigner {}

impl Presigner {
    pub fn new(location: &S3Location) -> Result<Presigner> {
        open(location).and_then(|_| Err(Error::new(ErrorKind::Internal, "S3 is not in this build")))
    }

    pub async fn put(&self, _: &Path, _: u64, _: Duration) -> object_store::Result<String> {
        match *self {}
    }

    pub async fn get(&self, _: &Path, _: &str, _: &str, _: Duration) -> object_store::Result<String> {
        match *self {}
    }
}

pub fn open(location: &S3Location) -> Result<Arc<dyn ObjectStore>> {
    let detail = format!("{} cannot be used: S3 is not in this build", location.uri(""));
    Err(Error::new(ErrorKind::UnavailableEngine, detail).hint("build caudal with its default features"))
}
