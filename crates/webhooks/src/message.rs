//! What is told of a job that has ended: that it did and how, and never its numbers.

use caudal_core::JobState;
use caudal_core::job::JobStatus;
use serde_json::json;

/// The body: the event's type and time, and the job with its error where there is one.
pub fn body(status: &JobStatus) -> String {
    let job = status.job_id;
    let mut data = json!({
        "job_id": job,
        "status": status.status,
        "created_at": status.created_at,
        "updated_at": status.updated_at,
        "links": {"self": format!("/jobs/{job}"), "result": format!("/jobs/{job}/result")},
    });
    if status.status == JobState::Completed {
        data["links"]["data"] = format!("/jobs/{job}/data").into();
    }
    if let Some(error) = &status.error {
        data["error"] =
            json!({"type": error.kind.code(), "title": error.kind.title(), "detail": error.detail});
    }
    json!({"type": format!("job.{}", status.status), "timestamp": status.updated_at, "data": data})
        .to_string()
}

#[cfg(test)]
mod tests {
    use caudal_core::{Error, ErrorKind, JobId};
    use chrono::DateTime;
    use serde_json::Value;

    use super::*;

    fn status(state: JobState, error: Option<Error>) -> JobStatus {
        JobStatus {
            job_id: JobId(uuid::Uuid::nil()),
            owner: "local".into(),
            status: state,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            transitions: Vec::new(),
            attempts: 1,
            attempt_history: Vec::new(),
            error,
        }
    }

    #[test]
    fn a_message_says_how_the_job_ended_and_not_why_inside() {
        let completed: Value = serde_json::from_str(&body(&status(JobState::Completed, None))).unwrap();
        assert_eq!(
            (&completed["type"], &completed["data"]["status"]),
            (&"job.completed".into(), &"completed".into())
        );
        assert!(completed["data"]["links"]["data"].is_string() && completed["data"]["error"].is_null());
        let error = Error::new(ErrorKind::InvalidData, "row 3 is none").cause("secret");
        let failed = body(&status(JobState::Failed, Some(error)));
        assert!(failed.contains("row 3 is none") && !failed.contains("secret"));
        assert!(failed.contains("\"job.failed\"") && !failed.contains("/data\""));
    }
}
