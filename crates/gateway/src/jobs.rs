//! `GET /jobs`, `GET /jobs/{id}`, `GET /jobs/{id}/result` and `DELETE /jobs/{id}`: what jobs there are, how far they are,
//! how they ended, and the end of those that nobody wants.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use caudal_core::job::{JobStatus, Progress, TimedState};
use caudal_core::journal::Attempt;
use caudal_core::ports::JobQuery;
use caudal_core::results::FinalResponse;
use caudal_core::{JobId, JobState};
use caudal_orchestration::{JobResult, Removal};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Gateway;
use crate::elsewhere;
use crate::owner::Owner;
use crate::parameters::{JobPath, NoQuery, QueryReader};
use crate::problem::{Problem, ProblemDetails, ServerProblems, error_of_ended};

const DEFAULT_PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// The path of a job, as clients know it.
pub(crate) fn path_of(gateway: &Gateway, job: JobId) -> String {
    gateway.options.shown(format_args!("/jobs/{job}"))
}

/// One page of the jobs, newest first.
#[derive(Serialize, ToSchema)]
pub struct JobList {
    jobs: Vec<JobView>,
    /// Give it back as `?cursor=` to get the next page; null on the last one.
    next_cursor: Option<String>,
}

/// A job and how far it is.
#[derive(Serialize, ToSchema)]
pub struct JobView {
    job_id: JobId,
    status: JobState,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// Seconds from its creation to its last state; null until the job has ended.
    total_time: Option<f64>,
    /// Every state that the job has entered, in order.
    transitions: Vec<StateView>,
    attempts: u32,
    /// Every attempt and why it began, in order.
    attempt_history: Vec<Attempt>,
    /// Null once the job has ended, and where another process runs it.
    progress: Option<Progress>,
    /// Why the job failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemDetails>,
    links: Links,
}

/// A state, when it was entered and how long it lasted.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct StateView {
    state: JobState,
    at: DateTime<Utc>,
    /// Seconds; null for the present state.
    duration: Option<f64>,
}

/// Where more is.
#[derive(Serialize, ToSchema)]
pub struct Links {
    #[serde(rename = "self")]
    job: String,
    /// There once the job has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// There once the job has completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

/// How a job ended that has no final response.
#[derive(Serialize, ToSchema)]
pub struct EndedJob {
    job_id: JobId,
    /// `failed` or `cancelled`.
    status: JobState,
    error: ProblemDetails,
}

/// The result of a job that has ended.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ResultView {
    Completed(Box<FinalResponse>),
    Ended(Box<EndedJob>),
}

#[utoipa::path(
    get,
    path = "/jobs",
    tag = "jobs",
    summary = "List the jobs, newest first",
    params(
        ("status" = Option<JobState>, Query, description = "Only jobs in this state."),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100, example = 20,
            description = "How many at most; 20 when it is not given."),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
    ),
    responses(
        (status = 200, description = "A page of jobs.", body = JobList),
        (status = 400, description = "A query parameter is wrong.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn list(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    uri: Uri,
) -> Result<Json<JobList>, Problem> {
    let page = gateway.orchestrator.list(read_query(owner.0, &uri)?).await?;
    let jobs = page.jobs.into_iter().map(|job| view(&gateway, job)).collect();
    Ok(Json(JobList { jobs, next_cursor: page.next_cursor }))
}

fn read_query(owner: String, uri: &Uri) -> Result<JobQuery, Problem> {
    let mut query = QueryReader::of(uri)?;
    query.known(&["status", "limit", "cursor"]);
    let status = query.take("status", str::parse);
    let limit = query.take("limit", |text| match text.parse() {
        Ok(limit @ 1..=LARGEST_PAGE) => Ok(limit),
        _ => Err(format!("expected a whole number from 1 to {LARGEST_PAGE}, found \"{text}\"")),
    });
    let cursor = query.take("cursor", |text| Ok(text.to_owned()));
    query.finish(JobQuery { owner, status, limit: limit.unwrap_or(DEFAULT_PAGE), cursor })
}

#[utoipa::path(
    get,
    path = "/jobs/{id}",
    tag = "jobs",
    summary = "How far a job is",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "State, progress, times and attempts.", body = JobView),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such job.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn status(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    JobPath(job): JobPath,
    _: NoQuery,
) -> Result<Json<JobView>, Problem> {
    let status = gateway.orchestrator.status(&owner.0, job).await?;
    Ok(Json(view(&gateway, status)))
}

#[utoipa::path(
    get,
    path = "/jobs/{id}/result",
    tag = "jobs",
    summary = "How a job ended",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The final response; of a failed or cancelled job its status and error.",
            body = ResultView),
        (status = 307, description = "More than 4 MB, which the store itself gives.",
            headers(("Location" = String, description = "An address of the store, good for a quarter of an hour."))),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such job.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 409, description = "The job has not finished.", body = ProblemDetails,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds."))),
        ServerProblems,
    )
)]
pub(crate) async fn result(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    JobPath(job): JobPath,
    _: NoQuery,
    method: Method,
) -> Result<Response, Problem> {
    let view = match gateway.orchestrator.result(&owner.0, job).await? {
        JobResult::Completed(response) => ResultView::Completed(response),
        JobResult::Ended(status) => {
            let error = ProblemDetails::new(error_of_ended(&status).into(), &gateway.options.error_pages);
            ResultView::Ended(Box::new(EndedJob { job_id: job, status: status.status, error }))
        }
    };
    let response = Json(view).into_response();
    match elsewhere::addresses(&gateway, &method) {
        Some(addresses) if elsewhere::is_long(&response) => {
            Ok(elsewhere::sent_to(addresses.of_result(job).await?))
        }
        _ => Ok(response),
    }
}

