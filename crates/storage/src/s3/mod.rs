//! Where a bucket on S3 is, and how it is opened where this build can.

#[cfg(not(feature = "s3"))]
mod disabled;
#[cfg(feature = "s3")]
mod enabled;

use std::fmt;
use std::sync::Arc;

use caudal_core::{Error, ErrorKind, Result};
use object_store::ObjectStore;
use object_store::path::Path;
use percent_encoding::percent_decode_str;

pub(crate) use self::backend::Presigner;
#[cfg(not(feature = "s3"))]
use self::disabled as backend;
#[cfg(feature = "s3")]
use self::enabled as backend;
use crate::datasets::encoded;

/// A bucket, or a folder of one, and how to get there.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Location {
    /// The bucket's name.
    pub bucket: String,
    /// What all keys begin with; empty for the whole bucket.
    pub prefix: String,
    /// Variables of the environment as AWS's own tools read them: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, …
    pub variables: Vec<(String, String)>,
    /// Another address than Amazon's.
    pub endpoint: Option<String>,
    /// Whether that address may be without TLS.
    pub allow_http: bool,
}

impl fmt::Debug for S3Location {
    /// The variables are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Location({})", self.uri(""))
    }
}

/// Whether a place is one on S3, by its form.
pub fn is_s3(place: &str) -> bool {
    place.starts_with("s3://")
}

impl S3Location {
    /// Reads `s3://bucket/prefix`.
    ///
    /// # Errors
    /// `InvalidRequest` where the form is another one.
    pub fn parse(uri: &str) -> Result<S3Location> {
        let malformed = || {
            let detail = format!("{uri:?} is no place on S3; expected s3://bucket or s3://bucket/prefix");
            Error::new(ErrorKind::InvalidRequest, detail)
        };
        let place = uri.strip_prefix("s3://").ok_or_else(malformed)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if bucket.is_empty() || !bucket.chars().all(named) {
            return Err(malformed());
        }
        let prefix = percent_decode_str(prefix).decode_utf8().map_err(|_| malformed())?;
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|_| malformed())?;
        Ok(S3Location {
            bucket: bucket.into(),
            prefix: prefix.into(),
            variables: Vec::new(),
            endpoint: None,
            allow_http: false,
        })
    }

    /// What its keys begin with, where it lies in this bucket.
    pub(crate) fn prefix_in(&self, bucket: &str) -> Option<Path> {
        (self.bucket == bucket).then(|| Path::parse(&self.prefix).ok()).flatten()
    }

    /// The place of a key, for people and other programs.
    pub fn uri(&self, key: &str) -> String {
        let steps = [self.bucket.as_str(), self.prefix.as_str(), key];
        let steps: Vec<_> = steps.into_iter().filter(|step| !step.is_empty()).collect();
        format!("s3://{}", encoded(&steps.join("/")))
    }

    /// # Errors
    /// `UnavailableEngine` in a build without S3; `InvalidRequest` where the settings do not go together.
    pub(crate) fn open(&self) -> Result<Arc<dyn ObjectStore>> {
        backend::open(self)
    }
}
