//! What is told to a service and what it tells, as it is kept in the bucket.

use caudal_core::results::SparkBill;
use caudal_core::{Error, ErrorKind, JobId, Result};
use caudal_storage::Attempt;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::launcher::Submission;

/// How an application is to be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub attempt: Attempt,
    pub name: String,
    /// Where the jar is, what it is to do, and where logs go, as URIs.
    pub jar: String,
    pub spec: String,
    pub logs: String,
    pub driver_memory: String,
    pub java_options: String,
    pub conf: Vec<(String, String)>,
}

/// An application as its service sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    pub stage: Stage,
    /// What the service says about it.
    #[serde(default)]
    pub told: Option<String>,
    #[serde(default)]
    pub ended_at: Option<DateTime<Utc>>,
    /// The folder of its logs, below that for logs.
    #[serde(default)]
    pub logs: Option<String>,
    #[serde(default)]
    pub bill: Option<SparkBill>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Running,
    Succeeded,
    Failed,
}

impl Look {
    /// One that runs, or will, and of which nothing more is known.
    pub fn running() -> Look {
        Look { stage: Stage::Running, told: None, ended_at: None, logs: None, bill: None }
    }
}

impl Order {
    pub(super) fn new(
        submission: &Submission,
        attempt: Attempt,
        jar: String,
        spec: String,
        logs: String,
    ) -> Order {
        let sizing = &submission.sizing;
        let conf = sizing.conf.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        Order {
            attempt,
            name: submission.name.clone(),
            jar,
            spec,
            logs,
            driver_memory: sizing.driver_memory.clone(),
            java_options: sizing.java_options.clone(),
            conf: conf.collect(),
        }
    }
}

/// Of `caudal-{job}-spark-{attempt}`.
pub(super) fn attempt_of(name: &str) -> Result<Attempt> {
    let parts = name.strip_prefix("caudal-").and_then(|rest| rest.split_once("-spark-"));
    let read = parts.and_then(|(job, number)| {
        Some(Attempt { job: job.parse::<JobId>().ok()?, number: number.parse().ok()? })
    });
    read.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{name} is no application of ours")))
}

/// The name of an application; nothing else is known of it on a cluster whose lists are searched.
pub(super) fn name_of(attempt: Attempt) -> String {
    format!("caudal-{}-spark-{}", attempt.job, attempt.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_attempt_say_the_same() {
        let name = "caudal-01890a5d-ac96-774b-bcce-b302099a8057-spark-12";
        let attempt = attempt_of(name).unwrap();
        assert_eq!((attempt.number, name_of(attempt).as_str()), (12, name));
        for other in [
            "caudal-x-spark-1",
            "somebody-01890a5d-ac96-774b-bcce-b302099a8057-spark-1",
            "caudal-01890a5d-ac96-774b-bcce-b302099a8057",
        ] {
            assert_eq!(attempt_of(other).unwrap_err().kind, ErrorKind::NotFound);
        }
    }
}
