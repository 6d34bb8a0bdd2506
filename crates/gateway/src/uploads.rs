//! `/uploads`: places for bodies that are too large for one request, filled in parts and then named as a source.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use caudal_core::request::SourceFormat;
use caudal_core::uploads::{self, NewUpload, Upload, UploadPart};
use caudal_core::{Error, ErrorKind, Faults};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Gateway;
use crate::body::{BodyForm, BodyLimits, read_json, refuse_coding, stream_data};
use crate::digest;
use crate::owner::Owner;
use crate::parameters::NoQuery;
use crate::problem::{Problem, ProblemDetails, ServerProblems};

/// Bytes of a request that asks for an upload.
const LONGEST_REQUEST: u64 = 16 << 10;

/// What is going to be uploaded.
#[derive(ToSchema)]
#[schema(example = json!({"size": 200_000_000, "parts": 3, "format": "csv"}))]
#[expect(dead_code, reason = "a schema alone: the bytes are read so that every fault can be told at once")]
pub struct UploadRequest {
    /// Bytes in all.
    #[schema(minimum = 1)]
    size: u64,
    /// Into how many parts they are cut, all but the last of the same size; one for every 64 MiB when it is not given.
    #[schema(minimum = 1, maximum = 10_000)]
    parts: Option<u32>,
    /// The SHA-256 of all bytes, as 64 hexadecimal digits; it is checked at the end.
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
    /// Found from the first bytes when it is not given.
    format: Option<SourceFormat>,
}

/// An upload and how far it is.
#[derive(Serialize, ToSchema)]
pub struct UploadView {
    upload_id: Uuid,
    /// Name it as `source.uri` once the upload is complete.
    uri: String,
    /// Bytes in all.
    size: u64,
    /// Bytes of every part but the last.
    part_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<SourceFormat>,
    created_at: DateTime<Utc>,
    /// It is gone from then on.
    expires_at: DateTime<Utc>,
    /// Null until everything is there and checked.
    completed_at: Option<DateTime<Utc>>,
    parts: Vec<PartView>,
}

/// A part of an upload, and how it is sent.
#[derive(Serialize, ToSchema)]
pub struct PartView {
    number: u32,
    /// Bytes that it has to have.
    size: u64,
    /// Whether it is there.
    received: bool,
    method: &'static str,
    /// A path of this server, or an address of the store that is good until the upload expires, for six hours at most.
    url: String,
    /// Headers that have to be sent with it.
    headers: BTreeMap<String, String>,
}

/// A part that has arrived.
#[derive(Serialize, ToSchema)]
pub struct ReceivedPart {
    number: u32,
    /// Of what has arrived, as hexadecimal digits.
    sha256: String,
}

fn path_of(gateway: &Gateway, upload: Uuid) -> String {
    gateway.options.shown(format_args!("/uploads/{upload}"))
}

fn view(gateway: &Gateway, upload: Upload) -> UploadView {
    let Upload { record, parts } = upload;
    let id = record.upload_id;
    let part = |part: UploadPart| PartView {
        number: part.number,
        size: part.size,
        received: part.received,
        method: "PUT",
        headers: match &part.presigned {
            Some(_) => BTreeMap::from([("content-length".to_owned(), part.size.to_string())]),
            None => BTreeMap::new(),
        },
        url: part.presigned.unwrap_or_else(|| format!("{}/parts/{}", path_of(gateway, id), part.number)),
    };
    UploadView {
        upload_id: id,
        uri: format!("upload:{id}"),
        size: record.size,
        part_size: record.part_size,
        sha256: record.sha256,
        format: record.format,
        created_at: record.created_at,
        expires_at: record.expires_at,
        completed_at: record.completed_at,
        parts: parts.into_iter().map(part).collect(),
    }
}

/// The `{id}` of an upload's path.
pub struct UploadPath(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for UploadPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = parts.uri.path().to_owned();
        let steps = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await.ok();
        let id = steps.and_then(|Path(steps)| steps.get("id")?.parse().ok());
        id.map(UploadPath).ok_or_else(|| no_such(&path))
    }
}

/// The `{number}` of a part's path.
pub struct PartPath(u32);

