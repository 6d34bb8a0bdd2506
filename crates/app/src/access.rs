//! Who may use a server: its guard as the settings say, and the API keys in its bucket.

use std::sync::Arc;
use std::time::Duration;

use caudal_core::identity::{ApiKey, ApiKeys, KeyState, LONGEST_OWNER, Scopes, is_owner};
use caudal_core::ports::Clock;
use caudal_core::{Error, ErrorKind, Result};
use caudal_gateway::Guard;
use caudal_gateway::identity::api_key::KeyText;
use caudal_gateway::limits::{Limits, Rate, RateLimits};
use caudal_storage::Bucket;

use crate::host::SystemClock;
use crate::issuer;
use crate::settings::Settings;
use crate::store;

/// The guard of a server over the keys in a bucket: it lets nobody in unasked where credentials are `required`.
///
/// # Errors
/// `InvalidRequest` for a wrong setting.
pub(crate) fn guard(settings: &Settings, bucket: &Bucket, required: bool) -> Result<Guard> {
    let tokens = issuer::tokens(&settings.auth)?;
    Ok(Guard::new(required, store::api_keys(bucket.clone()), tokens, Arc::new(SystemClock::new())))
}

fn keys(settings: &Settings) -> Result<Arc<dyn ApiKeys>> {
    store::open(settings).map(store::api_keys)
}

/// How often may be asked.
pub fn limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    let rate = limits.rate().map(|(per_second, burst)| Rate { per_second, burst });
    Limits::new(RateLimits { per_key: rate, per_address: rate }, Arc::new(SystemClock::new()))
}

/// Checks that somebody could sign in.
///
/// # Errors
/// `InvalidRequest` where nobody could.
pub async fn check(settings: &Settings) -> Result<()> {
    let any = list_keys(settings).await?.iter().any(|(_, state)| *state == KeyState::Valid);
    if any || !settings.auth.issuer.is_empty() {
        return Ok(());
    }
    let detail = "everybody is asked for an API key, and there is none: nobody could use this server";
    Err(Error::new(ErrorKind::InvalidRequest, detail)
        .hint("make one with caudal keys create, with the same --storage"))
}

/// A key that is to be made.
pub struct KeyOrder {
    pub owner: String,
    pub label: Option<String>,
    pub scopes: Scopes,
    /// How long it holds; for good where it is absent.
    pub lifetime: Option<Duration>,
}

/// A key that was made, with the only copy of its text.
pub struct NewKey {
    pub key: ApiKey,
    pub text: KeyText,
}

/// Makes a key and stores what is not secret of it.
///
/// # Errors
/// `InvalidRequest` for an owner or lifetime that cannot be, `StorageUnavailable` when the bucket does not take it.
pub async fn create_key(settings: &Settings, order: KeyOrder) -> Result<NewKey> {
    if !is_owner(&order.owner) {
        let detail = format!("an owner is a name of 1 to {LONGEST_OWNER} bytes without control characters");
        return Err(Error::new(ErrorKind::InvalidRequest, detail));
    }
    let text = KeyText::generate()
        .map_err(|e| Error::new(ErrorKind::Internal, "this system gives no random numbers").cause(e))?;
    let now = SystemClock::new().now();
    let too_long = || Error::new(ErrorKind::InvalidRequest, "a key cannot hold that long; say \"never\"");
    let ends = |lifetime| {
        let lifetime = chrono::TimeDelta::from_std(lifetime).map_err(|_| too_long())?;
        now.checked_add_signed(lifetime).ok_or_else(too_long)
    };
    let key = ApiKey {
        id: text.id().to_owned(),
        owner: order.owner,
        label: order.label,
        scopes: order.scopes,
        digest: text.digest(),
        created_at: now,
        expires_at: order.lifetime.map(ends).transpose()?,
        revoked_at: None,
    };
    keys(settings)?.add(&key).await?;
    Ok(NewKey { key, text })
}

/// All keys and how they are now, oldest first.
///
/// # Errors
/// `StorageUnavailable` when the bucket does not answer.
pub async fn list_keys(settings: &Settings) -> Result<Vec<(ApiKey, KeyState)>> {
    let now = SystemClock::new().now();
    let found = keys(settings)?.list().await?;
    let with_state = |key: ApiKey| {
        let state = key.state(now);
        (key, state)
    };
    Ok(found.into_iter().map(with_state).collect())
}

/// Ends a key for good. Either its id or the whole key names it.
///
/// # Errors
/// `NotFound` where there is no such key, `StorageUnavailable` when the bucket does not answer.
pub async fn revoke_key(settings: &Settings, name: &str) -> Result<ApiKey> {
    let whole = KeyText::read(name);
    let id = whole.as_ref().map_or(name, KeyText::id);
    let ended = keys(settings)?.revoke(id, SystemClock::new().now()).await?;
    ended.ok_or_else(|| {
        let detail = format!("there is no key {id:?} in this storage");
        Error::new(ErrorKind::NotFound, detail).hint("caudal keys list has the ids")
    })
}
