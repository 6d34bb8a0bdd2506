//! The settings of a GPU that another host has.

use caudal_core::Result;
use serde::Deserialize;

use super::invalid;

/// A worker that does the normalisation stage on its GPU, and what this process does as one.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuSettings {
    pub worker: String,
    token: String,
    pub worker_jobs: usize,
}

impl std::fmt::Debug for GpuSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "worker {:?}, {} jobs, a token that is not shown", self.worker, self.worker_jobs)
    }
}

/// Characters of a token at least: fewer could be guessed.
const TOKEN_LENGTH: usize = 16;

impl GpuSettings {
    /// What a worker and those who ask it both know.
    ///
    /// # Errors
    /// `InvalidRequest` where it is too short to be a secret.
    pub fn token(&self) -> Result<String> {
        match self.token.len() >= TOKEN_LENGTH && self.token.bytes().all(|b| b.is_ascii_graphic()) {
            true => Ok(self.token.clone()),
            false => Err(invalid(format!(
                "gpu.token: expected at least {TOKEN_LENGTH} letters, digits and signs, such as \
                 `openssl rand -hex 24` gives; set it with CAUDAL__GPU__TOKEN"
            ))),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.worker_jobs == 0 {
            return Err(invalid("gpu.worker_jobs is 1 or more"));
        }
        match self.worker.is_empty() {
            true => Ok(()),
            false => self.token().map(drop),
        }
    }
}
