//! What a token says of its holder (RFC 7519 §4, RFC 9068 §2.2).

use serde::Deserialize;

use super::Reason;

/// The claims that are looked at. One that stands twice makes the token unreadable.
#[derive(Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    aud: OneOrMany,
    /// Seconds since 1970. A token without an end is not accepted.
    exp: f64,
    nbf: Option<f64>,
    iat: Option<f64>,
    /// Separated by spaces.
    scope: Option<String>,
    /// The same, as some issuers have it.
    scp: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            OneOrMany::One(one) => std::slice::from_ref(one),
            OneOrMany::Many(many) => many,
        }
    }
}

impl Claims {
    pub fn is_for(&self, audience: &str) -> bool {
        self.aud.as_slice().iter().any(|named| named == audience)
    }

    /// Whether the token holds now, with `leeway` seconds between the clocks.
    pub fn check_times(&self, now: i64, leeway: u64) -> Result<(), Reason> {
        let (now, leeway) = (now as f64, leeway as f64);
        // JSON has numbers only.
        if self.exp + leeway <= now {
            return Err("it has expired");
        }
        let begun = |at: f64| at - leeway <= now;
        if !self.nbf.is_none_or(begun) || !self.iat.is_none_or(begun) {
            return Err("it does not hold yet");
        }
        Ok(())
    }

    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        let listed = self.scp.iter().flat_map(|scp| scp.as_slice()).map(String::as_str);
        self.scope.as_deref().into_iter().chain(listed).flat_map(|text| text.split(' '))
    }
}
