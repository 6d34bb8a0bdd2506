//! Why AWS did not do what it was asked for, as a sentence for the user with the cure.

use caudal_core::{Error, ErrorKind, reasons};
use http::HeaderMap;
use serde_json::Value;

use crate::client::Again;
use crate::xml::text as text_of;

/// A call that was not answered well.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// AWS said no, and nothing was done.
    Refused { status: u16, code: String, message: String },
    /// There was no answer, or one that does not say whether it was done.
    Unclear { cause: String },
}

/// Codes of services that ask for fewer calls.
const THROTTLES: [&str; 6] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
];

impl Refusal {
    /// Reads an answer that is no good one: JSON of the newer services, XML of the older ones.
    pub(crate) fn read(status: u16, headers: &HeaderMap, body: &[u8]) -> Refusal {
        let text = String::from_utf8_lossy(body);
        let fields: Value = serde_json::from_slice(body).unwrap_or_default();
        let field =
            |names: [&str; 2]| names.iter().find_map(|name| fields[*name].as_str()).map(str::to_owned);
        let header = headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok());
        let code = header
            .map(str::to_owned)
            .or_else(|| field(["__type", "code"]))
            .or_else(|| text_of(&text, "Code"));
        let message = field(["message", "Message"]).or_else(|| text_of(&text, "Message"));
        let code = code.map_or_else(|| status.to_string(), |code| bare(&code).to_owned());
        let message = message.unwrap_or_else(|| text.chars().take(300).collect());
        match status {
            500.. => Refusal::Unclear { cause: format!("{status} {code}: {message}") },
            _ => Refusal::Refused { status, code, message },
        }
    }

    /// The service's own word for it.
    pub fn code(&self) -> &str {
        match self {
            Refusal::Refused { code, .. } => code,
            Refusal::Unclear { .. } => "",
        }
    }

    /// Whether another try may be answered otherwise, and does no harm.
    pub(crate) fn may_pass(&self, again: Again) -> bool {
        match self {
            Refusal::Refused { .. } => self.is_throttle(),
            Refusal::Unclear { .. } => again == Again::Harmless,
        }
    }

    fn is_throttle(&self) -> bool {
        match self {
            Refusal::Refused { status, code, .. } => *status == 429 || THROTTLES.contains(&code.as_str()),
            Refusal::Unclear { .. } => false,
        }
    }

    /// The error for the user: `what` could not be done. Of kind `kind` where somebody has to act, and `Overloaded` where
    /// it may pass by itself.
    pub fn explain(&self, kind: ErrorKind, what: &str) -> Error {
        let (code, message) = match self {
            Refusal::Unclear { cause } => {
                return Error::new(ErrorKind::Overloaded, format!("{what}: AWS gave no clear answer"))
                    .cause(cause);
            }
            Refusal::Refused { code, message, .. } => (code, message),
        };
        if self.is_throttle() {
            return Error::new(ErrorKind::Overloaded, format!("{what}: AWS asks for fewer calls"))
                .cause(message);
        }
        let cause = format!("{code}: {message}");
        match reasons::find(&cause, &[reasons::OF_AWS]) {
            Some((_, reason, cure)) => Error::new(kind, format!("{what}: {reason}")).hint(cure).cause(cause),
            None => Error::new(kind, format!("{what}: {message}")).cause(cause),
        }
    }
}

/// `com.amazonaws.x#ThrottlingException:http://…` → `ThrottlingException`.
fn bare(code: &str) -> &str {
    let code = code.rsplit_once('#').map_or(code, |(_, name)| name);
    code.split(':').next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Refusal {
        Refusal::read(status, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn codes_are_read_from_headers_json_and_xml() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-errortype", "ThrottlingException:http://x".parse().unwrap());
        assert_eq!(Refusal::read(400, &headers, b"{}").code(), "ThrottlingException");
        assert_eq!(
            read(400, r#"{"__type":"a.b#InvalidRequestException","message":"m"}"#).code(),
            "InvalidRequestException"
        );
        assert_eq!(read(403, "<E><Code>AccessDenied</Code><Message>m</Message></E>").code(), "AccessDenied");
        assert_eq!(read(404, "").code(), "404");
    }

    #[test]
    fn what_may_have_been_done_is_tried_again_only_where_that_is_harmless() {
        let unclear = read(503, "");
        assert!(unclear.may_pass(Again::Harmless) && !unclear.may_pass(Again::LookFirst));
        let throttled = read(400, r#"{"__type":"ThrottlingException"}"#);
        assert!(throttled.may_pass(Again::LookFirst));
        assert!(!read(400, r#"{"__type":"ValidationException"}"#).may_pass(Again::Harmless));
    }

    #[test]
    fn a_wrong_clock_a_wrong_key_and_a_missing_right_are_told_apart() {
        for (body, reason, cure) in [
            (
                r#"{"__type":"InvalidSignatureException","message":"Signature expired: 20260101T000000Z is now earlier than"}"#,
                "clock",
                "set it",
            ),
            (
                r#"{"__type":"InvalidSignatureException","message":"The request signature we calculated does not match"}"#,
                "secret key",
                "AWS_SECRET_ACCESS_KEY",
            ),
            (
                r#"{"__type":"UnrecognizedClientException","message":"The security token is invalid"}"#,
                "nobody has",
                "AWS_ACCESS_KEY_ID",
            ),
            (
                r#"{"__type":"AccessDeniedException","message":"User: arn:x is not authorized to perform: y"}"#,
                "access denied",
                "policies",
            ),
            (
                r#"{"__type":"AccessDeniedException","message":"User: arn:x is not authorized to perform: kms:Decrypt on resource: arn:y"}"#,
                "encryption key",
                "kms:GenerateDataKey",
            ),
        ] {
            let error = read(403, body).explain(ErrorKind::UnavailableEngine, "the step cannot be started");
            assert!(error.detail.contains(reason) && !error.detail.contains("arn:"), "{}", error.detail);
            assert!(error.hint.is_some_and(|hint| hint.contains(cure)), "{body}");
            assert_eq!(error.kind, ErrorKind::UnavailableEngine);
        }
        assert!(read(500, "").explain(ErrorKind::UnavailableEngine, "x").kind.is_retryable());
        assert!(read(429, "").explain(ErrorKind::UnavailableEngine, "x").kind.is_retryable());
    }
}
