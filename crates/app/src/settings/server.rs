//! The settings of the HTTP server: where it listens, how long it waits, how much it takes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use caudal_core::Result;
use serde::Deserialize;

use super::{byte_size, invalid};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    pub address: SocketAddr,
    pub base_path: String,
    default_wait_seconds: f64,
    max_wait_seconds: f64,
    drain_seconds: f64,
    max_body: String,
    max_decompressed: String,
    body_memory: String,
    tls_certificate: String,
    tls_key: String,
    pub hosts: Vec<String>,
    pub max_connections: usize,
    max_headers: String,
    header_seconds: f64,
    idle_seconds: f64,
    slowest_body: String,
}

impl ServerSettings {
    pub fn default_wait(&self) -> Duration {
        Duration::from_secs_f64(self.default_wait_seconds)
    }

    /// How long jobs that run may go on once the server is told to end.
    pub fn drain(&self) -> Duration {
        Duration::from_secs_f64(self.drain_seconds)
    }

    pub fn max_wait(&self) -> Duration {
        Duration::from_secs_f64(self.max_wait_seconds)
    }

    /// # Errors
    /// `InvalidRequest` where the size cannot be read.
    pub fn max_body(&self) -> Result<u64> {
        byte_size("server.max_body", &self.max_body)
    }

    /// Bytes of a body once it is decompressed.
    ///
    /// # Errors
    /// `InvalidRequest` where the size cannot be read.
    pub fn max_decompressed(&self) -> Result<u64> {
        byte_size("server.max_decompressed", &self.max_decompressed)
    }

    /// Bytes that the bodies of all requests may take at once.
    ///
    /// # Errors
    /// `InvalidRequest` where the size cannot be read.
    pub fn body_memory(&self) -> Result<u64> {
        byte_size("server.body_memory", &self.body_memory)
    }

    /// # Errors
    /// `InvalidRequest` where the size cannot be read.
    pub fn max_headers(&self) -> Result<u64> {
        byte_size("server.max_headers", &self.max_headers)
    }

    pub fn header_time(&self) -> Duration {
        Duration::from_secs_f64(self.header_seconds)
    }

    pub fn idle_time(&self) -> Duration {
        Duration::from_secs_f64(self.idle_seconds)
    }

    /// Bytes a second.
    ///
    /// # Errors
    /// `InvalidRequest` where the size cannot be read.
    pub fn slowest_body(&self) -> Result<u64> {
        byte_size("server.slowest_body", &self.slowest_body)
    }

    /// Certificate and key, where the server speaks TLS.
    ///
    /// # Errors
    /// `InvalidRequest` where one is named without the other.
    pub fn tls(&self) -> Result<Option<(PathBuf, PathBuf)>> {
        match (self.tls_certificate.as_str(), self.tls_key.as_str()) {
            ("", "") => Ok(None),
            ("", _) | (_, "") => {
                Err(invalid("server.tls_certificate and server.tls_key go together: name both or none"))
            }
            (certificate, key) => Ok(Some((certificate.into(), key.into()))),
        }
    }

    /// Where the error pages are, as clients know it.
    #[cfg(feature = "server")]
    pub fn error_pages(&self) -> String {
        format!("{}{}", self.base_path, caudal_gateway::ERROR_PAGES)
    }

    pub(super) fn check(&self) -> Result<()> {
        let base = &self.base_path;
        if !base.is_empty()
            && (!base.starts_with('/') || base.ends_with('/') || base.contains(['?', '#', ' ']))
        {
            return Err(invalid(format!(
                "server.base_path begins with / and does not end with it, such as \"/v1\", or is empty; found {base:?}"
            )));
        }
        self.max_body()?;
        self.max_decompressed()?;
        self.body_memory()?;
        self.slowest_body()?;
        self.tls()?;
        let waits = [self.default_wait_seconds, self.max_wait_seconds];
        if waits.iter().any(|s| !(s.is_finite() && *s >= 0.0)) {
            return Err(invalid(
                "server.default_wait_seconds and server.max_wait_seconds are 0 or more seconds",
            ));
        }
        let times = [self.header_seconds, self.idle_seconds];
        if times.iter().any(|s| !(0.05..=3600.0).contains(s)) {
            return Err(invalid("server.header_seconds and server.idle_seconds are between 0.05 and 3600"));
        }
        if !(512..=1 << 20).contains(&self.max_headers()?) {
            return Err(invalid("server.max_headers is between 512 bytes and 1 MiB"));
        }
        if !(0.0..=3600.0).contains(&self.drain_seconds) {
            return Err(invalid("server.drain_seconds is between 0 and 3600 seconds"));
        }
        if self.max_connections == 0 {
            return Err(invalid("server.max_connections is 1 or more"));
        }
        Ok(())
    }
}
