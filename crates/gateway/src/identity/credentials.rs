//! What a request shows of who sends it: `Authorization: Bearer …` or `X-Api-Key`.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};

use super::api_key::{KeyText, PREFIX};
use super::refused;
use crate::problem::Problem;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    Key(KeyText),
    /// What stands behind `Bearer` and is no key.
    Token(String),
    /// Something that is meant for somebody else, such as a proxy before this server.
    Other,
}

impl Shown {
    /// # Errors
    /// `Unauthenticated` for two credentials, and for what looks like a key and is none.
    pub fn read(headers: &HeaderMap) -> Result<Shown, Problem> {
        let mut shown = Shown::Nothing;
        for value in headers.get_all(AUTHORIZATION) {
            let text = value.to_str().ok().and_then(bearer);
            shown.add(match text {
                Some(text) if text.starts_with(PREFIX) => key(text)?,
                Some(text) => Shown::Token(text.to_owned()),
                None => Shown::Other,
            })?;
        }
        for value in headers.get_all(X_API_KEY) {
            let text = value.to_str().ok().map(str::trim);
            shown.add(match text {
                Some(text) if text.starts_with(PREFIX) => key(text)?,
                _ => Shown::Other,
            })?;
        }
        Ok(shown)
    }

    /// Two credentials would leave it open who asks.
    fn add(&mut self, found: Shown) -> Result<(), Problem> {
        match (&self, found) {
            (Shown::Nothing | Shown::Other, found) => *self = found,
            (_, Shown::Other) => {}
            _ => return Err(refused("the request shows two credentials")),
        }
        Ok(())
    }
}

fn key(text: &str) -> Result<Shown, Problem> {
    KeyText::read(text).map(Shown::Key).ok_or_else(|| refused("the key does not hold"))
}

/// The text behind `Bearer`, in any case (RFC 6750 §2.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, text) = value.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&'static str, &str)]) -> Option<Shown> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().expect("a header"));
        }
        Shown::read(&headers).ok()
    }

    #[test]
    fn a_key_is_shown_in_either_header_and_once() {
        let key = KeyText::generate().expect("randomness");
        let text = key.reveal();
        let bearer = format!("bearer  {text}");
        assert_eq!(read(&[]), Some(Shown::Nothing));
        assert_eq!(read(&[("authorization", &bearer)]), Some(Shown::Key(key.clone())));
        assert_eq!(read(&[("x-api-key", text)]), Some(Shown::Key(key.clone())));
        assert_eq!(read(&[("authorization", &bearer), ("x-api-key", text)]), None);
        assert_eq!(read(&[("x-api-key", &text[..20])]), None);
        assert_eq!(read(&[("authorization", "Bearer a.b.c")]), Some(Shown::Token("a.b.c".into())));
        assert_eq!(read(&[("authorization", "Bearer a.b.c"), ("x-api-key", text)]), None);
        assert_eq!(read(&[("authorization", &bearer), ("authorization", "Bearer a.b.c")]), None);
    }

    #[test]
    fn what_is_meant_for_a_proxy_is_no_credential_and_hides_none() {
        let key = KeyText::generate().expect("randomness");
        assert_eq!(read(&[("authorization", "Basic YTpi")]), Some(Shown::Other));
        assert_eq!(read(&[("x-api-key", "of-api-gateway")]), Some(Shown::Other));
        let both = [("authorization", "Basic YTpi"), ("x-api-key", key.reveal())];
        assert_eq!(read(&both), Some(Shown::Key(key.clone())));
        let both = [("x-api-key", key.reveal()), ("x-api-key", "of-api-gateway")];
        assert_eq!(read(&both), Some(Shown::Key(key)));
    }
}
