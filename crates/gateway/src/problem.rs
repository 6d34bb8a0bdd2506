//! The one place that turns errors into HTTP: the table of statuses, and `application/problem+json` (RFC 9457).

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use caudal_core::fault::shortened;
use caudal_core::job::JobStatus;
use caudal_core::{Error, ErrorKind, Fault, JobId, JobState};
use futures::FutureExt;
use serde::Serialize;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use crate::Gateway;

/// A detail may quote what a request says, which may be of any length.
const LONGEST_DETAIL: usize = 4000;

const PROBLEM_JSON: &str = "application/problem+json";

/// The status of each kind of error.
fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::MalformedRequest => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        ErrorKind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ErrorKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::InvalidRequest
        | ErrorKind::InvalidData
        | ErrorKind::SourceUnavailable
        | ErrorKind::UnavailableEngine
        | ErrorKind::InsufficientMemory => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::InsufficientDisk => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorKind::Conflict | ErrorKind::NotFinished | ErrorKind::Cancelled => StatusCode::CONFLICT,
        ErrorKind::Overloaded | ErrorKind::StorageUnavailable | ErrorKind::IssuerUnavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ErrorKind::EngineFailed => StatusCode::BAD_GATEWAY,
        ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Internal | ErrorKind::PoisonousJob | ErrorKind::UnsuitableStorage => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// Seconds after which the same request may succeed.
fn retry_after(kind: ErrorKind) -> Option<u16> {
    match kind {
        ErrorKind::StorageUnavailable | ErrorKind::IssuerUnavailable => Some(5),
        kind if kind.is_retryable() => Some(1),
        _ => None,
    }
}

/// An error on its way to a client. As a response it is bare until [`render`] writes its body.
#[derive(Clone, Debug)]
pub struct Problem {
    error: Box<Error>,
    /// Bytes of an object that a requested range lies outside of.
    outside_of: Option<u64>,
    /// What the answer says beside its body.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A range that holds no byte of an object of `size` bytes: status 416.
    pub fn unsatisfiable_range(size: u64) -> Problem {
        let detail = format!("the range lies outside of the {size} bytes that there are");
        Problem { outside_of: Some(size), ..Error::new(ErrorKind::NotAcceptable, detail).into() }
    }

    /// Says more in a header of the answer.
    pub fn with_header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Problem {
        self.headers.push((name, value.into()));
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.error.kind
    }

