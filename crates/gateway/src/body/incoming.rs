//! A body as it arrives: within its bounds of size, decompressed, and with the cause of what goes wrong.

use std::error::Error as AnyError;
use std::io;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::Bytes;
use caudal_core::{Error, ErrorKind, Result};
use futures::StreamExt;

use super::BodyLimits;
use super::coding::Decoder;

/// A body that is being read.
pub struct Incoming {
    body: BodyDataStream,
    decoder: Decoder,
    limits: BodyLimits,
    sent: u64,
    announced: Option<u64>,
    ended: bool,
}

impl Incoming {
    /// # Errors
    /// `TooLarge` where the headers announce more than is taken, `UnsupportedMediaType` for a coding that is not read.
    pub fn new(request: Request, limits: &BodyLimits) -> Result<Incoming> {
        let sent = announced_length(request.headers());
        if sent.is_some_and(|length| length > limits.max_sent) {
            return Err(too_large(limits));
        }
        let decoder = Decoder::of(request.headers(), limits.max_decoded)?;
        Ok(Incoming {
            announced: sent.filter(|_| decoder.is_identity()),
            body: request.into_body().into_data_stream(),
            decoder,
            limits: *limits,
            sent: 0,
            ended: false,
        })
    }

    /// Bytes that will come, where that is known.
    pub fn announced(&self) -> Option<u64> {
        self.announced
    }

    /// The next bytes, decompressed and never none of them; `None` at the end.
    ///
    /// # Errors
    /// `TooLarge`, `RequestTimeout`, and `MalformedRequest` for what breaks off or is not of its coding.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.ended {
            let decoded = match self.next_sent().await? {
                Some(chunk) => self.decoder.push(chunk)?,
                None => {
                    self.ended = true;
                    self.decoder.end()?
                }
            };
            if !decoded.is_empty() {
                return Ok(Some(decoded));
            }
        }
        Ok(None)
    }

    async fn next_sent(&mut self) -> Result<Option<Bytes>> {
        let Some(chunk) = self.body.next().await else { return Ok(None) };
        let chunk = chunk.map_err(|error| unread(&error))?;
        self.sent += chunk.len() as u64;
        let bound = if self.decoder.is_identity() {
            self.limits.max_sent.min(self.limits.max_decoded)
        } else {
            self.limits.max_sent
        };
        match self.sent > bound {
            true => Err(too_large(&self.limits)),
            false => Ok(Some(chunk)),
        }
    }
}

fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limits: &BodyLimits) -> Error {
    let detail = format!("the body is longer than the {} bytes that one request may have", limits.max_sent);
    Error::new(ErrorKind::TooLarge, detail)
        .hint("send it to /uploads, or put it into a file, and name that as source.uri")
}

/// Why a body could not be read. What wraps the reason, however often, does not hide it.
fn unread(error: &(dyn AnyError + 'static)) -> Error {
    let slow = causes(error).any(|cause| {
        let of_hyper = cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout);
        of_hyper || cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut)
    });
    match slow {
        true => Error::new(ErrorKind::RequestTimeout, "the body did not arrive in time").cause(error),
        false => Error::new(ErrorKind::MalformedRequest, "the body did not arrive whole").cause(error),
    }
}

/// An error and all that it stands on. An I/O error's source is not what it wraps but that one's source.
fn causes<'e>(error: &'e (dyn AnyError + 'static)) -> impl Iterator<Item = &'e (dyn AnyError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>() {
        Some(e) => e.get_ref().map(|inner| inner as &(dyn AnyError + 'static)),
        None => error.source(),
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::stream;

    use super::*;

    fn limits() -> BodyLimits {
        BodyLimits { max_sent: 10, max_decoded: 10 }
    }

    async fn read(body: Body, limits: BodyLimits) -> Result<Vec<u8>, ErrorKind> {
        let mut incoming = Incoming::new(Request::new(body), &limits).map_err(|e| e.kind)?;
        let mut all = Vec::new();
        while let Some(chunk) = incoming.next().await.map_err(|e| e.kind)? {
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn a_body_has_at_most_as_many_bytes_as_it_may() {
        assert_eq!(read(Body::from("0123456789"), limits()).await, Ok(b"0123456789".to_vec()));
        assert_eq!(read(Body::from("0123456789a"), limits()).await, Err(ErrorKind::TooLarge));
    }

    #[tokio::test]
    async fn a_time_out_below_is_found_however_often_it_is_wrapped() {
        let timed_out = || io::Error::new(io::ErrorKind::TimedOut, "nothing came");
        let wrapped = || io::Error::other(io::Error::other(timed_out()));
        for error in [timed_out(), io::Error::other(timed_out()), wrapped()] {
            let body = Body::from_stream(stream::iter([Ok("1"), Err(error)]));
            assert_eq!(read(body, limits()).await, Err(ErrorKind::RequestTimeout));
        }
        let body = Body::from_stream(stream::iter([Ok("1"), Err(io::Error::other("gone"))]));
        assert_eq!(read(body, limits()).await, Err(ErrorKind::MalformedRequest));
    }
}
