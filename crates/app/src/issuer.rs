//! Where the keys of an issuer of tokens come from: a file, an address, or what the issuer itself says.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::{Error, ErrorKind, Result};
use caudal_gateway::identity::tokens::{Algorithm, KeySetSource, TokenOptions, Tokens};
use reqwest::Url;
use reqwest::redirect::Policy;
use serde::Deserialize;

use crate::host::SystemClock;
use crate::settings::AuthSettings;

/// The longest that fetching may take, of all that has to be fetched. Whoever shows a token waits for it, and the function
/// that API Gateway asks is ended after ten seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// More than any issuer says.
const MOST_BYTES: usize = 1 << 20;

/// What reads tokens, where the settings name an issuer.
///
/// # Errors
/// `InvalidRequest` for a wrong setting.
pub fn tokens(settings: &AuthSettings) -> Result<Option<Tokens>> {
    if settings.issuer.is_empty() {
        return Ok(None);
    }
    let algorithm = |name: &String| {
        name.parse::<Algorithm>().map_err(|reason| wrong(format!("auth.algorithms: {reason}")))
    };
    let options = TokenOptions {
        issuer: settings.issuer.clone(),
        audiences: settings.audiences.clone(),
        algorithms: settings.algorithms.iter().map(algorithm).collect::<Result<_>>()?,
        leeway: settings.leeway(),
        scope_prefix: settings.scope_prefix.clone(),
    };
    let source: Arc<dyn KeySetSource> = match settings.jwks.as_str() {
        "" => {
            let issuer = settings.issuer.trim_end_matches('/');
            let said = address("auth.issuer", &format!("{issuer}/.well-known/openid-configuration"))?;
            Arc::new(Remote {
                client: client()?,
                place: Place::Said { said, issuer: settings.issuer.clone() },
            })
        }
        jwks if jwks.contains("://") => {
            Arc::new(Remote { client: client()?, place: Place::Keys(address("auth.jwks", jwks)?) })
        }
        path => Arc::new(KeyFile(path.into())),
    };
    Ok(Some(Tokens::new(options, source, Arc::new(SystemClock::new()))))
}

/// An address that nobody on the way can answer in the issuer's place.
fn address(setting: &str, text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|e| wrong(format!("{setting}: {text:?} is no address: {e}")))?;
    let own = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if own => Ok(url),
        _ => Err(wrong(format!("{setting}: expected https://, or http:// on this machine; found {text:?}"))),
    }
}

fn wrong(reason: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("the settings cannot be used: {reason}"))
}

/// Follows nobody elsewhere: an issuer's keys are where it says, and not where that leads.
fn client() -> Result<reqwest::Client> {
    // Where somebody else was first, theirs is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().timeout(PATIENCE).redirect(Policy::none()).build();
    client.map_err(|e| Error::new(ErrorKind::Internal, "no client for HTTPS can be made").cause(e))
}

struct KeyFile(PathBuf);

#[async_trait]
impl KeySetSource for KeyFile {
    async fn fetch(&self) -> Result<String> {
        let read = tokio::fs::read_to_string(&self.0).await;
        read.map_err(|e| unavailable(format!("{}: {e}", self.0.display())))
    }
}

struct Remote {
    client: reqwest::Client,
    place: Place,
}

enum Place {
    Keys(Url),
    /// Where the issuer says where its keys are.
    Said {
        said: Url,
        issuer: String,
    },
}

#[async_trait]
impl KeySetSource for Remote {
    async fn fetch(&self) -> Result<String> {
        let late = |_| Err(unavailable(format!("it takes more than {} s", PATIENCE.as_secs())));
        tokio::time::timeout(PATIENCE, self.keys()).await.unwrap_or_else(late)
    }
}

impl Remote {
    async fn keys(&self) -> Result<String> {
        match &self.place {
            Place::Keys(keys) => self.get(keys.clone()).await,
            Place::Said { said, issuer } => {
                #[derive(Deserialize)]
                struct Configuration {
                    issuer: String,
                    jwks_uri: String,
                }
                let text = self.get(said.clone()).await?;
                let told: Configuration =
                    serde_json::from_str(&text).map_err(|e| unavailable(format!("{said}: {e}")))?;
                if told.issuer != *issuer {
                    return Err(unavailable(format!("{said} is another issuer's: {}", told.issuer)));
                }
                self.get(address("jwks_uri", &told.jwks_uri)?).await
            }
        }
    }

    async fn get(&self, url: Url) -> Result<String> {
        let failed = |e: reqwest::Error| unavailable(e.to_string());
        let mut answer = self.client.get(url.clone()).send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(unavailable(format!("{url} answers {}", answer.status())));
        }
        let mut text = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(failed)? {
            text.extend_from_slice(&piece);
            if text.len() > MOST_BYTES {
                return Err(unavailable(format!("{url} answers with more than {MOST_BYTES} bytes")));
            }
        }
        String::from_utf8(text).map_err(|e| unavailable(format!("{url}: {e}")))
    }
}

fn unavailable(cause: String) -> Error {
    Error::new(ErrorKind::IssuerUnavailable, "the keys of the issuer of tokens cannot be fetched")
        .cause(cause)
}
