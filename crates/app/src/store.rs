//! The bucket and the data sets that the settings name.

#[cfg(feature = "identity")]
use std::sync::Arc;

use caudal_core::Result;
use caudal_storage::Bucket;
#[cfg(feature = "normalize")]
use caudal_storage::{Datasets, SourceOptions, SpillOptions};

use crate::settings::{Settings, StorageLocation};

/// # Errors
/// `StorageUnavailable` when it cannot be opened, `InvalidRequest` for a wrong setting.
pub fn open(settings: &Settings) -> Result<Bucket> {
    match settings.storage.location()? {
        StorageLocation::Folder(folder) => Bucket::open_folder(&folder),
        StorageLocation::S3(location) => Bucket::open_s3(location),
    }
}

/// # Errors
/// `InvalidRequest` for a wrong setting.
#[cfg(feature = "normalize")]
pub fn datasets(settings: &Settings, bucket: &Bucket) -> Result<Datasets> {
    let options = SourceOptions {
        allowed_roots: settings.allowed_folders(),
        allowed_s3: settings.allowed_s3()?,
        memory_limit: settings.memory_limit()?,
        spill: SpillOptions { folder: settings.spill_folder(), limit: settings.spill_limit()? },
    };
    Ok(Datasets::new(bucket.clone(), options))
}

/// The API keys of whoever uses the same bucket.
#[cfg(feature = "identity")]
pub fn api_keys(bucket: Bucket) -> Arc<dyn caudal_core::identity::ApiKeys> {
    Arc::new(caudal_storage::BucketApiKeys::new(bucket))
}
