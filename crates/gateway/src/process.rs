//! `POST /process`: takes a job in, and waits for it as long as the client wants to.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use caudal_core::request::{JobRequest as Job, SourceFormat};
use caudal_core::results::FinalResponse;
use caudal_core::{JobId, JobState};
use caudal_orchestration::{JobResult, Once, OnceHandle, Submission, SubmissionBody};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Gateway;
use crate::body::{BodyForm, read_json, stream_data};
use crate::elsewhere;
use crate::idempotency::{Key, REPLAYED};
use crate::job_request::{DataQuery, JobRequest};
use crate::jobs::path_of;
use crate::owner::Owner;
use crate::parameters::NoQuery;
use crate::prefer::Prefer;
use crate::problem::{Problem, ProblemDetails, ServerProblems, error_of_ended};
use crate::query_settings;

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
        DataQuery,
        ("Content-Encoding" = Option<String>, Header, example = "gzip",
            description = "`gzip` or `zstd`, where the body is compressed."),
        ("Idempotency-Key" = Option<String>, Header, example = "2f1c9c1e-4d6b-4b53-9d3c-0a5e6e8b7f10",
            description = "The same key and the same request are the same job, for a day at least."),
        ("Prefer" = Option<String>, Header, example = "wait=10",
            description = "`wait=N`: seconds to wait, up to the server's maximum. `respond-async`: do not wait."),
    ),
    request_body(description = "A request as JSON; or the numbers themselves in one of the other forms, with the \
                                settings as query parameters.", content(
        (JobRequest = "application/json", examples(
        ("shortest" = (summary = "The shortest request", value = json!({"data": [1, 2, 3]}))),
        ("columns" = (summary = "Named columns, both pipelines", value = json!({
            "data": {"height": [1.72, 1.8, null], "weight": [68, 81.5, 77]},
            "normalization": "robust", "pipeline_type": "both"
        }))),
        ("file" = (summary = "A file below an allowed folder", value = json!({
            "source": {"uri": "file:examples/flights.parquet", "columns": ["delay"]}, "output_format": "parquet"
        }))),
        )),
        (String = "text/csv", example = "height,weight\n1.72,68\n1.8,\n"),
        (String = "application/x-ndjson", example = "{\"height\":1.72}\n{\"height\":null}\n"),
        (Vec<u8> = "application/vnd.apache.arrow.stream"),
        (Vec<u8> = "application/vnd.apache.parquet"),
    )),
    responses(
        (status = 200, description = "The job has finished: its final response.", body = FinalResponse,
            headers(("Preference-Applied" = Option<String>, description = "The preferences that decided."),
                    ("Idempotency-Replayed" = Option<String>, description = "`true` where an earlier request made it."))),
        (status = 202, description = "The job has not finished within the wait, or its result is longer than 4 MB and given by \
                                     the store.", body = Accepted,
            headers(("Location" = String, description = "The path of the job."),
                    ("Preference-Applied" = Option<String>, description = "The preferences that decided.")),
            example = json!({"job_id": "01890a5d-ac96-774b-bcce-b302099a8057", "status": "normalizing",
                             "location": "/jobs/01890a5d-ac96-774b-bcce-b302099a8057"})),
        (status = 400, description = "The request cannot be read.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 409, description = "The job was cancelled meanwhile, or the Idempotency-Key belongs to another request.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 413, description = "Too many elements or bytes for one request.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 415, description = "The body is in a form or coding that is not read.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 422, description = "The request cannot be a job, or its data is not what it should be.",
            body = ProblemDetails, content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn process(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    request: Request,
) -> Result<Response, Problem> {
    let options = &gateway.options;
    let prefer = Prefer::read(request.headers());
    let OnceHandle { job: mut handle, repeated } = submit(&gateway, owner.0, request).await?;
    let waited = tokio::time::timeout(prefer.wait(options), handle.finished()).await;
    let mut response = match waited {
        Ok(Ok(result)) => match answer(&result)? {
            long if gateway.data.addresses().is_some() && elsewhere::is_long(&long) => {
                accepted(&gateway, handle.job_id, JobState::Completed)
            }
            whole => whole,
        },
        // An `Ok(Err(_))` is a shutdown: the job is stored, and the next process finishes it.
        Ok(Err(_)) | Err(_) => {
            handle.promise().await?;
            let state = handle.progress().borrow().state;
            accepted(&gateway, handle.job_id, state)
        }
    };
    let is_accepted = response.status() == StatusCode::ACCEPTED;
    if let Some(applied) = prefer.applied(is_accepted, options) {
        response.headers_mut().insert("preference-applied", applied);
    }
    if repeated {
        let (name, value) = REPLAYED;
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

async fn submit(gateway: &Gateway, owner: String, request: Request) -> Result<OnceHandle, Problem> {
    let key = Key::of(request.headers())?;
    match BodyForm::of(request.headers())? {
        BodyForm::Request => {
            NoQuery::check(request.uri())?;
            let (body, _reserved) = read_json(request, &gateway.options.body, &gateway.budget).await?;
            let once = key.map(|key| key.of_request(&body));
            take_in(gateway, Submission { owner, body: SubmissionBody::Json(body) }, once).await
        }
        BodyForm::Data(format) => submit_data(gateway, owner, key, format, request).await,
    }
}

/// Data becomes a complete upload, and the job reads that: so it is bound by nothing but the size of a body.
async fn submit_data(
    gateway: &Gateway,
    owner: String,
    key: Option<Key>,
    format: SourceFormat,
    request: Request,
) -> Result<OnceHandle, Problem> {
    let uri = request.uri().clone();
    let check = |job: &Job| gateway.orchestrator.faults_of(job);
    let settings = query_settings::read(&uri, format, check)?;
    let (content, _reserved) = stream_data(request, &gateway.options.body, &gateway.budget).await?;
    let kept = gateway.uploads.keep(&owner, format, content).await?;
    let once = key.map(|key| key.of_data(format, &uri, &kept.sha256)).transpose()?;
    let job = Box::new(query_settings::with_source(settings, format!("upload:{}", kept.upload)));
    let body = SubmissionBody::Parsed { request: job, inline: None };
    let taken_in = take_in(gateway, Submission { owner: owner.clone(), body }, once).await;
    if taken_in.as_ref().map_or(true, |taken_in| taken_in.repeated)
        && let Err(error) = gateway.uploads.remove(&owner, kept.upload).await
    {
        tracing::warn!(%error, cause = error.cause, "data that no job reads stays until it expires");
    }
    taken_in
}

async fn take_in(
    gateway: &Gateway,
    submission: Submission,
    once: Option<Once>,
) -> Result<OnceHandle, Problem> {
    match once {
        Some(once) => Ok(gateway.orchestrator.submit_once(submission, &once).await?),
        None => Ok(OnceHandle { job: gateway.orchestrator.submit(submission).await?, repeated: false }),
    }
}

fn answer(result: &JobResult) -> Result<Response, Problem> {
    match result {
        JobResult::Completed(response) => Ok(Json(response).into_response()),
        JobResult::Ended(status) => Err(error_of_ended(status).into()),
    }
}

fn accepted(gateway: &Gateway, job: JobId, status: JobState) -> Response {
    let location = path_of(gateway, job);
    let body = Accepted { job_id: job, status, location: location.clone() };
    (StatusCode::ACCEPTED, [(LOCATION, location)], Json(body)).into_response()
}
