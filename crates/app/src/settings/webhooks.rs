//! The settings of webhooks: the key, who may be called, and how patiently.

#[cfg(feature = "server")]
use std::time::Duration;

use caudal_core::Result;
use serde::Deserialize;

use super::invalid;

/// Calls to clients' own servers; none without a key.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    key: String,
    allow_private: bool,
    allow_http: bool,
    attempt_seconds: f64,
    first_pause_seconds: f64,
}

impl std::fmt::Debug for WebhookSettings {
    /// The key is secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebhookSettings(key: {})", if self.key.is_empty() { "none" } else { "…" })
    }
}

#[cfg(feature = "server")]
impl WebhookSettings {
    /// The key that all owners' keys come from, where it is set.
    ///
    /// # Errors
    /// `InvalidRequest` where it is no key.
    pub fn key(&self) -> Result<Option<caudal_webhooks::SigningKey>> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let key = caudal_webhooks::SigningKey::parse(&self.key);
        let wrong =
            || invalid("webhooks.key: expected what `caudal webhook-key new` prints, found something else");
        key.map(Some).ok_or_else(wrong)
    }

    /// How messages are sent; `None` without a key.
    ///
    /// # Errors
    /// `InvalidRequest` where the key is none.
    pub fn options(&self, base_path: &str) -> Result<Option<caudal_webhooks::CourierOptions>> {
        let sending = caudal_webhooks::SendingOptions {
            allow_private: self.allow_private,
            allow_http: self.allow_http,
            time: Duration::from_secs_f64(self.attempt_seconds),
        };
        let first_pause = Duration::from_secs_f64(self.first_pause_seconds);
        let base_path = base_path.to_owned();
        Ok(self.key()?.map(|key| caudal_webhooks::CourierOptions { key, sending, first_pause, base_path }))
    }
}

impl WebhookSettings {
    pub(super) fn check(&self) -> Result<()> {
        let times = [self.attempt_seconds, self.first_pause_seconds];
        if times.iter().any(|seconds| !(0.01..=3600.0).contains(seconds)) {
            let detail =
                "webhooks.attempt_seconds and webhooks.first_pause_seconds are between 0.01 and 3600 seconds";
            return Err(invalid(detail));
        }
        #[cfg(feature = "server")]
        self.key()?;
        Ok(())
    }
}