#[utoipa::path(
    delete,
    path = "/jobs/{id}",
    tag = "jobs",
    summary = "Cancel a job, or take an ended one away",
    description = "A job that has not ended is told to stop and ends as `cancelled`. Of one that has ended all objects are \
                   taken away: its request, journal, results and normalised data.",
    params(("id" = JobId, Path, description = "The job's id.")),
    responses(
        (status = 202, description = "It was told to stop; this is how far it is.", body = JobView,
            headers(("Location" = String, description = "The job."))),
        (status = 204, description = "Nothing is left of it."),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such job.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 409, description = "It has ended at this moment, or its end is still being put away.",
            body = ProblemDetails, content_type = "application/problem+json",
            headers(("Retry-After" = u32, description = "Seconds."))),
        ServerProblems,
    )
)]
pub(crate) async fn end(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    JobPath(job): JobPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    Ok(match gateway.orchestrator.remove(&owner.0, job).await? {
        Removal::Cancelled(status) => {
            let location = [(header::LOCATION, path_of(&gateway, job))];
            (StatusCode::ACCEPTED, location, Json(view(&gateway, *status))).into_response()
        }
        Removal::Removed => StatusCode::NO_CONTENT.into_response(),
    })
}

fn view(gateway: &Gateway, job: JobStatus) -> JobView {
    let (id, ended) = (job.job_id, job.status.is_final());
    let unsuccessful = ended && job.status != JobState::Completed;
    let path = path_of(gateway, id);
    JobView {
        job_id: id,
        status: job.status,
        created_at: job.created_at,
        updated_at: job.updated_at,
        total_time: ended.then(|| (job.updated_at - job.created_at).as_seconds_f64()),
        transitions: timed(&job.transitions),
        attempts: job.attempts,
        attempt_history: job.attempt_history.clone(),
        progress: if ended { None } else { gateway.orchestrator.progress(id) },
        error: unsuccessful
            .then(|| ProblemDetails::new(error_of_ended(&job).into(), &gateway.options.error_pages)),
        links: Links {
            result: ended.then(|| format!("{path}/result")),
            data: (job.status == JobState::Completed).then(|| format!("{path}/data")),
            job: path,
        },
    }
}

fn timed(entered: &[TimedState]) -> Vec<StateView> {
    let next = entered.iter().skip(1).map(Some).chain([None]);
    let duration = |from: &TimedState, to: &TimedState| (to.at - from.at).as_seconds_f64();
    let states = entered.iter().zip(next);
    states
        .map(|(e, next)| StateView { state: e.state, at: e.at, duration: next.map(|n| duration(e, n)) })
        .collect()
}

#[cfg(test)]
mod tests {
    use caudal_core::ErrorKind;
    use chrono::TimeDelta;

    use super::*;

    fn query(text: &str) -> Result<JobQuery, ErrorKind> {
        read_query("local".into(), &text.parse().expect("a URI")).map_err(|problem| problem.kind())
    }

    #[test]
    fn a_list_without_parameters_is_the_first_twenty_of_every_state() {
        let query = query("/jobs").expect("a query");
        assert_eq!((query.status, query.limit, query.cursor), (None, 20, None));
    }

    #[test]
    fn parameters_are_decoded_and_taken() {
        let query = query("/jobs?cursor=2026%2F11%20x&status=spark_processing&limit=100").expect("a query");
        assert_eq!((query.status, query.limit), (Some(JobState::SparkProcessing), 100));
        assert_eq!(query.cursor.as_deref(), Some("2026/11 x"));
    }

    #[test]
    fn every_wrong_parameter_is_told_by_its_name() {
        let uri = "/jobs?limit=0&status=done&owner=me&cursor=a&cursor=b".parse().expect("a URI");
        let problem = read_query("local".into(), &uri).expect_err("four faults");
        let told = serde_json::to_value(ProblemDetails::new(problem, "docs/errors")).expect("JSON");
        let errors = told["errors"]
            .as_array()
            .expect("errors")
            .iter()
            .map(|e| e["pointer"].as_str().expect("a place"));
        let mut places: Vec<_> = errors.collect();
        places.sort();
        assert_eq!(places, ["?cursor", "?limit", "?owner", "?status"]);
        assert_eq!(told["status"], 400);
    }

    #[test]
    fn a_limit_is_a_whole_number_within_its_bounds() {
        for limit in ["0", "101", "-1", "1.5", "", "many", "99999999999999999999999"] {
            assert_eq!(
                query(&format!("/jobs?limit={limit}")).err(),
                Some(ErrorKind::MalformedRequest),
                "{limit}"
            );
        }
    }

    #[test]
    fn each_state_but_the_present_one_has_lasted_until_the_next() {
        let at = |ms| DateTime::UNIX_EPOCH + TimeDelta::milliseconds(ms);
        let entered = [(JobState::Queued, 0), (JobState::Validating, 250), (JobState::Failed, 1250)];
        let entered = entered.map(|(state, ms)| TimedState { state, at: at(ms) });
        let durations: Vec<_> = timed(&entered).into_iter().map(|s| s.duration).collect();
        assert_eq!(durations, [Some(0.25), Some(1.0), None]);
        assert_eq!(timed(&[]), []);
    }
}