    fn status(&self) -> StatusCode {
        match self.outside_of {
            Some(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            None => status_of(self.kind()),
        }
    }

    /// Seconds after which the same request may succeed.
    fn come_back_in(&self) -> Option<u32> {
        retry_after(self.kind()).map(u32::from).max(self.error.retry_after)
    }

    fn log(&self) {
        let (kind, cause) = (self.kind().code(), self.error.cause.as_deref());
        match self.status().is_server_error() {
            true => tracing::error!(kind, cause, "{}", self.error.detail),
            false => tracing::debug!(kind, cause, "{}", self.error.detail),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        *problem.error
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        Problem { error: Box::new(error), outside_of: None, headers: Vec::new() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Why a job ended without a result.
pub fn error_of_ended(job: &JobStatus) -> Error {
    let error = job.error.clone().unwrap_or_else(|| match job.status {
        JobState::Cancelled => Error::new(ErrorKind::Cancelled, "the job was cancelled"),
        state => Error::new(ErrorKind::Internal, format!("the job ended as {state} and did not say why")),
    });
    error.of_job(job.job_id)
}

/// Problem details as RFC 9457 has them, with members of our own.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "/docs/errors/invalid-request",
    "title": "The request cannot be a job",
    "status": 422,
    "detail": "/data/1: expected a number or null, found \"abc\"",
    "status_text": "validation_failed",
    "error": "/data/1: expected a number or null, found \"abc\"",
    "errors": [{"pointer": "/data/1", "detail": "expected a number or null, found \"abc\""}],
    "errors_total": 1
}))]
pub struct ProblemDetails {
    /// Ends in the error's code; the page of that name tells cause and cure.
    #[serde(rename = "type")]
    page: String,
    /// The same for every error of the type.
    title: &'static str,
    status: u16,
    /// What happened here.
    detail: String,
    /// What to do, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<JobId>,
    /// `validation_failed` where the request or its data is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_text: Option<&'static str>,
    /// The same faults in one line.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The first twenty faults, each with a JSON pointer, a query parameter (`?limit`), or a row and column.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Fault>>,
    /// How many faults there are in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors_total: Option<u64>,
}

impl ProblemDetails {
    /// `pages` is [`crate::GatewayOptions::error_pages`].
    pub fn new(problem: Problem, pages: &str) -> ProblemDetails {
        let status = problem.status().as_u16();
        let Error { kind, detail, hint, faults, job_id, retry_after: _, cause: _ } = *problem.error;
        let told = !faults.is_empty();
        let detail = shortened(detail, LONGEST_DETAIL);
        ProblemDetails {
            page: format!("{}/{}", pages.trim_end_matches('/'), kind.code()),
            title: kind.title(),
            status,
            hint,
            job_id,
            status_text: kind.is_validation().then_some("validation_failed"),
            error: kind.is_validation().then(|| detail.clone()),
            detail,
            errors_total: told.then_some(faults.total),
            errors: told.then_some(faults.first),
        }
    }
}

/// Middleware around everything: writes the body of each [`Problem`], and makes one of a panic.
pub(crate) async fn render(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(|_| {
        let detail = "the server met a fault of its own while it answered";
        Problem::from(Error::new(ErrorKind::Internal, detail)).into_response()
    });
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    problem.log();
    let (seconds, outside_of, headers) =
        (problem.come_back_in(), problem.outside_of, problem.headers.clone());
    let details = ProblemDetails::new(problem, &gateway.options.error_pages);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    if let Some(seconds) = seconds {
        parts.headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(Ok(value)) = outside_of.map(|size| HeaderValue::try_from(format!("bytes */{size}"))) {
        parts.headers.insert(CONTENT_RANGE, value);
    }
    for (name, value) in headers {
        parts.headers.insert(name, value);
    }
    let mut rendered = (parts.status, parts.headers, Json(details)).into_response();
    rendered.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    rendered
}

/// A whole HTTP/1.1 answer for a request that never reached a handler; the connection ends with it.
pub(crate) fn whole_answer(error: Error, pages: &str) -> Vec<u8> {
    let problem = Problem::from(error);
    let status = problem.status();
    // Strings and numbers always have a JSON form.
    let body = serde_json::to_vec(&ProblemDetails::new(problem, pages)).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// Answers for paths that are not there.
pub(crate) async fn no_such_path(uri: Uri) -> Problem {
    let detail = format!("there is nothing at {}", uri.path());
    Error::new(ErrorKind::NotFound, detail).hint("/openapi.json lists the paths that there are").into()
}

/// Answers for methods that a path does not have; the router adds `Allow`.
pub(crate) async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not a method of {}", uri.path());
    Error::new(ErrorKind::MethodNotAllowed, detail).hint("the header Allow names those that are").into()
}

/// The failures that are nobody's request's fault, as every resource documents them.
pub struct ServerProblems;

impl IntoResponses for ServerProblems {
    fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let response = |description: &str| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            ResponseBuilder::new().description(description).content(PROBLEM_JSON, content)
        };
        let seconds = HeaderBuilder::new().schema(Some(u32::schema())).description(Some("Seconds.")).build();
        let unavailable =
            response("All places are taken, or the storage does not answer.").header("Retry-After", seconds);
        let refused = |text: &str| response(text).build().into();
        let later = HeaderBuilder::new().schema(Some(u32::schema())).description(Some("Seconds.")).build();
        let too_many = response("More than the limits of the server give.").header("Retry-After", later);
        BTreeMap::from([
            ("401".to_owned(), refused("The server has to know who asks.")),
            ("403".to_owned(), refused("This is not allowed to whoever asks.")),
            ("429".to_owned(), too_many.build().into()),
            ("500".to_owned(), response("A fault of Caudal's own.").build().into()),
            ("503".to_owned(), unavailable.build().into()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use caudal_core::Faults;

    use super::*;

    fn details(error: Error) -> serde_json::Value {
        serde_json::to_value(ProblemDetails::new(error.into(), "https://example.org/errors/")).expect("JSON")
    }

    #[test]
    fn every_kind_is_a_client_or_server_error_and_retryable_ones_say_when() {
        for kind in ErrorKind::ALL {
            let status = status_of(kind);
            assert!(status.is_client_error() || status.is_server_error(), "{kind:?} is {status}");
            assert_eq!(retry_after(kind).is_some(), kind.is_retryable(), "{kind:?}");
            assert!(status != StatusCode::SERVICE_UNAVAILABLE || kind.is_retryable(), "{kind:?}");
        }
    }

    #[test]
    fn every_kind_has_a_page_with_its_title_and_status() {
        let pages = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"))
            .join("../../docs/errors");
        let index = std::fs::read_to_string(pages.join("README.md")).expect("an index");
        for kind in ErrorKind::ALL {
            let name = format!("{}.md", kind.code());
            let page = std::fs::read_to_string(pages.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(page.contains(kind.title()), "{name} lacks its title");
            assert!(
                page.contains(&format!("\"status\": {}", status_of(kind).as_u16())),
                "{name} lacks its status"
            );
            assert!(index.contains(&format!("({name})")), "the index lacks {name}");
        }
    }

    #[test]
    fn a_validation_problem_carries_its_faults_and_their_total() {
        let mut faults = Faults::default();
        for index in 0..30 {
            faults.push(|| format!("/data/{index}"), || "expected a number".into());
        }
        let problem = details(Error::from_faults(ErrorKind::InvalidRequest, faults));
        assert_eq!(problem["type"], "https://example.org/errors/invalid-request");
        assert_eq!((&problem["status"], &problem["status_text"]), (&422.into(), &"validation_failed".into()));
        assert_eq!(problem["error"], "/data/0: expected a number (and 29 more)");
        assert_eq!(problem["errors"].as_array().map(Vec::len), Some(20));
        assert_eq!(problem["errors_total"], 30);
    }

    #[test]
    fn a_problem_says_nothing_that_there_is_not_and_never_its_cause() {
        let problem = details(Error::new(ErrorKind::Internal, "it broke").cause("secret/path"));
        let members: Vec<_> = problem.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(members, ["type", "title", "status", "detail"]);
    }

    #[test]
    fn a_job_that_ended_without_saying_why_still_has_a_reason() {
        let at = chrono::DateTime::UNIX_EPOCH;
        let job = |status| JobStatus {
            job_id: JobId(uuid::Uuid::nil()),
            owner: "local".into(),
            status,
            created_at: at,
            updated_at: at,
            transitions: vec![],
            attempts: 1,
            attempt_history: vec![],
            error: None,
        };
        let cancelled = error_of_ended(&job(JobState::Cancelled));
        assert_eq!(
            (cancelled.kind, cancelled.job_id),
            (ErrorKind::Cancelled, Some(JobId(uuid::Uuid::nil())))
        );
        assert_eq!(error_of_ended(&job(JobState::Failed)).kind, ErrorKind::Internal);
    }
}
