//! What functions are invoked with: a handful of events, told apart by their fields.

use caudal_core::{Error, ErrorKind, JobId, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the names of Spark steps and job runs begin with; the job's id follows.
const SPARK_NAME: &str = "caudal-";
/// Characters of an id.
const ID_LENGTH: usize = 36;

/// Has the orchestrator work on a job until it ends.
#[derive(Debug, Serialize, Deserialize)]
pub struct ResumeEvent {
    pub resume: JobId,
}

/// What the orchestrator is invoked with.
#[derive(Debug)]
pub enum Event {
    /// A request to the API.
    Http,
    /// A job to work on: one that was taken in, or one whose Spark step has ended.
    Resume(JobId),
    /// A look for jobs that nobody works on.
    Sweep,
}

impl Event {
    /// # Errors
    /// `MalformedRequest` for what is none of these.
    pub fn read(event: &Value) -> Result<Event> {
        if event.get("requestContext").is_some() {
            return Ok(Event::Http);
        }
        if event.get("sweep") == Some(&Value::Bool(true)) {
            return Ok(Event::Sweep);
        }
        let resumed = event.get("resume").and_then(Value::as_str);
        let job = resumed.or_else(|| ended_step(event)).and_then(|id| id.parse().ok());
        job.map(Event::Resume).ok_or_else(|| {
            let detail =
                "the event is no API request, no state change of Spark, no sweep and names no job to resume";
            Error::new(ErrorKind::MalformedRequest, detail)
        })
    }
}

/// The job that a step or job run belongs to, by the name that it was submitted under.
fn ended_step(event: &Value) -> Option<&str> {
    let detail = event.get("detail")?;
    let name = detail.get("name").or(detail.get("jobRunName"))?.as_str()?;
    name.strip_prefix(SPARK_NAME)?.get(..ID_LENGTH)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn events_are_told_apart_by_their_fields() {
        let resumed = |event: Value| match Event::read(&event).unwrap() {
            Event::Resume(job) => job.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(resumed(serde_json::to_value(ResumeEvent { resume: ID.parse().unwrap() }).unwrap()), ID);
        let name = format!("caudal-{ID}-both-1");
        assert_eq!(resumed(json!({"source": "aws.emr", "detail": {"name": name, "state": "FAILED"}})), ID);
        assert_eq!(resumed(json!({"source": "aws.emr-serverless", "detail": {"jobRunName": name}})), ID);
        assert!(matches!(Event::read(&json!({"sweep": true})), Ok(Event::Sweep)));
        assert!(matches!(Event::read(&json!({"requestContext": {}, "httpMethod": "GET"})), Ok(Event::Http)));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for event in [
            json!({}),
            json!(null),
            json!({"resume": "x"}),
            json!({"sweep": false}),
            json!({"detail": {"name": "caudal-x"}}),
        ] {
            assert_eq!(Event::read(&event).unwrap_err().kind, ErrorKind::MalformedRequest, "{event}");
        }
    }
}
