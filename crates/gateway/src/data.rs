//! `GET /jobs/{id}/data`: the normalised data in the form that the client accepts, whole or a range of it.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
    VARY,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use caudal_core::export::{Export, ExportFormat, NormalizedData, StoredObject};
use caudal_core::{Error, ErrorKind, JobId, Result};
use futures::{Stream, TryStreamExt, stream};

use crate::Gateway;
use crate::byte_range::ByteRange;
use crate::elsewhere::{self, LONGEST_ANSWER};
use crate::negotiate::export_format;
use crate::owner::Owner;
use crate::parameters::{JobPath, NoQuery};
use crate::problem::{Problem, ProblemDetails, ServerProblems};

/// How many bytes of a range are in memory at a time.
const PIECE: u64 = 4 << 20;

#[utoipa::path(
    get,
    path = "/jobs/{id}/data",
    tag = "jobs",
    summary = "The normalised data",
    description = "`Accept` chooses the form; without it the data comes as it is stored. One `Range` of bytes is \
                   honoured where the answer is one stored object as it lies there (`Accept-Ranges: bytes`). Where \
                   the store can presign addresses, more than 4 MB are fetched from there.",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("Accept" = Option<String>, Header, example = "text/csv", description = "Media types, with qualities."),
        ("Range" = Option<String>, Header, example = "bytes=0-1023", description = "One range of bytes."),
    ),
    responses(
        (status = 200, description = "The data.",
            content(
                (Object = "application/json", example = json!({"columns": {"value": [-1.0, null, 1.0]}})),
                (String = "application/x-ndjson", example = "{\"value\":-1.0}\n{\"value\":null}\n"),
                (String = "text/csv", example = "value\n-1.0\n\n"),
                (Vec<u8> = "application/vnd.apache.arrow.stream"),
                (Vec<u8> = "application/vnd.apache.parquet"),
            ),
            headers(("Content-Disposition" = String, description = "A name for the file."),
                    ("Accept-Ranges" = String, description = "`bytes` where a range can be asked for."),
                    ("ETag" = String, description = "For `If-Range`."))),
        (status = 206, description = "The range that was asked for.",
            content(
                (serde_json::Value = "application/json"),
                (String = "application/x-ndjson"),
                (String = "text/csv"),
                (Vec<u8> = "application/vnd.apache.arrow.stream"),
                (Vec<u8> = "application/vnd.apache.parquet"),
            ),
            headers(("Content-Range" = String, description = "Which bytes of how many."))),
        (status = 307, description = "More than 4 MB, which the store itself gives.",
            headers(("Location" = String, description = "An address of the store, good for a quarter of an hour."))),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such job, or it has no normalised data.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 406, description = "No form that is accepted can be written.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 409, description = "The job has not finished.", body = ProblemDetails,
            content_type = "application/problem+json", headers(("Retry-After" = u32, description = "Seconds."))),
        (status = 416, description = "The range holds no byte of the data.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn data(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    JobPath(job): JobPath,
    _: NoQuery,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = export_format(&headers)?;
    let status = gateway.orchestrator.status(&owner.0, job).await?;
    if !status.status.is_final() {
        let detail = format!("job {job} is {}; its data is there when it has completed", status.status);
        return Err(Error::new(ErrorKind::NotFinished, detail).of_job(job).into());
    }
    let mut export = gateway.data.export(job, format).await.map_err(|error| error.of_job(job))?;
    let tag = format!("\"{job}.{}\"", export.format.extension());
    let range = match &export.stored {
        Some(object) => wanted_range(&method, &headers, &tag, object.size),
        None => ByteRange::Whole,
    };
    if let Some(addresses) = elsewhere::addresses(&gateway, &method) {
        export = elsewhere::measured(export).await?;
        if length(&export, &range).is_none_or(|bytes| bytes > LONGEST_ANSWER) {
            let address = addresses.of_data(job, export).await.map_err(|error| error.of_job(job))?;
            return Ok(elsewhere::sent_to(address));
        }
    }
    let mut response = match (&export.stored, range) {
        (Some(object), ByteRange::Unsatisfiable) => return Err(Problem::unsatisfiable_range(object.size)),
        (Some(object), ByteRange::Part(range)) => part(gateway.data.clone(), object.clone(), range),
        (Some(object), ByteRange::Whole) => whole(export.body, export.length.or(Some(object.size)), "bytes"),
        (None, _) => whole(export.body, export.length, "none"),
    };
    describe(&mut response, job, export.format, &tag)?;
    Ok(response)
}

