//! Bearer tokens of an OpenID Connect issuer: JWTs (RFC 7519) under a signature whose algorithm is pinned.
//!
//! Signatures are checked by `ring`, which TLS brings along; nothing here knows how to make one. `none` and the
//! algorithms with a shared secret do not exist, so that no header can ask for them.

mod algorithm;
mod claims;
mod jwk;
mod key_set;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use caudal_core::identity::{Credential, Identity, LONGEST_OWNER, Scope, Scopes, is_owner};
use caudal_core::ports::Clock;
use caudal_core::{Error, ErrorKind};
use ring::digest::{SHA256, digest};
use serde::Deserialize;

pub use self::algorithm::Algorithm;
use self::claims::Claims;
use self::key_set::KeySet;
pub use self::key_set::KeySetSource;

/// A longer token is not looked at.
const LONGEST_TOKEN: usize = 16 * 1024;

/// What tokens have to be.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    pub issuer: String,
    /// One of these has to be in the token's `aud`.
    pub audiences: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    /// How far the clocks of issuer and server may be apart.
    pub leeway: Duration,
    /// What stands before `submit`, `read` and `admin` in a token's `scope`.
    pub scope_prefix: String,
}

/// Reads tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens(Arc<Reader>);

struct Reader {
    options: TokenOptions,
    keys: KeySet,
    clock: Arc<dyn Clock>,
}

/// Why a token does not hold, for the log.
type Reason = &'static str;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that whoever reads the token must know: we know none.
    crit: Option<serde_json::Value>,
}

impl Tokens {
    pub fn new(options: TokenOptions, keys: Arc<dyn KeySetSource>, clock: Arc<dyn Clock>) -> Tokens {
        Tokens(Arc::new(Reader { options, keys: KeySet::new(keys, clock.clone()), clock }))
    }

    /// Whose token this is; `None` where it does not hold, for a reason that the log has.
    ///
    /// # Errors
    /// `IssuerUnavailable` where the issuer's keys cannot be had.
    pub(super) async fn holder_of(&self, token: &str) -> Result<Option<Identity>, Error> {
        match self.0.read(token).await? {
            Ok(identity) => Ok(Some(identity)),
            Err(reason) => {
                tracing::info!(reason, "a token that does not hold was shown");
                Ok(None)
            }
        }
    }
}

impl Reader {
    async fn read(&self, token: &str) -> Result<Result<Identity, Reason>, Error> {
        let parts = match Parts::of(token) {
            Ok(parts) => parts,
            Err(reason) => return Ok(Err(reason)),
        };
        let algorithm = match parts.algorithm(&self.options.algorithms) {
            Ok(algorithm) => algorithm,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some(key) = self.keys.find(algorithm, parts.header.kid.as_deref()).await? else {
            return Ok(Err("no key of the issuer has its kid and algorithm"));
        };
        if !key.verifies(algorithm, parts.signed.as_bytes(), &parts.signature) {
            return Ok(Err("its signature is wrong"));
        }
        Ok(self.holder(&parts.claims))
    }

    /// Looks at what is signed, once it is known to be.
    fn holder(&self, claims: &[u8]) -> Result<Identity, Reason> {
        let claims: Claims = serde_json::from_slice(claims).map_err(|_| "its claims cannot be read")?;
        let options = &self.options;
        if claims.iss != options.issuer {
            return Err("it is another issuer's");
        }
        if !options.audiences.iter().any(|audience| claims.is_for(audience)) {
            return Err("it is for another audience");
        }
        claims.check_times(self.clock.now().timestamp(), options.leeway.as_secs())?;
        let scopes = claims.scopes().filter_map(|scope| scope.strip_prefix(options.scope_prefix.as_str()));
        let scopes: Scopes = scopes.filter_map(|scope| scope.parse::<Scope>().ok()).collect();
        Ok(Identity { owner: owner_of(&claims.sub)?, scopes, credential: Credential::Token(claims.sub) })
    }
}

/// The subject, or where it cannot be the name of an owner, its SHA-256.
fn owner_of(subject: &str) -> Result<String, Reason> {
    match is_owner(subject) {
        true => Ok(subject.to_owned()),
        false if subject.is_empty() => Err("its subject is empty"),
        false => {
            let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, subject.as_bytes()));
            let name = format!("sha256-{hash}");
            debug_assert!(name.len() <= LONGEST_OWNER);
            Ok(name)
        }
    }
}

/// A token taken apart, and nothing of it believed.
struct Parts<'t> {
    header: Header,
    /// Header and claims as they were signed.
    signed: &'t str,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

impl Parts<'_> {
    fn of(token: &str) -> Result<Parts<'_>, Reason> {
        if token.len() > LONGEST_TOKEN {
            return Err("it is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it is no JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("it is no JWT")?;
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "it is no JWT");
        Ok(Parts {
            header: serde_json::from_slice(&decoded(header)?).map_err(|_| "its header cannot be read")?,
            signed,
            claims: decoded(claims)?,
            signature: decoded(signature)?,
        })
    }

    /// The algorithm that the header asks for, where it is one of those that are pinned.
    fn algorithm(&self, pinned: &[Algorithm]) -> Result<Algorithm, Reason> {
        let header = &self.header;
        if header.crit.is_some() {
            return Err("it asks for extensions");
        }
        let known_type = |typ: &String| ["jwt", "at+jwt"].contains(&typ.to_ascii_lowercase().as_str());
        if !header.typ.as_ref().is_none_or(known_type) {
            return Err("it is no JWT of access");
        }
        pinned.iter().copied().find(|a| a.name() == header.alg).ok_or("its algorithm is not allowed")
    }
}

pub(super) fn issuer_unavailable() -> Error {
    Error::new(
        ErrorKind::IssuerUnavailable,
        "the keys of the issuer of tokens cannot be fetched at this moment",
    )
}

#[cfg(test)]
mod tests;
