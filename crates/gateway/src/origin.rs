//! Pages of other origins: which may use the API (CORS, as the Fetch standard has it), and what keeps all others out.
//!
//! A browser sends some requests of any page without asking first, and shows the page no answer. Where nobody signs in
//! that is enough to start jobs, so such requests are turned away. And a page whose name is made to lead to this machine
//! (DNS rebinding) is of the same origin as far as the browser knows: so a server for this machine alone answers only to
//! this machine's own names.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use caudal_core::{Error, ErrorKind};

use crate::Gateway;
use crate::identity::shows_nothing;
use crate::problem::Problem;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

const HEADERS: HeaderValue = HeaderValue::from_static(
    "accept, authorization, content-encoding, content-type, idempotency-key, if-match, if-none-match, if-range, \
     last-event-id, prefer, range, x-api-key",
);

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "accept-ranges, content-disposition, content-range, etag, location, preference-applied, ratelimit-limit, \
     ratelimit-remaining, ratelimit-reset, retry-after, www-authenticate",
);

/// Seconds for which a browser need not ask again.
const MAX_AGE: u32 = 600;

/// Which pages may use the API, and under which names it answers.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Origins such as `https://console.example.org`, or `*` for all.
    pub allowed: Vec<String>,
    /// Whether a browser may send cookies along. Not together with `*`.
    pub credentials: bool,
    /// Names beside this machine's own, where the server answers to no others; `None` where it answers to all.
    pub hosts: Option<Vec<String>>,
}

impl Origins {
    /// What `Access-Control-Allow-Origin` says to an origin; `None` where it may not use the API.
    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        let named = |allowed: &&String| allowed.as_bytes() == origin.as_bytes();
        match self.allowed.iter().find(named) {
            Some(_) => Some(origin.clone()),
            None => self.allowed.iter().any(|allowed| allowed == "*").then(|| HeaderValue::from_static("*")),
        }
    }

    fn answers_to(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let Some(named) = &self.hosts else { return true };
        let Some(host) = host_of(headers, uri) else { return true };
        is_own(&host) || named.iter().any(|name| name.eq_ignore_ascii_case(&host))
    }
}

/// The host that a request names, without its port. HTTP/1.0 need not name one.
fn host_of(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let named = headers.get(HOST).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let host = named.or_else(|| uri.authority().map(ToString::to_string))?;
    let end = match host.rfind(']') {
        Some(bracket) => bracket + 1,
        None => host.rfind(':').unwrap_or(host.len()),
    };
    Some(host[..end].to_owned())
}

/// Whether a host is this machine, by a name that nobody else can give out.
fn is_own(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || name.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a page is of the server's own origin, as far as can be told: a proxy may have ended TLS.
fn is_same(origin: &HeaderValue, headers: &HeaderMap) -> bool {
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    authority.is_some() && authority == host
}

/// Middleware: answers preflights, and keeps pages out that may not use the API.
pub(crate) async fn check_origin(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let origins = &gateway.options.origins;
    let (headers, method) = (request.headers(), request.method());
    if shows_nothing(headers) && !origins.answers_to(headers, request.uri()) {
        return Err(other_name());
    }
    let Some(origin) = headers.get(ORIGIN).cloned() else {
        let mut response = next.run(request).await;
        vary(&mut response, origins);
        return Ok(response);
    };
    let allowed = origins.allow(&origin);
    if *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        let Some(allowed) = allowed else { return Err(other_origin(&origin)) };
        return Ok(preflight(allowed, origins));
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if allowed.is_none() && changes && shows_nothing(headers) && !is_same(&origin, headers) {
        return Err(other_origin(&origin));
    }
    let mut response = next.run(request).await;
    vary(&mut response, origins);
    if let Some(allowed) = allowed {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        allow_credentials(headers, origins);
    }
    Ok(response)
}

fn preflight(allowed: HeaderValue, origins: &Origins) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    vary(&mut response, origins);
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE.into());
    allow_credentials(headers, origins);
    response
}

/// Never for all origins: every page in the world could then act for whoever is signed in.
fn allow_credentials(headers: &mut HeaderMap, origins: &Origins) {
    let all = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_none_or(|allowed| allowed == "*");
    if origins.credentials && !all {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
}

/// Caches must not give one origin's answer to another.
fn vary(response: &mut Response, origins: &Origins) {
    if !origins.allowed.is_empty() {
        response.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    }
}

fn other_origin(origin: &HeaderValue) -> Problem {
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    let detail = format!("pages of {origin} may not use this API");
    Error::new(ErrorKind::Forbidden, detail).hint("cors.allowed_origins in the settings lets them").into()
}

fn other_name() -> Problem {
    let detail = "this server is for its own machine, and answers to no other name than localhost";
    let hint =
        "use http://127.0.0.1, name the host in server.hosts, or have everybody sign in with --authenticate";
    Error::new(ErrorKind::Forbidden, detail).hint(hint).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_nobody_can_give_out_are_this_machine() {
        for host in ["localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_own(host), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.1", "", "[::2]"]
        {
            assert!(!is_own(host), "{host}");
        }
    }

    #[test]
    fn a_host_is_read_without_its_port() {
        let host = |text: &str| {
            let headers = HeaderMap::from_iter([(HOST, text.parse().expect("a header"))]);
            host_of(&headers, &Uri::from_static("/"))
        };
        assert_eq!(host("a.example:80").as_deref(), Some("a.example"));
        assert_eq!(host("[::1]:80").as_deref(), Some("[::1]"));
        assert_eq!(host("[::1]").as_deref(), Some("[::1]"));
        assert_eq!(
            host_of(&HeaderMap::new(), &Uri::from_static("http://b.example:1/x")).as_deref(),
            Some("b.example")
        );
    }

    #[test]
    fn an_origin_is_allowed_letter_by_letter() {
        let origins = Origins { allowed: vec!["https://a.example".into()], ..Origins::default() };
        let allow = |origin: &'static str| origins.allow(&HeaderValue::from_static(origin));
        assert_eq!(
            allow("https://a.example").as_ref().map(|v| v.as_bytes()),
            Some(&b"https://a.example"[..])
        );
        for other in [
            "http://a.example",
            "https://a.example:444",
            "https://a.example.evil",
            "https://b.a.example",
            "null",
        ] {
            assert_eq!(allow(other), None, "{other}");
        }
    }
}
