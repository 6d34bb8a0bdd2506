//! The one table of what a request takes: nothing, or a scope. What is not in it takes a scope too.

use axum::http::Method;
use caudal_core::identity::Scope;

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Anybody may ask, as often as they like: whoever watches over the server must not be turned away.
    Health,
    /// Anybody may ask.
    Nothing,
    Scope(Scope),
}

/// Paths that anybody may read. None of them says anything about a job or its owner.
pub const PUBLIC: [&str; 2] = ["/openapi.json", "/docs"];

const HEALTH: [&str; 2] = ["/health/live", "/health/ready"];

/// Below this anybody may read.
pub const PUBLIC_BELOW: &str = "/docs/";

/// Paths that say how the server is doing.
pub const OPERATORS: [&str; 1] = ["/metrics"];

/// What a request takes. The router matches paths byte by byte, and so does this.
pub fn need(method: &Method, path: &str) -> Need {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match path {
        path if reads && HEALTH.contains(&path) => Need::Health,
        path if reads && (PUBLIC.contains(&path) || path.starts_with(PUBLIC_BELOW)) => Need::Nothing,
        path if OPERATORS.contains(&path) => Need::Scope(Scope::Admin),
        _ if reads || *method == Method::OPTIONS => Need::Scope(Scope::Read),
        _ => Need::Scope(Scope::Submit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_changes_something_takes_submit_and_whatever_looks_takes_read() {
        let scope = |method, path| need(&method, path);
        assert_eq!(scope(Method::POST, "/process"), Need::Scope(Scope::Submit));
        assert_eq!(scope(Method::DELETE, "/jobs/1"), Need::Scope(Scope::Submit));
        assert_eq!(scope(Method::PUT, "/uploads/1"), Need::Scope(Scope::Submit));
        assert_eq!(scope(Method::GET, "/jobs"), Need::Scope(Scope::Read));
        assert_eq!(scope(Method::HEAD, "/jobs/1/data"), Need::Scope(Scope::Read));
        assert_eq!(scope(Method::GET, "/metrics"), Need::Scope(Scope::Admin));
    }

    #[test]
    fn what_is_not_named_is_not_public() {
        for path in ["/", "/health", "/health/live/", "/health/livex", "/docsx", "//docs", "/nowhere", ""] {
            assert_eq!(need(&Method::GET, path), Need::Scope(Scope::Read), "{path}");
        }
        assert_eq!(need(&Method::GET, "/health/ready"), Need::Health);
        assert_eq!(need(&Method::POST, "/openapi.json"), Need::Scope(Scope::Submit));
        assert_eq!(need(&Method::GET, "/docs/errors/internal"), Need::Nothing);
    }
}
