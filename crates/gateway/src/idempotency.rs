//! The `Idempotency-Key` header: the same key and the same request are the same job.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use caudal_core::request::SourceFormat;
use caudal_core::uploads::{Sha256 as Sum, hex};
use caudal_core::{Error, ErrorKind};
use caudal_orchestration::Once;
use sha2::{Digest, Sha256};

use crate::problem::Problem;
use crate::query_settings;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Set on the answer to a request that was taken in before.
pub const REPLAYED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));

/// The longest key that is taken.
const LONGEST: usize = 255;

/// A key that came with a request.
pub struct Key(String);

impl Key {
    /// # Errors
    /// `MalformedRequest` for a key that is empty, too long or not of visible ASCII, and for several.
    pub fn of(headers: &HeaderMap) -> Result<Option<Key>, Problem> {
        let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(value) = given.next() else { return Ok(None) };
        // The draft standard writes it as a quoted string, and most clients do not.
        let text = value.to_str().unwrap_or_default().trim();
        let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let usable = (1..=LONGEST).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if !usable || given.next().is_some() {
            let detail =
                format!("Idempotency-Key: expected one key of 1 to {LONGEST} visible ASCII characters");
            return Err(Error::new(ErrorKind::MalformedRequest, detail).hint("a UUID is a good key").into());
        }
        Ok(Some(Key(key.to_owned())))
    }

    /// The key for a request as JSON.
    pub fn of_request(self, body: &[u8]) -> Once {
        self.with(&["request"], &Sha256::digest(body).into())
    }

    /// The key for a body of data and the settings of its query.
    ///
    /// # Errors
    /// `MalformedRequest` where the query cannot be read.
    pub fn of_data(self, format: SourceFormat, uri: &Uri, body: &Sum) -> Result<Once, Problem> {
        let settings = serde_json::to_string(&query_settings::given(uri)?)
            .map_err(|e| Error::new(ErrorKind::Internal, "the settings cannot be written").cause(e))?;
        Ok(self.with(&["data", format.name(), &settings], body))
    }

    fn with(self, what: &[&str], body: &Sum) -> Once {
        let mut hash = Sha256::new();
        for part in what {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(body);
        Once { key: self.0, fingerprint: hex(&hash.finalize().into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(lines: &[&str]) -> Result<Option<String>, ErrorKind> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IDEMPOTENCY_KEY, line.parse().expect("a header"));
        }
        Key::of(&headers).map(|key| key.map(|key| key.0)).map_err(|problem| problem.kind())
    }

    #[test]
    fn a_key_is_taken_with_and_without_quotes() {
        assert_eq!(key(&[]), Ok(None));
        assert_eq!(key(&["a-1"]), Ok(Some("a-1".into())));
        assert_eq!(key(&["\"a-1\""]), Ok(Some("a-1".into())));
        assert_eq!(key(&[&"k".repeat(255)]).map(|key| key.map(|k| k.len())), Ok(Some(255)));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for lines in [&[""][..], &["\"\""], &["a b"], &[&"k".repeat(256)], &["a", "b"]] {
            assert_eq!(key(lines), Err(ErrorKind::MalformedRequest), "{lines:?}");
        }
    }

    #[test]
    fn a_request_is_another_one_by_its_body_its_form_or_its_settings() {
        let data = |format, query: &str, body: &str| {
            let uri = format!("/process?{query}").parse().expect("a URI");
            let sum = Sha256::digest(body).into();
            Key("k".into()).of_data(format, &uri, &sum).map(|once| once.fingerprint).expect("a fingerprint")
        };
        let one = data(SourceFormat::Csv, "engine=auto&columns=a&columns=b", "1");
        assert_eq!(one, data(SourceFormat::Csv, "columns=a&engine=auto&columns=b", "1"));
        let others = [
            data(SourceFormat::Csv, "engine=auto&columns=b&columns=a", "1"),
            data(SourceFormat::Csv, "engine=auto&columns=a&columns=b", "2"),
            data(SourceFormat::Ndjson, "engine=auto&columns=a&columns=b", "1"),
            Key("k".into()).of_request(b"1").fingerprint,
        ];
        assert!(others.iter().all(|other| *other != one));
    }
}
