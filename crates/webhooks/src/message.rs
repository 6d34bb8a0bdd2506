//! What is told of a job that has ended: that it did and how, and never its numbers.

use caudal_core::JobState;
use caudal_core::job::JobStatus;
use serde_json::json;

/// The body: the event's type and time, and the job with its error where there is one.
/// Its links begin with `base`.
pub fn body(status: &JobStatus, base: &str) -> String {
    let job = status.job_id;
    let path = format!("{base}/jobs/{job}");
    let mut data = json!({
        "job_id": job,
        "status": status.status,
        "created_at": status.created_at,
        "updated_at": status.updated_at,
        "links": {"self": path, "result": format!("{path}/result")},
    });
    if status.status == JobState::Completed {
        data["links"]["data"] = format!("{path}/data").into();
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
        let completed: Value =
            serde_json::from_str(&body(&status(JobState::Completed, None), "/v1")).unwrap();
        assert_eq!(
            (&completed["type"], &completed["data"]["status"]),
            (&"job.completed".into(), &"completed".into())
        );
        let nil = uuid::Uuid::nil();
        assert_eq!(completed["data"]["links"]["data"], format!("/v1/jobs/{nil}/data"));
        assert_eq!(completed["data"]["links"]["self"], format!("/v1/jobs/{nil}"));
        assert!(completed["data"]["error"].is_null());
        let error = Error::new(ErrorKind::InvalidData, "row 3 is none").cause("secret");
        let failed = body(&status(JobState::Failed, Some(error)), "");
        assert!(failed.contains("row 3 is none") && !failed.contains("secret"));
        assert!(failed.contains("\"job.failed\"") && !failed.contains("/data\""));
    }
}
