//! The `Prefer` header of `POST /process` (RFC 7240): how long a client wants to wait.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::GatewayOptions;
use crate::header_list::{elements, split_unquoted};

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The preferences that are understood; all others are ignored, as the RFC asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    respond_async: bool,
    /// Seconds.
    wait: Option<u64>,
}

impl Prefer {
    /// Reads the header; of a preference that stands twice the first counts.
    pub fn read(headers: &HeaderMap) -> Prefer {
        let mut prefer = Prefer::default();
        for element in elements(headers, &PREFER) {
            let preference = split_unquoted(&element, ';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "respond-async" => prefer.respond_async = true,
                "wait" if prefer.wait.is_none() => prefer.wait = value.trim().trim_matches('"').parse().ok(),
                _ => {}
            }
        }
        prefer
    }

    /// How long to wait. `respond-async` alone is not to wait at all; with `wait=N` it is to wait N
    /// seconds first.
    pub fn wait(self, options: &GatewayOptions) -> Duration {
        match self.wait {
            Some(seconds) => Duration::from_secs(seconds).min(options.max_wait),
            None if self.respond_async => Duration::ZERO,
            None => options.default_wait,
        }
    }

    /// The value of `Preference-Applied`: the preferences that decided, `wait` as it was allowed.
    /// A final response leaves no room for `respond-async`.
    pub fn applied(self, accepted: bool, options: &GatewayOptions) -> Option<HeaderValue> {
        let asynchronous = (self.respond_async && accepted).then(|| "respond-async".to_owned());
        let wait = self.wait.map(|_| format!("wait={}", self.wait(options).as_secs()));
        let applied: Vec<_> = asynchronous.into_iter().chain(wait).collect();
        if applied.is_empty() { None } else { HeaderValue::try_from(applied.join(", ")).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> GatewayOptions {
        GatewayOptions {
            body: crate::BodyLimits { max_sent: 1000, max_decoded: 1000 },
            default_wait: Duration::from_secs(20),
            max_wait: Duration::from_secs(25),
            whole_within: None,
            body_time: crate::limits::BodyTime { idle: Duration::from_secs(30), slowest: 1 },
            origins: Default::default(),
            error_pages: "docs/errors/".into(),
            base_path: String::new(),
        }
    }

    fn read(lines: &[&str]) -> Prefer {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(PREFER, line.parse().expect("a header"));
        }
        Prefer::read(&headers)
    }

    fn wait(line: &str) -> u64 {
        read(&[line]).wait(&options()).as_secs()
    }

    fn applied(line: &str, accepted: bool) -> Option<String> {
        read(&[line]).applied(accepted, &options()).map(|v| v.to_str().expect("text").to_owned())
    }

    #[test]
    fn without_a_preference_the_default_wait_holds() {
        assert_eq!(read(&[]).wait(&options()).as_secs(), 20);
        assert_eq!(wait("return=minimal"), 20);
        assert_eq!(applied("return=minimal", true), None);
    }

    #[test]
    fn a_wait_is_taken_up_to_the_maximum_and_said_as_it_was_taken() {
        assert_eq!(wait("wait=3"), 3);
        assert_eq!(wait("Wait = \"7\"; strict"), 7);
        assert_eq!(wait("wait=600"), 25);
        assert_eq!(applied("wait=600", false).as_deref(), Some("wait=25"));
    }

    #[test]
    fn respond_async_alone_does_not_wait_and_with_a_wait_waits_first() {
        assert_eq!(wait("respond-async"), 0);
        assert_eq!(wait("respond-async, wait=2"), 2);
        assert_eq!(read(&["respond-async", "wait=4"]).wait(&options()).as_secs(), 4);
        assert_eq!(applied("respond-async, wait=2", true).as_deref(), Some("respond-async, wait=2"));
        assert_eq!(applied("respond-async", false), None);
    }

    #[test]
    fn what_cannot_be_read_is_ignored_and_the_first_of_two_counts() {
        for line in ["wait=soon", "wait=-1", "wait", "note=\"x, respond-async\""] {
            assert_eq!(read(&[line]), Prefer::default(), "{line}");
        }
        assert_eq!(wait("wait=1, wait=9"), 1);
    }
}