impl<S: Send + Sync> FromRequestParts<S> for PartPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = parts.uri.path().to_owned();
        let steps = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await.ok();
        let number = steps.and_then(|Path(steps)| steps.get("number")?.parse().ok());
        number.map(PartPath).ok_or_else(|| no_such(&path))
    }
}

fn no_such(path: &str) -> Problem {
    Error::new(ErrorKind::NotFound, format!("there is no upload at {path}")).into()
}

#[utoipa::path(
    post,
    path = "/uploads",
    tag = "uploads",
    summary = "Make a place for a large body",
    request_body = UploadRequest,
    responses(
        (status = 201, description = "Where the parts go.", body = UploadView,
            headers(("Location" = String, description = "The path of the upload.")),
            example = json!({
                "upload_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                "uri": "upload:01890a5d-ac96-774b-bcce-b302099a8057", "size": 20, "part_size": 20, "format": "csv",
                "created_at": "2026-11-27T20:00:00Z", "expires_at": "2026-11-28T20:00:00Z", "completed_at": null,
                "parts": [{"number": 1, "size": 20, "received": false, "method": "PUT",
                           "url": "/uploads/01890a5d-ac96-774b-bcce-b302099a8057/parts/1", "headers": {}}]
            })),
        (status = 400, description = "The request cannot be read.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 413, description = "More than may be uploaded.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 422, description = "There cannot be such an upload.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn begin(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    _: NoQuery,
    request: Request,
) -> Result<Response, Problem> {
    if BodyForm::of(request.headers())? != BodyForm::Request {
        let detail = "an upload is asked for with JSON, and its bytes are sent to its parts";
        return Err(Error::new(ErrorKind::UnsupportedMediaType, detail).into());
    }
    let limits = BodyLimits { max_sent: LONGEST_REQUEST, max_decoded: LONGEST_REQUEST };
    let (body, _reserved) = read_json(request, &limits, &gateway.budget).await?;
    let upload = gateway.uploads.begin(wanted(owner.0, &body)?).await?;
    let location = path_of(&gateway, upload.record.upload_id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(view(&gateway, upload))).into_response())
}

/// Reads what is asked for, and tells every fault.
fn wanted(owner: String, body: &[u8]) -> Result<NewUpload, Error> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|e| Error::new(ErrorKind::MalformedRequest, format!("the body is not JSON: {e}")))?;
    let mut faults = Faults::default();
    let Value::Object(fields) = value else {
        faults.push(String::new, || "expected an object such as {\"size\": 1000}".into());
        return Err(Error::from_faults(ErrorKind::InvalidRequest, faults));
    };
    let mut wanted = NewUpload { owner, size: 0, parts: None, sha256: None, format: None };
    let mut sized = false;
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let mut expected = |what: &str| {
            let at = caudal_core::fault::pointer("", name);
            let found: String = value.to_string().chars().take(60).collect();
            faults.push(|| at, || format!("expected {what}, found {found}"));
        };
        match name.as_str() {
            "size" => match value.as_u64() {
                Some(size) => (wanted.size, sized) = (size, true),
                None => expected("a whole number of bytes"),
            },
            "parts" => match value.as_u64().and_then(|parts| u32::try_from(parts).ok()) {
                Some(parts) => wanted.parts = Some(parts),
                None => expected("a whole number from 1 to 10000"),
            },
            "sha256" => match value.as_str().and_then(uploads::from_hex) {
                Some(sha256) => wanted.sha256 = Some(sha256),
                None => expected("64 hexadecimal digits"),
            },
            "format" => match value.as_str().and_then(|text| text.parse().ok()) {
                Some(format) => wanted.format = Some(format),
                None => expected("one of csv, json, ndjson, arrow, parquet"),
            },
            _ => expected("nothing; the fields here are size, parts, sha256, format"),
        }
    }
    if !sized && !fields.contains_key("size") {
        faults.push(|| "/size".into(), || "expected a whole number of bytes, found nothing".into());
    }
    match faults.is_empty() {
        true => Ok(wanted),
        false => Err(Error::from_faults(ErrorKind::InvalidRequest, faults)),
    }
}

