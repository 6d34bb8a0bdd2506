//! `GET /openapi.json`: this API for machines, generated from the handlers that answer.

use std::sync::LazyLock;

use axum::Json;
use utoipa::OpenApi;

use crate::parameters::NoQuery;
use crate::problem::{Problem, ProblemDetails};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Caudal",
        description = "Normalises numbers, profiles them through two pipelines, compares the two value by value, \
                       and keeps everything. Every error is an RFC 9457 problem."
    ),
    tags(
        (name = "jobs", description = "Submit jobs and fetch what they found."),
        (name = "uploads", description = "Send bodies that are too large for one request."),
        (name = "service", description = "The server itself."),
    )
)]
struct Preamble;

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(openapi);

/// What the document says before the first path.
pub(crate) fn preamble() -> utoipa::openapi::OpenApi {
    Preamble::openapi()
}

/// The OpenAPI 3.1 document of this API: what `/openapi.json` serves.
pub fn openapi() -> utoipa::openapi::OpenApi {
    crate::resources().into_openapi()
}

#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    summary = "This document",
    responses(
        (status = 200, description = "This API as OpenAPI 3.1.", body = Object),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn document(_: NoQuery) -> Result<Json<&'static utoipa::openapi::OpenApi>, Problem> {
    Ok(Json(&DOCUMENT))
}
