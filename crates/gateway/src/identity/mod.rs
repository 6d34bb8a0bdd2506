//! Who asks, and whether they may: credentials are looked at here, before any handler.

pub mod access;
pub mod api_key;
mod credentials;
mod key_cache;
pub mod tokens;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use caudal_core::identity::{ApiKeys, Credential, Identity, KeyState, Scope};
use caudal_core::ports::Clock;
use caudal_core::{Error, ErrorKind};

use self::access::Need;
use self::api_key::KeyText;
use self::credentials::Shown;
use self::key_cache::KeyCache;
use self::tokens::Tokens;
use crate::Gateway;
use crate::limits::tell;
use crate::problem::Problem;

/// How a gateway finds out who asks. Cheap to clone.
#[derive(Clone)]
pub struct Guard(Option<Arc<Checks>>);

struct Checks {
    required: bool,
    keys: KeyCache,
    /// Where an issuer of tokens is trusted.
    tokens: Option<Tokens>,
    clock: Arc<dyn Clock>,
}

impl Guard {
    /// Asks nobody: whatever a request shows, it is this machine's owner who asks.
    pub fn open() -> Guard {
        Guard(None)
    }

    /// Looks at what requests show; one that shows nothing is turned away where that is `required`, and else comes
    /// from this machine's owner.
    pub fn new(
        required: bool,
        keys: Arc<dyn ApiKeys>,
        tokens: Option<Tokens>,
        clock: Arc<dyn Clock>,
    ) -> Guard {
        let keys = KeyCache::new(keys, clock.clone());
        Guard(Some(Arc::new(Checks { required, keys, tokens, clock })))
    }

    /// Who sends these headers.
    ///
    /// # Errors
    /// `Unauthenticated` where nobody shows anything and something is required, and for what does not hold;
    /// `StorageUnavailable` where the keys cannot be read, `IssuerUnavailable` where the issuer's cannot.
    pub async fn identify(&self, headers: &HeaderMap) -> Result<Identity, Problem> {
        let Some(checks) = &self.0 else { return Ok(Identity::anonymous()) };
        match (Shown::read(headers)?, &checks.tokens) {
            (Shown::Key(key), _) => checks.holder_of(&key).await,
            (Shown::Token(token), Some(tokens)) => {
                tokens.holder_of(&token).await?.ok_or_else(|| refused("the token does not hold"))
            }
            (Shown::Token(_) | Shown::Other | Shown::Nothing, _) if !checks.required => {
                Ok(Identity::anonymous())
            }
            (Shown::Token(_) | Shown::Other, _) => Err(refused(
                "what the request shows is neither a key of this server nor a token that it reads",
            )),
            (Shown::Nothing, _) => Err(unauthenticated("an API key or a token is asked for here", None)),
        }
    }
}

impl Checks {
    async fn holder_of(&self, text: &KeyText) -> Result<Identity, Problem> {
        let key = self.keys.find(text.id()).await?;
        let found = key.as_deref().filter(|key| text.is(&key.digest));
        let Some(key) = found else {
            tracing::info!(key = text.id(), "a key that is not known was shown");
            return Err(refused("the key does not hold"));
        };
        match key.state(self.clock.now()) {
            KeyState::Valid => Ok(Identity {
                owner: key.owner.clone(),
                scopes: key.scopes.clone(),
                credential: Credential::Key(key.id.clone()),
            }),
            state => {
                tracing::info!(
                    key = text.id(),
                    state = state.name(),
                    "a key that does not hold any more was shown"
                );
                Err(refused("the key does not hold"))
            }
        }
    }
}

/// Middleware: finds out who asks, and turns away whoever may not, or may not so often.
pub(crate) async fn authenticate(
    State(gateway): State<Arc<Gateway>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let limits = &gateway.limits;
    let standing = match access::need(request.method(), request.uri().path()) {
        Need::Health => None,
        Need::Nothing => limits.take_of_address(&request)?,
        Need::Scope(scope) => {
            limits.look_at_address(&request)?;
            let identity = match gateway.guard.identify(request.headers()).await {
                Ok(identity) => identity,
                Err(problem) => {
                    // Whoever is turned away has used what the address has.
                    limits.take_of_address(&request)?;
                    return Err(problem);
                }
            };
            let standing = match &identity.credential {
                Credential::None => limits.take_of_address(&request)?,
                credential => limits.take_of_key(credential)?,
            };
            if !identity.scopes.allow(scope) {
                return Err(forbidden(&identity, scope));
            }
            request.extensions_mut().insert(identity);
            standing
        }
    };
    let mut response = next.run(request).await;
    tell(&mut response, standing);
    Ok(response)
}

/// Whether a request shows nothing of who sends it.
pub(crate) fn shows_nothing(headers: &HeaderMap) -> bool {
    matches!(Shown::read(headers), Ok(Shown::Nothing | Shown::Other))
}

fn forbidden(identity: &Identity, scope: Scope) -> Problem {
    let has = match identity.scopes.is_empty() {
        true => "none".to_owned(),
        false => identity.scopes.to_string(),
    };
    let detail = format!("this takes the scope {}; there is {has}", scope.name());
    let error = Error::new(ErrorKind::Forbidden, detail).hint("use a key or token with that scope");
    Problem::from(error).with_header(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"caudal\", error=\"insufficient_scope\""),
    )
}

/// Credentials that do not hold. Why is said in the log alone: it would help whoever guesses.
fn refused(detail: &str) -> Problem {
    unauthenticated(detail, Some("invalid_token"))
}

fn unauthenticated(detail: &str, code: Option<&'static str>) -> Problem {
    let error = Error::new(ErrorKind::Unauthenticated, detail)
        .hint("send it as Authorization: Bearer …, or a key as X-Api-Key");
    let challenge = match code {
        Some(_) => HeaderValue::from_static("Bearer realm=\"caudal\", error=\"invalid_token\""),
        None => HeaderValue::from_static("Bearer realm=\"caudal\""),
    };
    Problem::from(error).with_header(WWW_AUTHENTICATE, challenge)
}
