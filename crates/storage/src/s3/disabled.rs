//! S3 in a build without it: says so.

use std::sync::Arc;

use caudal_core::{Error, ErrorKind, Result};
use object_store::ObjectStore;

use super::S3Location;

pub fn open(location: &S3Location) -> Result<Arc<dyn ObjectStore>> {
    let detail = format!("{} cannot be used: S3 is not in this build", location.uri(""));
    Err(Error::new(ErrorKind::UnavailableEngine, detail).hint("build caudal with its default features"))
}
