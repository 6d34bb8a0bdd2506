//! What a body is by its `Content-Type`: a job request, or data of one of the forms that sources have.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Result};

/// What the body of `POST /process` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// The contract's JSON.
    Request,
    /// The numbers themselves; the settings are query parameters.
    Data(SourceFormat),
}

/// Media types of data, the one that answers have first.
const DATA: [(&str, SourceFormat); 10] = [
    ("text/csv", SourceFormat::Csv),
    ("application/x-ndjson", SourceFormat::Ndjson),
    ("application/ndjson", SourceFormat::Ndjson),
    ("application/jsonl", SourceFormat::Ndjson),
    ("application/x-jsonlines", SourceFormat::Ndjson),
    ("application/vnd.apache.arrow.stream", SourceFormat::Arrow),
    ("application/vnd.apache.arrow.file", SourceFormat::Arrow),
    ("application/vnd.apache.parquet", SourceFormat::Parquet),
    ("application/parquet", SourceFormat::Parquet),
    ("application/x-parquet", SourceFormat::Parquet),
];

impl BodyForm {
    /// Without a `Content-Type` a body is taken for a request.
    ///
    /// # Errors
    /// `UnsupportedMediaType` that names what is read.
    pub fn of(headers: &HeaderMap) -> Result<BodyForm> {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(BodyForm::Request) };
        let text = String::from_utf8_lossy(value.as_bytes());
        let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media_type == "application/json" || media_type.ends_with("+json") {
            return Ok(BodyForm::Request);
        }
        let found = DATA.iter().find(|(known, _)| *known == media_type);
        found.map(|(_, format)| BodyForm::Data(*format)).ok_or_else(|| {
            let detail = format!("a body of type \"{media_type}\" is not read here");
            let hint = "send a request as application/json, or data as text/csv, application/x-ndjson, \
                        application/vnd.apache.arrow.stream or application/vnd.apache.parquet";
            Error::new(ErrorKind::UnsupportedMediaType, detail).hint(hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(value: &str) -> Result<BodyForm, ErrorKind> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, value.parse().expect("a header"));
        BodyForm::of(&headers).map_err(|error| error.kind)
    }

    #[test]
    fn a_body_is_a_request_by_its_type_or_by_having_none() {
        assert_eq!(BodyForm::of(&HeaderMap::new()).map_err(|e| e.kind), Ok(BodyForm::Request));
        for value in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.caudal+json"] {
            assert_eq!(form(value), Ok(BodyForm::Request), "{value}");
        }
    }

    #[test]
    fn data_is_known_by_every_name_of_its_form() {
        for (name, format) in DATA {
            assert_eq!(form(name), Ok(BodyForm::Data(format)));
            assert_eq!(form(&format!("{}; header=present", name.to_uppercase())), Ok(BodyForm::Data(format)));
        }
    }

    #[test]
    fn what_is_not_read_is_refused() {
        for value in ["image/png", "text/json", "text/plain", "application/x-www-form-urlencoded", ""] {
            assert_eq!(form(value), Err(ErrorKind::UnsupportedMediaType), "{value}");
        }
    }
}
