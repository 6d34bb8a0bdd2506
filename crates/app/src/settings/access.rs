//! Who may ask, how often, and from which pages.

use std::time::Duration;

use caudal_core::Result;
use serde::Deserialize;

use super::invalid;

/// Who is asked to sign in, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    pub required: AuthRequired,
    pub issuer: String,
    pub audiences: Vec<String>,
    pub jwks: String,
    pub algorithms: Vec<String>,
    leeway_seconds: f64,
    pub scope_prefix: String,
}

impl AuthSettings {
    pub fn leeway(&self) -> Duration {
        Duration::from_secs_f64(self.leeway_seconds)
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(0.0..=600.0).contains(&self.leeway_seconds) {
            return Err(invalid("auth.leeway_seconds is between 0 and 600 seconds"));
        }
        if !self.issuer.is_empty() && (self.audiences.is_empty() || self.algorithms.is_empty()) {
            return Err(invalid(
                "auth.issuer needs auth.audiences and auth.algorithms: a token for somebody else, or \
                                under any signature, is no token for this server",
            ));
        }
        Ok(())
    }
}

/// How much each who asks may have; 0 for no limit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    requests_per_second: f64,
    burst: u32,
    concurrent_jobs: u64,
    elements_per_day: u64,
}

impl LimitSettings {
    /// Requests a second, and at once.
    pub fn rate(&self) -> Option<(f64, u32)> {
        (self.requests_per_second > 0.0).then_some((self.requests_per_second, self.burst))
    }

    pub fn concurrent_jobs(&self) -> Option<u64> {
        (self.concurrent_jobs > 0).then_some(self.concurrent_jobs)
    }

    pub fn elements_per_day(&self) -> Option<u64> {
        (self.elements_per_day > 0).then_some(self.elements_per_day)
    }

    pub(super) fn check(&self) -> Result<()> {
        let rate = self.requests_per_second;
        if !(rate == 0.0 || (0.001..=1e6).contains(&rate)) || self.burst == 0 {
            return Err(invalid(
                "limits.requests_per_second is 0, or from 0.001 to 1,000,000, and limits.burst 1 or more",
            ));
        }
        Ok(())
    }
}

/// Which pages of other origins may use the API.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsSettings {
    pub allowed_origins: Vec<String>,
    pub allow_credentials: bool,
}

impl CorsSettings {
    pub(super) fn check(&self) -> Result<()> {
        if self.allow_credentials && self.allowed_origins.iter().any(|origin| origin == "*") {
            return Err(invalid(
                "cors.allow_credentials does not go with \"*\" in cors.allowed_origins: every page could act for \
                 whoever is signed in",
            ));
        }
        let is_origin = |text: &String| {
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            text == "*" || host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']))
        };
        match self.allowed_origins.iter().find(|origin| !is_origin(origin)) {
            Some(wrong) => Err(invalid(format!(
                "cors.allowed_origins: expected https://host or https://host:port, or \"*\"; found {wrong:?}"
            ))),
            None => Ok(()),
        }
    }
}

/// When a request has to show a key or token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthRequired {
    /// Where other machines reach the server.
    Auto,
    Always,
}
