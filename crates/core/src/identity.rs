//! Who asks: owners, what they may do, and the keys that they show.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::job::LOCAL_OWNER;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Hand in jobs and uploads, and cancel or delete one's own.
    Submit,
    /// See one's own jobs and their data.
    Read,
    /// See how the server is doing, and everything above.
    Admin,
}

impl Scope {
    pub const ALL: [Scope; 3] = [Scope::Submit, Scope::Read, Scope::Admin];

    pub fn name(self) -> &'static str {
        match self {
            Scope::Submit => "submit",
            Scope::Read => "read",
            Scope::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Scope::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| format!("expected submit, read or admin, found \"{text}\""))
    }
}

/// A set of scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    pub fn all() -> Scopes {
        Scope::ALL.into_iter().collect()
    }

    /// Whether something that needs `scope` may be done; who may see how the server is doing may do everything.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Scopes {
        Scopes(scopes.into_iter().collect())
    }
}

impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.iter().map(|scope| scope.name()).collect();
        f.write_str(&names.join(" "))
    }
}

/// Whoever sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose the jobs are that the request makes or sees.
    pub owner: String,
    pub scopes: Scopes,
    pub credential: Credential,
}

/// What somebody has shown to be believed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Credential {
    /// Nothing, where nothing is asked for.
    None,
    /// The id of an API key.
    Key(String),
    /// A token of the issuer, by its subject.
    Token(String),
}

impl Identity {
    /// Whoever asks where nobody has to sign in.
    pub fn anonymous() -> Identity {
        Identity { owner: LOCAL_OWNER.into(), scopes: Scopes::all(), credential: Credential::None }
    }
}

/// The longest name of an owner: with every byte escaped it is still the name of a folder.
pub const LONGEST_OWNER: usize = 80;

/// Whether a text can be the name of an owner: 1 to [`LONGEST_OWNER`] bytes without control characters.
pub fn is_owner(text: &str) -> bool {
    (1..=LONGEST_OWNER).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// An API key as it is stored: everything but its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The part of the key that is no secret.
    pub id: String,
    pub owner: String,
    /// What it is for, in its maker's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub scopes: Scopes,
    /// SHA-256 of the whole key, in hexadecimal digits.
    pub digest: String,
    pub created_at: DateTime<Utc>,
    /// Never where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<DateTime<Utc>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
}

/// How a key is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    Valid,
    Expired,
    Revoked,
}

impl KeyState {
    pub fn name(self) -> &'static str {
        match self {
            KeyState::Valid => "valid",
            KeyState::Expired => "expired",
            KeyState::Revoked => "revoked",
        }
    }
}

impl ApiKey {
    pub fn state(&self, now: DateTime<Utc>) -> KeyState {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(end)) if end <= now => KeyState::Expired,
            (None, _) => KeyState::Valid,
        }
    }
}

/// The API keys that were given out.
#[async_trait]
pub trait ApiKeys: Send + Sync {
    async fn find(&self, id: &str) -> Result<Option<ApiKey>>;
    /// All of them, those that hold no more too, oldest first.
    async fn list(&self) -> Result<Vec<ApiKey>>;
    /// # Errors
    /// `Conflict` where its id is taken.
    async fn add(&self, key: &ApiKey) -> Result<()>;
    /// Ends a key for good; `None` where there is no such key.
    async fn revoke(&self, id: &str, at: DateTime<Utc>) -> Result<Option<ApiKey>>;
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn admin_may_everything_and_the_others_only_what_they_are_called() {
        let scopes = |scopes: &[Scope]| scopes.iter().copied().collect::<Scopes>();
        assert!(Scope::ALL.into_iter().all(|scope| scopes(&[Scope::Admin]).allow(scope)));
        let read = scopes(&[Scope::Read]);
        assert!(read.allow(Scope::Read) && !read.allow(Scope::Submit) && !read.allow(Scope::Admin));
        assert!(!Scopes::default().allow(Scope::Read));
    }

    #[test]
    fn a_key_holds_until_it_expires_or_is_revoked() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let key = ApiKey {
            id: "a".into(),
            owner: "alice".into(),
            label: None,
            scopes: Scopes::all(),
            digest: String::new(),
            created_at: at(0),
            expires_at: Some(at(10)),
            revoked_at: None,
        };
        assert_eq!((key.state(at(9)), key.state(at(10))), (KeyState::Valid, KeyState::Expired));
        assert_eq!(ApiKey { expires_at: None, ..key.clone() }.state(at(1 << 40)), KeyState::Valid);
        assert_eq!(ApiKey { revoked_at: Some(at(1)), ..key }.state(at(2)), KeyState::Revoked);
    }

    #[test]
    fn an_owner_is_short_and_has_no_control_characters() {
        assert!(is_owner("alice@example.org") && is_owner("auth0|5f7c") && is_owner("é"));
        assert!(!is_owner("") && !is_owner("a\nb") && !is_owner(&"a".repeat(81)));
    }
}
