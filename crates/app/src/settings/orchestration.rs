//! The settings of jobs: how many at once, how often again, how long at most.

use std::time::Duration;

use caudal_core::Result;
use serde::Deserialize;

use super::invalid;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrchestrationSettings {
    pub mailbox_size: usize,
    pub(super) running_jobs: usize,
    pub admitted_jobs: usize,
    lease_seconds: f64,
    retries: u32,
    retry_first_seconds: f64,
    retry_longest_seconds: f64,
    stage_seconds: f64,
    job_seconds: f64,
}

impl OrchestrationSettings {
    pub(super) fn check(&self) -> Result<()> {
        if !(0.1..=3600.0).contains(&self.lease_seconds) {
            return Err(invalid("orchestration.lease_seconds is between 0.1 and 3600 seconds"));
        }
        if self.mailbox_size == 0 || self.admitted_jobs == 0 {
            return Err(invalid("orchestration.mailbox_size and orchestration.admitted_jobs are 1 or more"));
        }
        let waits = [self.retry_first_seconds, self.retry_longest_seconds];
        if waits.iter().any(|s| !(0.0..=3600.0).contains(s)) {
            return Err(invalid("orchestration.retry_*_seconds are between 0 and 3600 seconds"));
        }
        if [self.stage_seconds, self.job_seconds].iter().any(|s| !(0.0..=1e8).contains(s)) {
            return Err(invalid(
                "orchestration.stage_seconds and orchestration.job_seconds are 0 or more seconds",
            ));
        }
        Ok(())
    }

    pub fn lease(&self) -> Duration {
        Duration::from_secs_f64(self.lease_seconds)
    }

    #[cfg(feature = "orchestrator")]
    pub fn retry(&self) -> caudal_orchestration::retry::RetryPolicy {
        caudal_orchestration::retry::RetryPolicy {
            budget: self.retries,
            first: Duration::from_secs_f64(self.retry_first_seconds),
            longest: Duration::from_secs_f64(self.retry_longest_seconds),
        }
    }

    /// How long one stage may take.
    pub fn stage_deadline(&self) -> Option<Duration> {
        (self.stage_seconds > 0.0).then(|| Duration::from_secs_f64(self.stage_seconds))
    }

    /// How long a job may take in all.
    pub fn job_deadline(&self) -> Option<Duration> {
        (self.job_seconds > 0.0).then(|| Duration::from_secs_f64(self.job_seconds))
    }
}
