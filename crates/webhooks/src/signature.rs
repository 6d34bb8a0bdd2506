//! Keys and signatures as the Standard Webhooks specification has them: HMAC-SHA256 over id, time and body.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};

/// What written keys begin with.
const PREFIX: &str = "whsec_";

/// Bytes of a key that is made here.
const LENGTH: usize = 32;

/// Bytes that a key may have.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// A key that signs. It is secret, and not shown but by [`text`](Self::text).
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl SigningKey {
    /// Makes a new key; `None` where the system gives no randomness.
    pub fn generate() -> Option<SigningKey> {
        let mut bytes = vec![0; LENGTH];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(SigningKey(bytes))
    }

    /// Reads `whsec_` and base64.
    pub fn parse(text: &str) -> Option<SigningKey> {
        let bytes = BASE64_STANDARD.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
        LENGTHS.contains(&bytes.len()).then_some(SigningKey(bytes))
    }

    /// The key as receivers are given it.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", BASE64_STANDARD.encode(&self.0))
    }

    /// The key of one owner. Who knows it can check the messages to this owner, and forge none to another one.
    pub fn of_owner(&self, owner: &str) -> SigningKey {
        let key = hmac::Key::new(HMAC_SHA256, &self.0);
        SigningKey(hmac::sign(&key, format!("caudal webhooks of {owner}").as_bytes()).as_ref().to_vec())
    }

    /// The value of the header `webhook-signature`; `timestamp` in seconds since 1970.
    pub fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let key = hmac::Key::new(HMAC_SHA256, &self.0);
        let signature = hmac::sign(&key, format!("{id}.{timestamp}.{body}").as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(signature.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_the_one_of_the_standard() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_is_not_shown() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(SigningKey::parse(&key.text()), Some(key.clone()));
        assert_ne!(SigningKey::generate(), Some(key.clone()));
        assert!(!format!("{key:?}").contains(&key.text()[6..]));
        for wrong in ["", "whsec_", "whsec_!", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert_eq!(SigningKey::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_owner_has_a_key_of_its_own() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(key.of_owner("a"), key.of_owner("a"));
        assert!(key.of_owner("a") != key.of_owner("b") && key.of_owner("a") != key);
    }
}
