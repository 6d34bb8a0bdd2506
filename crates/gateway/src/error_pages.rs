//! `GET /docs/errors/{code}`: the page that a problem's `type` leads to, from `docs/errors/`.

use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use caudal_core::{Error, ErrorKind};

use crate::parameters::NoQuery;
use crate::problem::{Problem, ProblemDetails};

/// Where the pages are on this server.
pub const ERROR_PAGES: &str = "/docs/errors";

macro_rules! pages {
    ($($kind:ident = $code:literal),+ $(,)?) => {
        fn page_of(kind: ErrorKind) -> &'static str {
            match kind {
                $(ErrorKind::$kind => include_str!(concat!("../../../docs/errors/", $code, ".md"))),+
            }
        }
    };
}

pages! {
    MalformedRequest = "malformed-request",
    Unauthenticated = "unauthenticated",
    Forbidden = "forbidden",
    RequestTimeout = "request-timeout",
    HeadersTooLarge = "headers-too-large",
    TooManyRequests = "too-many-requests",
    InvalidRequest = "invalid-request",
    InvalidData = "invalid-data",
    SourceUnavailable = "source-unavailable",
    TooLarge = "too-large",
    UnsupportedMediaType = "unsupported-media-type",
    NotAcceptable = "not-acceptable",
    NotFound = "not-found",
    MethodNotAllowed = "method-not-allowed",
    Conflict = "conflict",
    NotFinished = "not-finished",
    UnavailableEngine = "unavailable-engine",
    EngineFailed = "engine-failed",
    InsufficientMemory = "insufficient-memory",
    InsufficientDisk = "insufficient-disk",
    Overloaded = "overloaded",
    StorageUnavailable = "storage-unavailable",
    UnsuitableStorage = "unsuitable-storage",
    IssuerUnavailable = "issuer-unavailable",
    Cancelled = "cancelled",
    Internal = "internal",
}

#[utoipa::path(
    get,
    path = "/docs/errors/{code}",
    tag = "service",
    summary = "What an error means and what to do",
    params(("code" = String, Path, description = "The last part of a problem's `type`.", example = "invalid-data")),
    responses(
        (status = 200, description = "The page, in Markdown.", body = String, content_type = "text/markdown"),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such error.", body = ProblemDetails,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn page(Path(code): Path<String>, _: NoQuery) -> Result<Response, Problem> {
    let kind = ErrorKind::ALL.into_iter().find(|kind| kind.code() == code).ok_or_else(|| {
        let codes = ErrorKind::ALL.map(ErrorKind::code).join(", ");
        Error::new(ErrorKind::NotFound, format!("there is no error \"{code}\"; there are {codes}"))
    })?;
    Ok(([(CONTENT_TYPE, "text/markdown; charset=utf-8")], page_of(kind)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_leads_to_its_own_page() {
        for kind in ErrorKind::ALL {
            assert!(
                page_of(kind).contains(&format!("\"type\": \"{ERROR_PAGES}/{}\"", kind.code())),
                "{kind:?}"
            );
        }
    }
}
