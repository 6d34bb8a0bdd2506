//! `GET /docs`: the API as a page for people, made in the browser from `/openapi.json`; nothing is fetched from elsewhere.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::parameters::NoQuery;
use crate::problem::ProblemDetails;

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

static PAGE: LazyLock<String> =
    LazyLock::new(|| include_str!("page.html").replace("/*style*/", STYLE).replace("/*script*/", SCRIPT));

/// The browser runs this script and applies this style, and nothing that somebody else put into the page.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

#[utoipa::path(
    get,
    path = "/docs",
    tag = "service",
    summary = "This API as a page",
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html"),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn api_page(_: NoQuery) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, PAGE.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_holds_its_script_and_style_and_asks_nobody_else() {
        assert!(PAGE.contains(SCRIPT) && PAGE.contains(STYLE));
        for elsewhere in ["http://", "https://", "src=", "@import", "url(", "innerHTML", "eval("] {
            assert!(!PAGE.contains(elsewhere), "{elsewhere}");
        }
    }
}