/// Bytes of the answer, where they are known.
fn length(export: &Export, range: &ByteRange) -> Option<u64> {
    match range {
        ByteRange::Unsatisfiable => Some(0),
        ByteRange::Part(range) => Some(range.end - range.start),
        ByteRange::Whole => export.length,
    }
}

/// A range counts for GET alone, and not when `If-Range` names another version of the data.
fn wanted_range(method: &Method, headers: &HeaderMap, tag: &str, size: u64) -> ByteRange {
    let same = headers.get(IF_RANGE).is_none_or(|version| version.as_bytes() == tag.as_bytes());
    let range = headers.get(RANGE).filter(|_| same && *method == Method::GET);
    ByteRange::read(range.and_then(|value| value.to_str().ok()), size)
}

fn whole(
    body: impl Stream<Item = Result<Bytes>> + Send + 'static,
    length: Option<u64>,
    ranges: &'static str,
) -> Response {
    let mut response = ([(ACCEPT_RANGES, ranges)], streamed(body)).into_response();
    if let Some(length) = length {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    response
}

fn part(data: Arc<dyn NormalizedData>, object: StoredObject, range: Range<u64>) -> Response {
    let headers = [
        (CONTENT_RANGE, format!("bytes {}-{}/{}", range.start, range.end - 1, object.size)),
        (CONTENT_LENGTH, (range.end - range.start).to_string()),
        (ACCEPT_RANGES, "bytes".to_owned()),
    ];
    let pieces = stream::try_unfold(range, move |rest| {
        let (data, object) = (data.clone(), object.clone());
        async move {
            if rest.is_empty() {
                return Ok(None);
            }
            let end = rest.end.min(rest.start + PIECE);
            let piece = data.read_range(&object, rest.start..end).await?;
            Ok(Some((piece, end..rest.end)))
        }
    });
    (StatusCode::PARTIAL_CONTENT, headers, streamed(pieces)).into_response()
}

/// The status has gone out when such a body fails, so the client sees a broken connection and the log the reason.
fn streamed(body: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Body {
    Body::from_stream(body.inspect_err(|error| {
        tracing::error!(cause = error.cause.as_deref(), "the data broke off: {error}");
    }))
}

fn describe(response: &mut Response, job: JobId, format: ExportFormat, tag: &str) -> Result<()> {
    let disposition = format!("attachment; filename=\"{job}.{}\"", format.extension());
    let described = [
        (CONTENT_TYPE, format.media_type()),
        (CONTENT_DISPOSITION, &disposition),
        (ETAG, tag),
        (VARY, "accept"),
    ];
    for (name, text) in described {
        let value = text
            .parse()
            .map_err(|e| Error::new(ErrorKind::Internal, "a header cannot be written").cause(e))?;
        response.headers_mut().insert(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;

    /// One object whose byte at position i is i modulo 251.
    struct Patterned;

    #[async_trait]
    impl NormalizedData for Patterned {
        async fn export(&self, job: JobId, _: Option<ExportFormat>) -> Result<Export> {
            Err(Error::new(ErrorKind::NotFound, format!("{job} has no data")))
        }

        async fn read_range(&self, object: &StoredObject, range: Range<u64>) -> Result<Bytes> {
            assert!(range.start < range.end && range.end <= object.size && range.end - range.start <= PIECE);
            Ok(range.map(|i| (i % 251) as u8).collect())
        }
    }

    #[tokio::test]
    async fn a_long_range_comes_in_pieces_that_fit_together() {
        let object = StoredObject { key: "k".into(), size: 3 * PIECE };
        let range = 5..2 * PIECE + 17;
        let response = part(Arc::new(Patterned), object, range.clone());
        assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!(response.headers()[CONTENT_RANGE], format!("bytes 5-{}/{}", range.end - 1, 3 * PIECE));
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.expect("a body");
        assert_eq!(body.len() as u64, range.end - range.start);
        assert!(body.iter().zip(range).all(|(byte, i)| u64::from(*byte) == i % 251));
    }

    #[test]
    fn a_range_counts_only_for_get_and_for_the_same_version() {
        let read = |method, version: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, "bytes=2-3".parse().expect("a header"));
            if let Some(version) = version {
                headers.insert(IF_RANGE, version.parse().expect("a header"));
            }
            wanted_range(&method, &headers, "\"a.csv\"", 10)
        };
        assert_eq!(read(Method::GET, None), ByteRange::Part(2..4));
        assert_eq!(read(Method::GET, Some("\"a.csv\"")), ByteRange::Part(2..4));
        assert_eq!(read(Method::GET, Some("\"a.json\"")), ByteRange::Whole);
        assert_eq!(read(Method::HEAD, None), ByteRange::Whole);
    }
}
