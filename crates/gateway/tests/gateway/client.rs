//! Sends requests to the router in this process.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use crate::empty_bucket::gateway;

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Asserts that this is a problem of a kind, whole and described rightly, and returns it.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{text}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("docs/errors/{code}"));
        assert_eq!(problem["status"], status);
        if let Some(length) = self.headers.get("content-length") {
            assert_eq!(length, &self.body.len().to_string());
        }
        problem
    }
}

pub async fn send(request: Request<Body>) -> Answer {
    let router = caudal_gateway::router(gateway().await);
    let response = router.oneshot(request).await.expect("the router never fails");
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body").to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

pub async fn get(uri: &str) -> Answer {
    call("GET", uri, &[], "").await
}

pub async fn post(body: impl Into<Body>) -> Answer {
    call("POST", "/process", &[("content-type", "application/json")], body).await
}

pub async fn call(method: &str, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri(uri);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(request.body(body.into()).expect("a request")).await
}
