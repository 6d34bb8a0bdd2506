//! `POST /process`: takes a job in, and waits for it as long as the client wants to.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{CONTENT_LENGTH, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use caudal_core::results::FinalResponse;
use caudal_core::{Error, ErrorKind, JobId, JobState};
use caudal_orchestration::{JobHandle, JobResult, Submission, SubmissionBody};
use serde::Serialize;
use utoipa::ToSchema;

use crate::job_request::JobRequest;
use crate::jobs::path_of;
use crate::negotiate::expect_json;
use crate::owner::Owner;
use crate::parameters::NoQuery;
use crate::prefer::Prefer;
use crate::problem::{Problem, ProblemDetails, ServerProblems, error_of_ended};
use crate::{Gateway, GatewayOptions};

/// A job that was taken in and has not finished yet.
#[derive(Serialize, ToSchema)]
pub struct Accepted {
    job_id: JobId,
    status: JobState,
    /// The path of the job; the same as the header `Location`.
    location: String,
}

#[utoipa::path(
    post,
    path = "/process",
    tag = "jobs",
    summary = "Submit a job",
    description = "Takes a job in and waits for it. A request that is refused creates no job; a job that fails \
                   while the client waits is answered with its problem, which carries `job_id`.",
    params(
        ("Prefer" = Option<String>, Header, example = "wait=10",
            description = "`wait=N`: seconds to wait, up to the server's maximum. `respond-async`: do not wait."),
    ),
    request_body(content = JobRequest, content_type = "application/json", examples(
        ("shortest" = (summary = "The shortest request", value = json!({"data": [1, 2, 3]}))),
        ("columns" = (summary = "Named columns, both pipelines", value = json!({
            "data": {"height": [1.72, 1.8, null], "weight": [68, 81.5, 77]},
            "normalization": "robust", "pipeline_type": "both"
        }))),
        ("file" = (summary = "A file below an allowed folder", value = json!({
            "source": {"uri": "file:examples/flights.parquet", "columns": ["delay"]}, "output_format": "parquet"
        }))),
    )),
    responses(
        (status = 200, description = "The job has finished: its final response.", body = FinalResponse,
            headers(("Preference-Applied" = Option<String>, description = "The preferences that decided."))),
        (status = 202, description = "The job has not finished within the wait.", body = Accepted,
            headers(("Location" = String, description = "The path of the job."),
                    ("Preference-Applied" = Option<String>, description = "The preferences that decided.")),
            example = json!({"job_id": "01890a5d-ac96-774b-bcce-b302099a8057", "status": "normalizing",
                             "location": "/jobs/01890a5d-ac96-774b-bcce-b302099a8057"})),
        (status = 400, description = "The request cannot be read.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 409, description = "The job was cancelled meanwhile.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 413, description = "Too many elements or bytes for one request.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 422, description = "The request cannot be a job, or its data is not what it should be.",
            body = ProblemDetails, content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn process(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    let options = &gateway.options;
    let prefer = Prefer::read(request.headers());
    expect_json(request.headers())?;
    let body = read_body(request, options).await?;
    let submission = Submission { owner: owner.0, body: SubmissionBody::Json(body) };
    let mut handle = gateway.orchestrator.submit(submission).await?;
    let waited = tokio::time::timeout(prefer.wait(options), handle.finished()).await;
    let mut response = match waited {
        Ok(Ok(result)) => answer(&result)?,
        // An `Ok(Err(_))` is a shutdown: the job is stored, and the next process finishes it.
        Ok(Err(_)) | Err(_) => {
            handle.promise().await?;
            accepted(&handle)
        }
    };
    let is_accepted = response.status() == StatusCode::ACCEPTED;
    if let Some(applied) = prefer.applied(is_accepted, options) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

fn answer(result: &JobResult) -> Result<Response, Problem> {
    match result {
        JobResult::Completed(response) => Ok(Json(response).into_response()),
        JobResult::Ended(status) => Err(error_of_ended(status).into()),
    }
}

fn accepted(handle: &JobHandle) -> Response {
    let location = path_of(handle.job_id);
    let status = handle.progress().borrow().state;
    let body = Accepted { job_id: handle.job_id, status, location: location.clone() };
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(body)).into_response()
}

async fn read_body(request: Request, options: &GatewayOptions) -> Result<Bytes, Problem> {
    if announced_length(request.headers()).is_some_and(|length| length > options.max_body_bytes as u64) {
        return Err(too_large(options));
    }
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => too_large(options),
        other => {
            let detail = "the body did not arrive whole";
            Error::new(ErrorKind::MalformedRequest, detail).cause(other).into()
        }
    })
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(options: &GatewayOptions) -> Problem {
    let detail =
        format!("the body is longer than the {} bytes that one request may have", options.max_body_bytes);
    let hint = "put the numbers into a file and name it as source.uri; \
                the server does not take large bodies at /uploads yet";
    Error::new(ErrorKind::TooLarge, detail).hint(hint).into()
}
