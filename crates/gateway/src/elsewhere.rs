//! Answers that are too long to be given here: the client is sent to the store for them, where that gives addresses.

use axum::body::HttpBody;
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use caudal_core::Result;
use caudal_core::export::{Addresses, Export};
use futures::{StreamExt, stream};

use crate::Gateway;

/// The longest answer in bytes that is given here where the store can give it. A function on AWS Lambda answers with at
/// most 6 MB, in which bytes become base64 and lines of text are escaped.
pub const LONGEST_ANSWER: u64 = 4_000_000;

/// The addresses of the store, where it has any and a client can be sent there: they are good for GET alone.
pub fn addresses<'g>(gateway: &'g Gateway, method: &Method) -> Option<&'g dyn Addresses> {
    gateway.data.addresses().filter(|_| *method == Method::GET)
}

/// Whether an answer, whose length is known, is longer than [`LONGEST_ANSWER`].
pub fn is_long(answer: &Response) -> bool {
    answer.body().size_hint().exact().is_some_and(|bytes| bytes > LONGEST_ANSWER)
}

/// Sends the client there. The address is a secret that whoever has it may use.
pub fn sent_to(address: String) -> Response {
    let headers = [(LOCATION, address), (CACHE_CONTROL, "no-store".to_owned())];
    (StatusCode::TEMPORARY_REDIRECT, headers).into_response()
}

/// The same answer, whose length is known unless it is longer than [`LONGEST_ANSWER`].
pub async fn measured(export: Export) -> Result<Export> {
    if export.length.is_some() {
        return Ok(export);
    }
    let Export { format, stored, mut body, .. } = export;
    let (mut begun, mut size) = (Vec::new(), 0);
    while size <= LONGEST_ANSWER {
        match body.next().await {
            Some(chunk) => {
                let chunk = chunk?;
                size += chunk.len() as u64;
                begun.push(Ok(chunk));
            }
            None => {
                return Ok(Export { format, stored, length: Some(size), body: stream::iter(begun).boxed() });
            }
        }
    }
    Ok(Export { format, stored, length: None, body: stream::iter(begun).chain(body).boxed() })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use caudal_core::export::ExportFormat;
    use futures::TryStreamExt;

    use super::*;

    /// An answer of unknown length in pieces of a thousand bytes.
    fn pieces(count: usize) -> Export {
        let body = stream::iter(0..count).map(|i| Ok(Bytes::from(vec![i as u8; 1000]))).boxed();
        Export { format: ExportFormat::Csv, length: None, stored: None, body }
    }

    #[tokio::test]
    async fn an_answer_is_measured_as_far_as_it_matters_and_loses_nothing() {
        for (count, length) in [(0, Some(0)), (4000, Some(4_000_000)), (4001, None), (9000, None)] {
            let export = measured(pieces(count)).await.expect("an answer");
            assert_eq!(export.length, length, "{count}");
            let found: Vec<Bytes> = export.body.try_collect().await.expect("pieces");
            let expected: Vec<Bytes> = pieces(count).body.try_collect().await.expect("pieces");
            assert!(found == expected, "{count}");
        }
    }
}
