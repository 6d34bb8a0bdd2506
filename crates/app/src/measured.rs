//! What was measured on hosts, kept in the bucket so that the next process need not measure again.

use async_trait::async_trait;
use caudal_normalize::{DeviceRates, RatesCache};
#[cfg(feature = "orchestrator")]
use caudal_pipelines::{Calibration, CalibrationCache};
use caudal_storage::Bucket;

use crate::host::fingerprint_with;

/// The measurements of this host, by its name.
pub struct Measured(pub Bucket);

#[cfg(feature = "orchestrator")]
#[async_trait]
impl CalibrationCache for Measured {
    async fn load(&self) -> Option<Calibration> {
        self.0.calibration(&crate::host::fingerprint()).await
    }

    async fn store(&self, calibration: &Calibration) {
        if let Err(error) = self.0.put_calibration(&crate::host::fingerprint(), calibration).await {
            tracing::warn!(%error, "the calibration could not be kept; it will be measured again");
        }
    }
}

#[async_trait]
impl RatesCache for Measured {
    async fn load(&self, card: &str) -> Option<DeviceRates> {
        self.0.calibration(&fingerprint_with(card)).await
    }

    async fn store(&self, card: &str, rates: &DeviceRates) {
        if let Err(error) = self.0.put_calibration(&fingerprint_with(card), rates).await {
            tracing::warn!(%error, "what the GPU costs could not be kept; it will be measured again");
        }
    }
}
