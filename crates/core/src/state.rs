//! The states of a job and the one table that says which changes are legal.

use serde::{Deserialize, Serialize};

/// Where a job stands. `Completed`, `Failed` and `Cancelled` are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Queued,
    Validating,
    Normalizing,
    SparkProcessing,
    Analyzing,
    Completed,
    Failed,
    Cancelled,
}

use JobState::*;

/// Every legal change of state. Whatever is not listed is illegal.
pub const LEGAL_TRANSITIONS: &[(JobState, JobState)] = &[
    (Queued, Validating),
    (Validating, Normalizing),
    (Normalizing, SparkProcessing),
    (SparkProcessing, Analyzing),
    (Analyzing, Completed),
    (Queued, Failed),
    (Validating, Failed),
    (Normalizing, Failed),
    (SparkProcessing, Failed),
    (Analyzing, Failed),
    (Queued, Cancelled),
    (Validating, Cancelled),
    (Normalizing, Cancelled),
    (SparkProcessing, Cancelled),
    (Analyzing, Cancelled),
];

impl JobState {
    pub const ALL: [JobState; 8] =
        [Queued, Validating, Normalizing, SparkProcessing, Analyzing, Completed, Failed, Cancelled];

    /// Whether a job may go from this state to `next`.
    pub fn may_become(self, next: JobState) -> bool {
        LEGAL_TRANSITIONS.contains(&(self, next))
    }

    /// A final state has no way out.
    pub fn is_final(self) -> bool {
        !LEGAL_TRANSITIONS.iter().any(|(from, _)| *from == self)
    }

    /// The name used in JSON, in keys of metrics and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Queued => "queued",
            Validating => "validating",
            Normalizing => "normalizing",
            SparkProcessing => "spark_processing",
            Analyzing => "analyzing",
            Completed => "completed",
            Failed => "failed",
            Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for JobState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        JobState::ALL.into_iter().find(|s| s.name() == text).ok_or_else(|| {
            let names: Vec<_> = JobState::ALL.iter().map(|s| s.name()).collect();
            format!("expected one of {}, found \"{text}\"", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_working_states_run_in_one_line_and_all_may_fail_or_be_cancelled() {
        let line = [Queued, Validating, Normalizing, SparkProcessing, Analyzing, Completed];
        for from in JobState::ALL {
            for to in JobState::ALL {
                let next_in_line = line.windows(2).any(|w| w == [from, to]);
                let stops = !from.is_final() && matches!(to, Failed | Cancelled);
                assert_eq!(from.may_become(to), next_in_line || stops, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn the_final_states_are_the_three_that_end_a_job() {
        let finals: Vec<_> = JobState::ALL.into_iter().filter(|s| s.is_final()).collect();
        assert_eq!(finals, [Completed, Failed, Cancelled]);
    }
}
