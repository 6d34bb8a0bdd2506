//! Request bodies: what they are, how large they may be, and how they are decompressed on their way in.

mod budget;
mod coding;
mod form;
mod incoming;
mod unread;

use axum::extract::Request;
use bytes::{Bytes, BytesMut};
use caudal_core::request::MAX_INLINE_ELEMENTS;
use caudal_core::uploads::Bytestream;
use caudal_core::{Error, ErrorKind, Result};
use futures::{StreamExt, stream};

pub use self::budget::{BodyBudget, Reservation};
pub use self::coding::refuse_coding;
pub use self::form::BodyForm;
pub use self::incoming::Incoming;
pub(crate) use self::unread::read_on;

/// What one body is bound by.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// Bytes as they are sent.
    pub max_sent: u64,
    /// Bytes once they are decompressed.
    pub max_decoded: u64,
}

/// Bytes of a body that are on their way to the bucket at a time, twice.
const IN_TRANSIT: u64 = 8 << 20;

/// Reads a whole body of JSON; what it and its numbers will take is reserved for as long as the reservation lives.
///
/// # Errors
/// `TooLarge`, `MalformedRequest`, `UnsupportedMediaType`; `Overloaded` where other bodies take all the room.
pub async fn read_json(
    request: Request,
    limits: &BodyLimits,
    budget: &BodyBudget,
) -> Result<(Bytes, Reservation)> {
    let mut incoming = Incoming::new(request, limits)?;
    let mut reserved = budget.reserve(weight(incoming.announced().unwrap_or(0)))?;
    let capacity = usize::try_from(incoming.announced().unwrap_or(0)).unwrap_or(0);
    let mut body = BytesMut::with_capacity(capacity);
    while let Some(chunk) = incoming.next().await? {
        reserved.grow_to(weight((body.len() + chunk.len()) as u64))?;
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), reserved))
}

/// What a body of JSON takes until its job is stored: its text, and its numbers as they are parsed and written.
fn weight(bytes: u64) -> u64 {
    // A number has one character at least, and one that separates it from the next.
    bytes + 3 * 8 * (bytes / 2).min(MAX_INLINE_ELEMENTS)
}

/// A body of data as it arrives, and the room that it takes on its way.
///
/// # Errors
/// As [`read_json`]; most of them come with the stream.
pub async fn stream_data(
    request: Request,
    limits: &BodyLimits,
    budget: &BodyBudget,
) -> Result<(Bytestream, Reservation)> {
    let mut incoming = Incoming::new(request, limits)?;
    let reserved = budget.reserve(2 * incoming.announced().unwrap_or(IN_TRANSIT).min(IN_TRANSIT))?;
    let first = match incoming.next().await? {
        Some(first) => first,
        None => return Err(Error::new(ErrorKind::MalformedRequest, "the body is empty")),
    };
    let rest = stream::unfold(Some(incoming), |incoming| async {
        let mut incoming = incoming?;
        match incoming.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(incoming))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok((stream::iter([Ok(first)]).chain(rest).boxed(), reserved))
}
