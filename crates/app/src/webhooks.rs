//! The courier that the settings describe; none where there is no key to sign with.

use std::sync::Arc;

use caudal_core::Result;
use caudal_core::ports::{Clock, Ids};
use caudal_core::webhooks::Webhooks;
use caudal_storage::Bucket;
#[cfg(feature = "server")]
use caudal_storage::BucketDeliveries;

use crate::settings::Settings;

/// Starts the courier of a server.
///
/// # Errors
/// `InvalidRequest` for a wrong setting.
#[cfg(feature = "server")]
pub fn start(
    settings: &Settings,
    bucket: &Bucket,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
) -> Result<Option<Arc<dyn Webhooks>>> {
    let Some(options) = settings.webhooks.options(&settings.server.base_path)? else { return Ok(None) };
    let deliveries = Arc::new(BucketDeliveries::new(bucket.clone()));
    Ok(Some(Arc::new(caudal_webhooks::Courier::start(deliveries, clock, ids, options))))
}

/// A build without a server calls nobody.
///
/// # Errors
/// None.
#[cfg(not(feature = "server"))]
pub fn start(
    _: &Settings,
    _: &Bucket,
    _: Arc<dyn Clock>,
    _: Arc<dyn Ids>,
) -> Result<Option<Arc<dyn Webhooks>>> {
    Ok(None)
}
