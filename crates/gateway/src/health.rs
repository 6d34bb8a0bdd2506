//! `GET /health/live` and `GET /health/ready`: whether the process runs, and whether it can take work.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Gateway;
use crate::parameters::NoQuery;
use crate::problem::{Problem, ProblemDetails};

/// That all is well.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `live` or `ready`.
    status: &'static str,
}

fn healthy(status: &'static str) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(Health { status })).into_response()
}

#[utoipa::path(
    get,
    path = "/health/live",
    tag = "service",
    summary = "Whether the process runs",
    responses((status = 200, description = "It does.", body = Health, example = json!({"status": "live"})))
)]
pub(crate) async fn live(_: NoQuery) -> Response {
    healthy("live")
}

#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "service",
    summary = "Whether jobs can be taken in",
    responses(
        (status = 200, description = "The storage answers.", body = Health, example = json!({"status": "ready"})),
        (status = 503, description = "The storage does not answer.", body = ProblemDetails,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds."))),
    )
)]
pub(crate) async fn ready(State(gateway): State<Arc<Gateway>>, _: NoQuery) -> Result<Response, Problem> {
    gateway.orchestrator.ready().await?;
    Ok(healthy("ready"))
}
