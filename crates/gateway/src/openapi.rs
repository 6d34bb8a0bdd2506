//! `GET /openapi.json`: this API for machines, generated from the handlers that answer.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::State;
use utoipa::OpenApi;
use utoipa::openapi::Server;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};

use crate::Gateway;
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
    let mut document = Preamble::openapi();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, or a token of the issuer that the server trusts."))
        .build();
    let key = ApiKey::Header(ApiKeyValue::with_description("X-Api-Key", "An API key."));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    components.add_security_scheme("key", SecurityScheme::ApiKey(key));
    // The first is for servers that ask nobody.
    let none: [&str; 0] = [];
    document.security = Some(vec![
        SecurityRequirement::default(),
        SecurityRequirement::new("bearer", none),
        SecurityRequirement::new("key", none),
    ]);
    document
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
pub(crate) async fn document(
    State(gateway): State<Arc<Gateway>>,
    _: NoQuery,
) -> Result<Json<Cow<'static, utoipa::openapi::OpenApi>>, Problem> {
    let mut document = Cow::Borrowed(&*DOCUMENT);
    let base = &gateway.options.base_path;
    if !base.is_empty() {
        document.to_mut().servers = Some(vec![Server::new(base)]);
    }
    Ok(Json(document))
}
