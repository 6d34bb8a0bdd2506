//! `Accept-Encoding`: answers that gain by it are compressed with zstd or gzip, piece by piece as they go out.

use std::io::Write;

use axum::body::{Body, BodyDataStream};
use axum::extract::Request;
use axum::http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{Stream, StreamExt, stream};

use crate::header_list::{elements, split_unquoted};

/// Answers that are known to be shorter stay as they are.
const WORTHWHILE: u64 = 1024;

/// Bytes that are compressed before another task may run.
const STEP: usize = 64 << 10;

const GZIP_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

/// Types that are compressed already, or have to arrive as they are sent.
const LEFT_ALONE: [&str; 2] = ["application/vnd.apache.parquet", "text/event-stream"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Zstd,
    Gzip,
}

impl Coding {
    /// The better one first.
    const ALL: [Coding; 2] = [Coding::Zstd, Coding::Gzip];

    fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }
}

/// Middleware: compresses an answer as the client likes best.
pub async fn compress(request: Request, next: Next) -> Response {
    let coding = preferred(request.headers());
    let is_head = *request.method() == Method::HEAD;
    let mut response = next.run(request).await;
    if !may_be_compressed(&response) {
        return response;
    }
    vary(response.headers_mut());
    match coding {
        Some(coding) if !is_head => compressed(response, coding),
        _ => response,
    }
}

/// Says that the answer depends on `Accept-Encoding`, beside what it depends on already.
fn vary(headers: &mut HeaderMap) {
    let before: Vec<&str> = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok()).collect();
    let all = [before.as_slice(), &["accept-encoding"]].concat().join(", ");
    if let Ok(value) = HeaderValue::try_from(all) {
        headers.insert(VARY, value);
    }
}

fn may_be_compressed(response: &Response) -> bool {
    let headers = response.headers();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let length = length.or(http_body::Body::size_hint(response.body()).exact());
    let media_type = text(CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or_default();
    let partial = response.status() == StatusCode::PARTIAL_CONTENT;
    !partial
        && !headers.contains_key(CONTENT_ENCODING)
        && length.is_none_or(|length| length >= WORTHWHILE)
        && !LEFT_ALONE.contains(&media_type)
}

fn compressed(response: Response, coding: Coding) -> Response {
    let Ok(encoder) = Encoder::new(coding) else { return response };
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    // A range is one of the bytes as they lie there.
    if parts.headers.contains_key(ACCEPT_RANGES) {
        parts.headers.insert(ACCEPT_RANGES, HeaderValue::from_static("none"));
    }
    if let Some(tag) = parts.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(|tag| format!("W/{tag}"))
        && let Ok(weak) = HeaderValue::try_from(tag)
    {
        parts.headers.insert(ETAG, weak);
    }
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    Response::from_parts(parts, Body::from_stream(encoded(body.into_data_stream(), encoder)))
}

/// The best coding of the header; `None` where the client prefers, or only takes, what is not compressed.
fn preferred(headers: &HeaderMap) -> Option<Coding> {
    let wanted: Vec<(String, f32)> =
        elements(headers, &ACCEPT_ENCODING).iter().filter_map(|element| weighted(element)).collect();
    let quality = |name: &str| {
        let named = wanted.iter().find(|(given, _)| given == name || (name == "gzip" && given == "x-gzip"));
        named.or_else(|| wanted.iter().find(|(given, _)| given == "*")).map_or(0.0, |(_, quality)| *quality)
    };
    let identity = wanted.iter().find(|(given, _)| given == "identity").map_or(0.0, |(_, quality)| *quality);
    let mut best = (None, identity);
    for coding in Coding::ALL {
        let quality = quality(coding.name());
        if quality > best.1 || (quality == best.1 && quality > 0.0 && best.0.is_none()) {
            best = (Some(coding), quality);
        }
    }
    best.0
}

fn weighted(element: &str) -> Option<(String, f32)> {
    let mut parts = split_unquoted(element, ';');
    let name = parts.next()?.to_ascii_lowercase();
    let weight =
        parts.filter_map(|p| p.split_once('=')).find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    let quality = match weight {
        Some((_, value)) => value.trim().parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
        None => 1.0,
    };
    Some((name, quality))
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> std::io::Result<Encoder> {
        Ok(match coding {
            Coding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            Coding::Zstd => Encoder::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
        })
    }

    /// Takes some bytes in; what comes out of it may be nothing yet.
    fn push(&mut self, bytes: &[u8]) -> std::io::Result<Bytes> {
        let out = match self {
            Encoder::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                std::mem::take(encoder.get_mut())
            }
            Encoder::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                std::mem::take(encoder.get_mut())
            }
        };
        Ok(out.into())
    }

    fn finish(self) -> std::io::Result<Bytes> {
        match self {
            Encoder::Gzip(encoder) => encoder.finish().map(Bytes::from),
            Encoder::Zstd(encoder) => encoder.finish().map(Bytes::from),
        }
    }
}

