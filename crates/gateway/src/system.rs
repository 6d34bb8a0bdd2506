//! `GET /system`: what the host of this server has to work with.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use caudal_core::system::SystemDescription;

use crate::Gateway;
use crate::parameters::NoQuery;
use crate::problem::ProblemDetails;

#[utoipa::path(
    get,
    path = "/system",
    tag = "service",
    summary = "What the host has: cores, memory, GPU",
    description = "The GPU is looked for anew, unless one was found before; its first use takes a self-test.",
    responses(
        (status = 200, description = "What was found.", body = SystemDescription),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn system(State(gateway): State<Arc<Gateway>>, _: NoQuery) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(gateway.system.system().await)).into_response()
}
