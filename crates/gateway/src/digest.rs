//! `Content-Digest` (RFC 9530): the checksum of a body as its sender has it.

use axum::http::{HeaderMap, HeaderName};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use caudal_core::uploads::Sha256;
use caudal_core::{Error, ErrorKind, Result};

use crate::header_list::elements;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// The SHA-256 of the header; `None` where there is none, or only of other algorithms.
///
/// # Errors
/// `MalformedRequest` where it is no SHA-256.
pub fn sha256(headers: &HeaderMap) -> Result<Option<Sha256>> {
    for element in elements(headers, &CONTENT_DIGEST) {
        let Some((algorithm, value)) = element.split_once('=') else { continue };
        if !algorithm.trim().eq_ignore_ascii_case("sha-256") {
            continue;
        }
        let encoded = value.trim().strip_prefix(':').and_then(|value| value.strip_suffix(':'));
        let decoded = encoded.and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
        let sum = decoded.and_then(|bytes| Sha256::try_from(bytes).ok());
        return sum.map(Some).ok_or_else(|| {
            let detail = "Content-Digest: expected sha-256=:…: with 32 bytes in base64 between the colons";
            Error::new(ErrorKind::MalformedRequest, detail)
        });
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Option<Sha256>, ErrorKind> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_DIGEST, value.parse().expect("a header"));
        sha256(&headers).map_err(|error| error.kind)
    }

    #[test]
    fn the_sha_256_is_found_beside_others() {
        let encoded = BASE64_STANDARD.encode([7; 32]);
        assert_eq!(read(&format!("sha-256=:{encoded}:")), Ok(Some([7; 32])));
        assert_eq!(read(&format!("sha-512=:AAAA:, SHA-256=:{encoded}:")), Ok(Some([7; 32])));
        assert_eq!(read("md5=:AAAA:"), Ok(None));
        assert_eq!(sha256(&HeaderMap::new()).map_err(|e| e.kind), Ok(None));
    }

    #[test]
    fn what_is_no_sha_256_is_refused() {
        for value in ["sha-256=abc", "sha-256=:AAAA:", "sha-256=:!:", "sha-256=::"] {
            assert_eq!(read(value), Err(ErrorKind::MalformedRequest), "{value}");
        }
    }
}