#[utoipa::path(
    get,
    path = "/uploads/{id}",
    tag = "uploads",
    summary = "How far an upload is",
    params(("id" = Uuid, Path, description = "The upload's id.")),
    responses(
        (status = 200, description = "Its parts, and which are there.", body = UploadView),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such upload.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn find(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    UploadPath(id): UploadPath,
    _: NoQuery,
) -> Result<Json<UploadView>, Problem> {
    Ok(Json(view(&gateway, gateway.uploads.find(&owner.0, id).await?)))
}

#[utoipa::path(
    put,
    path = "/uploads/{id}/parts/{number}",
    tag = "uploads",
    summary = "Send a part",
    description = "A part appears whole or not at all, and may be sent again until the upload is complete.",
    params(
        ("id" = Uuid, Path, description = "The upload's id."),
        ("number" = u32, Path, minimum = 1, maximum = 10_000, description = "From 1."),
        ("Content-Digest" = Option<String>, Header,
            example = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            description = "The SHA-256 of the body (RFC 9530); it is checked."),
    ),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "It is there.", body = ReceivedPart),
        (status = 400, description = "It did not arrive whole.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such upload or part.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 408, description = "It came too slowly.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 409, description = "The upload is complete already.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 413, description = "It is longer than the part.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 415, description = "It has a Content-Encoding.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 422, description = "It is shorter than the part.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn put_part(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    UploadPath(id): UploadPath,
    PartPath(number): PartPath,
    _: NoQuery,
    request: Request,
) -> Result<Json<ReceivedPart>, Problem> {
    refuse_coding(request.headers())?;
    let expected = digest::sha256(request.headers())?;
    // Whether there is such a part decides before its bytes are read.
    let upload = gateway.uploads.find(&owner.0, id).await?;
    let size = upload.record.size_of(number).unwrap_or(u64::MAX);
    let limits = BodyLimits { max_sent: size, max_decoded: size };
    let (content, _reserved) = stream_data(request, &limits, &gateway.budget).await?;
    let sha256 = gateway.uploads.put_part(&owner.0, id, number, expected, content).await?;
    Ok(Json(ReceivedPart { number, sha256: uploads::hex(&sha256) }))
}

#[utoipa::path(
    post,
    path = "/uploads/{id}/complete",
    tag = "uploads",
    summary = "Finish an upload",
    description = "Checks that every part is there, and the SHA-256 of all where it was announced. From then on \
                   `upload:ID` is a source. Doing it again changes nothing.",
    params(("id" = Uuid, Path, description = "The upload's id.")),
    responses(
        (status = 200, description = "It is a source now.", body = UploadView),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such upload.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 409, description = "Parts are missing, or the checksum is another one.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn complete(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    UploadPath(id): UploadPath,
    _: NoQuery,
) -> Result<Json<UploadView>, Problem> {
    Ok(Json(view(&gateway, gateway.uploads.complete(&owner.0, id).await?)))
}

#[utoipa::path(
    delete,
    path = "/uploads/{id}",
    tag = "uploads",
    summary = "Take an upload away",
    params(("id" = Uuid, Path, description = "The upload's id.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 400, description = "There is a query parameter.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such upload.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn remove(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    UploadPath(id): UploadPath,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    gateway.uploads.remove(&owner.0, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(body: &str) -> Vec<String> {
        let error = wanted("local".into(), body.as_bytes()).expect_err("faults");
        error.faults.first.into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn what_is_wanted_is_read_and_null_is_the_same_as_nothing() {
        let sha256 = "0f".repeat(32);
        let body = format!("{{\"size\": 10, \"parts\": 2, \"sha256\": \"{sha256}\", \"format\": \"csv\"}}");
        let found = wanted("me".into(), body.as_bytes()).expect("an upload");
        assert_eq!((found.owner.as_str(), found.size, found.parts), ("me", 10, Some(2)));
        assert_eq!((found.sha256, found.format), (Some([15; 32]), Some(SourceFormat::Csv)));
        let least = wanted("me".into(), br#"{"size": 10, "parts": null}"#).expect("an upload");
        assert_eq!((least.parts, least.sha256, least.format), (None, None, None));
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        assert_eq!(places("[]"), [""]);
        assert_eq!(places("{}"), ["/size"]);
        let body = r#"{"size": -1, "parts": 1.5, "sha256": "abc", "format": "excel", "colour": 1}"#;
        let mut found = places(body);
        found.sort();
        assert_eq!(found, ["/colour", "/format", "/parts", "/sha256", "/size"]);
    }
}
