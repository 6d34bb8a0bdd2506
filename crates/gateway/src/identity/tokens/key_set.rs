//! The issuer's keys: fetched when they are first wanted, again from time to time, and when a token names one that is
//! not among them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::ports::Clock;
use caudal_core::{Error, Result};

use super::jwk::{self, Key};
use super::{Algorithm, issuer_unavailable};

/// After this the keys are fetched again, and until then an issuer's change may go unseen.
const FRESH: Duration = Duration::from_secs(600);

/// After this keys that could not be fetched again count no more: the issuer may have withdrawn them.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Tokens with made-up key names make the issuer be asked no oftener than this.
const PAUSE: Duration = Duration::from_secs(10);

/// Where a key set comes from: an address or a file.
#[async_trait]
pub trait KeySetSource: Send + Sync {
    /// The text of the key set.
    ///
    /// # Errors
    /// Whatever keeps it from being had; its cause goes to the log.
    async fn fetch(&self) -> Result<String>;
}

pub struct KeySet {
    source: Arc<dyn KeySetSource>,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Held while the set is fetched, so that it is fetched once.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    keys: Arc<Vec<Key>>,
    fetched_at: Option<Duration>,
    tried_at: Option<Duration>,
}

impl KeySet {
    pub fn new(source: Arc<dyn KeySetSource>, clock: Arc<dyn Clock>) -> KeySet {
        KeySet { source, clock, known: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The key for an algorithm that a token names, or where it names none, the only one for its algorithm.
    ///
    /// # Errors
    /// `IssuerUnavailable` where no keys can be had.
    pub async fn find(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Option<Key>> {
        let age = |known: &Known| known.fetched_at.map(|at| self.clock.monotonic().saturating_sub(at));
        let mut known = self.known();
        let fitting = |known: &Known| only(&known.keys, algorithm, kid);
        if age(&known).is_none_or(|age| age >= FRESH) || fitting(&known).is_none() {
            known = self.fetch_again(known).await;
        }
        match age(&known) {
            Some(age) if age < STALE => Ok(fitting(&known)),
            _ => Err(issuer_unavailable()),
        }
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known after another try, or without one where somebody has just tried.
    async fn fetch_again(&self, before: Known) -> Known {
        let _one = self.fetching.lock().await;
        let mut known = self.known();
        let now = self.clock.monotonic();
        let tried_meanwhile = known.tried_at != before.tried_at;
        if tried_meanwhile || known.tried_at.is_some_and(|at| now.saturating_sub(at) < PAUSE) {
            return known;
        }
        known.tried_at = Some(now);
        match self.source.fetch().await.and_then(|text| read(&text)) {
            Ok(keys) => (known.keys, known.fetched_at) = (Arc::new(keys), Some(now)),
            Err(error) => {
                tracing::warn!(cause = error.cause, "the issuer's keys could not be fetched: {error}");
            }
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known.clone();
        known
    }
}

fn read(text: &str) -> Result<Vec<Key>> {
    jwk::read(text).map_err(|reason| Error { cause: Some(reason), ..issuer_unavailable() })
}

/// A token without `kid` is checked with the only key that there is for its algorithm: trying several would let
/// whoever made it choose.
fn only(keys: &[Key], algorithm: Algorithm, kid: Option<&str>) -> Option<Key> {
    let mut fitting = keys.iter().filter(|key| key.is_for(algorithm, kid));
    let first = fitting.next()?;
    fitting.next().is_none().then(|| first.clone())
}
