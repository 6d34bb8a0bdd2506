//! Addresses of the store itself for answers that are better fetched there.

use std::time::Duration;

use async_trait::async_trait;
use caudal_core::export::{Addresses, Export, ExportFormat, StoredObject};
use caudal_core::{JobId, Result};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::bucket::failed;
use crate::datasets::Datasets;
use crate::keys;
use crate::uploads::stream;

/// How long an address is good; the credentials that sign it may end it sooner.
const LASTS: Duration = Duration::from_secs(15 * 60);

#[async_trait]
impl Addresses for Datasets {
    async fn of_data(&self, job: JobId, export: Export) -> Result<String> {
        let Export { format, stored, body, .. } = export;
        let key = match stored {
            Some(object) => Path::from(object.key),
            None => {
                let key = keys::exported(job, format.extension());
                stream::write(&self.bucket, &key, body, u64::MAX).await?;
                key
            }
        };
        let name = format!("{job}.{}", format.extension());
        self.bucket.presigned_get(&key, format.media_type(), &name, LASTS).await
    }

    async fn of_result(&self, job: JobId) -> Result<String> {
        let (key, name) = (keys::final_results(job), format!("{job}.result.json"));
        self.bucket.presigned_get(&key, ExportFormat::Json.media_type(), &name, LASTS).await
    }
}

impl Datasets {
    /// The answer in this form, where somebody was sent to the store for it before.
    pub(super) async fn exported(&self, job: JobId, format: ExportFormat) -> Result<Option<StoredObject>> {
        if !self.bucket.gives_addresses() {
            return Ok(None);
        }
        let key = keys::exported(job, format.extension());
        match self.bucket.store().head(&key).await {
            Ok(found) => Ok(Some(StoredObject { key: key.to_string(), size: found.size })),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed("read", &key, e)),
        }
    }
}
