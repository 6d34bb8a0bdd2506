//! Taking away what nobody needs any more: at once for `caudal gc`, now and then in a server.

use std::time::Duration;

use caudal_core::Result;
use caudal_core::ports::Clock;
use caudal_storage::{Bucket, Garbage, Retention};

use crate::host::SystemClock;
use crate::settings::Settings;
use crate::store;

/// Finds what can go and, unless it is only to be shown, takes it away.
///
/// # Errors
/// `StorageUnavailable` when the bucket does not answer, `InvalidRequest` for a wrong setting.
pub async fn sweep(settings: &Settings, dry_run: bool) -> Result<Vec<Garbage>> {
    let bucket = store::open(settings)?;
    bucket.sweep(settings.retention.retention(), SystemClock::new().now(), dry_run).await
}

/// Sweeps again and again. Another instance may do the same at the same time.
pub(crate) async fn keep_sweeping(bucket: Bucket, retention: Retention, every: Duration) {
    let clock = SystemClock::new();
    loop {
        tokio::time::sleep(every).await;
        match bucket.sweep(retention, clock.now(), false).await {
            Ok(swept) if swept.is_empty() => {}
            Ok(swept) => tracing::info!(count = swept.len(), "swept what nobody needs any more"),
            Err(error) => tracing::warn!(%error, cause = error.cause, "the bucket could not be swept"),
        }
    }
}