struct Encoding {
    body: BodyDataStream,
    encoder: Encoder,
    /// Of a chunk that is longer than one step.
    rest: Bytes,
}

fn encoded(
    body: BodyDataStream,
    encoder: Encoder,
) -> impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static {
    let begin = Some(Encoding { body, encoder, rest: Bytes::new() });
    stream::try_unfold(begin, |encoding| async move {
        let Some(mut encoding) = encoding else { return Ok(None) };
        loop {
            if encoding.rest.is_empty() {
                match encoding.body.next().await {
                    Some(chunk) => encoding.rest = chunk?,
                    None => return Ok(Some((encoding.encoder.finish().map_err(axum::Error::new)?, None))),
                }
            }
            let step = encoding.rest.split_to(STEP.min(encoding.rest.len()));
            let out = encoding.encoder.push(&step).map_err(axum::Error::new)?;
            if !out.is_empty() {
                return Ok(Some((out, Some(encoding))));
            }
            tokio::task::yield_now().await;
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn coding(value: &str) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().expect("a header"));
        preferred(&headers)
    }

    #[test]
    fn the_client_chooses_and_zstd_wins_where_it_does_not_mind() {
        for (value, expected) in [
            ("gzip", Some(Coding::Gzip)),
            ("X-GZIP", Some(Coding::Gzip)),
            ("gzip, zstd", Some(Coding::Zstd)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("*, zstd;q=0", Some(Coding::Gzip)),
            ("gzip;q=0.5, identity", None),
            ("br, deflate", None),
            ("identity", None),
            ("gzip;q=0", None),
            ("", None),
        ] {
            assert_eq!(coding(value), expected, "{value}");
        }
        assert_eq!(preferred(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn a_long_answer_comes_out_as_it_went_in() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|i| (i % 977).to_string().into_bytes()).collect();
        for coding in Coding::ALL {
            let mut answer = Response::new(Body::from(text.clone()));
            answer.headers_mut().insert(CONTENT_LENGTH, text.len().into());
            let answer = compressed(answer, coding);
            assert_eq!(answer.headers().get(CONTENT_LENGTH), None);
            assert_eq!(answer.headers()[CONTENT_ENCODING], coding.name());
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
            assert!(body.len() < text.len() / 2);
            let mut decoded = Vec::new();
            match coding {
                Coding::Gzip => {
                    flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut decoded).expect("gzip");
                }
                Coding::Zstd => decoded = zstd::decode_all(&body[..]).expect("zstd"),
            }
            assert!(decoded == text, "{coding:?}");
        }
    }

    #[test]
    fn what_is_short_partial_or_compressed_already_stays_as_it_is() {
        let answer = |status: u16, media_type: &'static str, length: usize| {
            let mut answer = Response::new(Body::from(vec![b'1'; length]));
            *answer.status_mut() = StatusCode::from_u16(status).expect("a status");
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            may_be_compressed(&answer)
        };
        assert!(answer(200, "application/json", 2000));
        assert!(answer(413, "application/problem+json", 2000));
        assert!(!answer(200, "application/json", 200));
        assert!(!answer(206, "text/csv", 2000));
        assert!(!answer(200, "application/vnd.apache.parquet", 2000));
        assert!(!answer(200, "text/event-stream", 2000));
    }
}
