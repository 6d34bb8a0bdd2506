//! The settings of uploads: how large, and for how long.

use std::time::Duration;

use caudal_core::Result;
use caudal_storage::UploadLimits;
use serde::Deserialize;

use super::{byte_size, invalid};

/// Bodies that lie in the bucket until a job reads them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UploadSettings {
    max_size: String,
    keep_hours: f64,
}

impl UploadSettings {
    /// # Errors
    /// `InvalidRequest` where the size cannot be read.
    pub fn limits(&self) -> Result<UploadLimits> {
        Ok(UploadLimits {
            max_size: byte_size("uploads.max_size", &self.max_size)?,
            keep: Duration::from_secs_f64(self.keep_hours * 3600.0),
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        match (0.001..=87_600.0).contains(&self.keep_hours) {
            true => self.limits().map(drop),
            false => Err(invalid("uploads.keep_hours is between 0.001 and 87600 hours")),
        }
    }
}
