//! The settings of the sweep: how long things are kept.

use std::time::Duration;

use caudal_core::Result;
use caudal_storage::Retention;
use serde::Deserialize;

use super::invalid;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    job_days: f64,
    leftover_hours: f64,
    sweep_seconds: f64,
}

impl RetentionSettings {
    /// Until a journal's single entries go, which lie in the compacted job as well.
    const JOURNALS: Duration = Duration::from_secs(3600);

    pub(super) fn check(&self) -> Result<()> {
        let kept = [self.job_days * 24.0, self.leftover_hours];
        // Below an hour a job that is being taken in might pass for a leftover.
        if kept.iter().any(|hours| !(1.0..=1e6).contains(hours)) {
            return Err(invalid("retention.job_days and retention.leftover_hours are one hour or more"));
        }
        match self.sweep_seconds == 0.0 || (1.0..=1e7).contains(&self.sweep_seconds) {
            true => Ok(()),
            false => Err(invalid("retention.sweep_seconds is 0, or 1 or more seconds")),
        }
    }

    pub fn retention(&self) -> Retention {
        Retention {
            jobs: Duration::from_secs_f64(self.job_days * 86_400.0),
            leftovers: Duration::from_secs_f64(self.leftover_hours * 3600.0),
            journals: Self::JOURNALS,
        }
    }

    /// How often a server sweeps, where it does.
    pub fn sweeps(&self) -> Option<Duration> {
        (self.sweep_seconds > 0.0).then(|| Duration::from_secs_f64(self.sweep_seconds))
    }
}
