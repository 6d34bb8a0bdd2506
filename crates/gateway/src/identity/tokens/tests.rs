//! Tokens that hold, and every way in which one does not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;
use caudal_core::Result;
use chrono::{DateTime, Utc};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_800_000_000;

/// A clock that stands still until it is moved, in seconds.
#[derive(Default)]
struct Still(AtomicU64);

impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(NOW, 0).expect("a time")
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// An issuer whose answer can be changed, and that counts how often it is asked.
#[derive(Default)]
struct Issuer {
    answer: Mutex<Option<Value>>,
    asked: AtomicUsize,
}

#[async_trait]
impl KeySetSource for Issuer {
    async fn fetch(&self) -> Result<String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answer.lock().expect("no test panics here").clone();
        answer.map(|set| set.to_string()).ok_or_else(issuer_unavailable)
    }
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An issuer that signs with Ed25519, and a server that trusts it.
struct Place {
    key: Ed25519KeyPair,
    issuer: Arc<Issuer>,
    clock: Arc<Still>,
    tokens: Tokens,
}

impl Place {
    fn new(algorithms: &[Algorithm]) -> Place {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness");
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        let (issuer, clock) = (Arc::new(Issuer::default()), Arc::new(Still::default()));
        let options = TokenOptions {
            issuer: "https://issuer.example".into(),
            audiences: vec!["caudal".into()],
            algorithms: algorithms.to_vec(),
            leeway: Duration::from_secs(30),
            scope_prefix: String::new(),
        };
        let tokens = Tokens::new(options, issuer.clone(), clock.clone());
        let place = Place { key, issuer, clock, tokens };
        place.publish(vec![place.jwk("one")]);
        place
    }

    fn publish(&self, keys: Vec<Value>) {
        *self.issuer.answer.lock().expect("no test panics here") = Some(json!({"keys": keys}));
    }

    fn jwk(&self, kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encoded(self.key.public_key())})
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        format!("{signed}.{}", encoded(self.key.sign(signed.as_bytes())))
    }

    fn token(&self, claims: &Value) -> String {
        self.sign(r#"{"alg":"EdDSA","kid":"one"}"#, &claims.to_string())
    }

    async fn holder(&self, token: &str) -> Option<Identity> {
        self.tokens.holder_of(token).await.expect("the issuer answers")
    }

    fn asked(&self) -> usize {
        self.issuer.asked.load(Ordering::Relaxed)
    }
}

fn claims() -> Value {
    json!({"iss": "https://issuer.example", "sub": "alice", "aud": "caudal", "exp": NOW + 60, "scope": "read x"})
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

#[tokio::test]
async fn a_token_of_the_issuer_names_its_owner_and_scopes() {
    let place = Place::new(&[Algorithm::EdDsa]);
    let holder = place.holder(&place.token(&claims())).await.expect("it holds");
    assert_eq!(holder.owner, "alice");
    assert!(holder.scopes.allow(Scope::Read) && !holder.scopes.allow(Scope::Submit));
    let listed = with("aud", json!(["other", "caudal"]));
    assert!(place.holder(&place.token(&listed)).await.is_some());
    let none = with("scope", json!("openid profile"));
    assert!(place.holder(&place.token(&none)).await.expect("it holds").scopes.is_empty());
    assert_eq!(place.asked(), 1, "the keys are fetched once");
}

#[tokio::test]
async fn whatever_a_token_lacks_makes_it_worthless() {
    let place = Place::new(&[Algorithm::EdDsa]);
    for (name, value) in [
        ("iss", json!("https://issuer.example/")),
        ("iss", Value::Null),
        ("aud", json!("caudal2")),
        ("aud", json!([])),
        ("aud", Value::Null),
        ("exp", json!(NOW - 30)),
        ("exp", Value::Null),
        ("exp", json!("4000000000")),
        ("nbf", json!(NOW + 31)),
        ("iat", json!(NOW + 31)),
        ("sub", json!("")),
        ("sub", json!(7)),
    ] {
        let token = place.token(&with(name, value.clone()));
        assert!(place.holder(&token).await.is_none(), "{name}: {value}");
    }
    for (name, value) in [("exp", NOW - 29), ("nbf", NOW + 30), ("iat", NOW + 30)] {
        assert!(
            place.holder(&place.token(&with(name, json!(value)))).await.is_some(),
            "{name} within the leeway"
        );
    }
    let twice =
        r#"{"iss":"https://issuer.example","sub":"alice","sub":"bob","aud":"caudal","exp":4000000000}"#;
    assert!(place.holder(&place.sign(r#"{"alg":"EdDSA"}"#, twice)).await.is_none());
}

#[tokio::test]
async fn the_algorithm_is_the_servers_choice_and_not_the_tokens() {
    let place = Place::new(&[Algorithm::EdDsa]);
    let claims = claims().to_string();
    for header in [
        r#"{"alg":"none","kid":"one"}"#,
        r#"{"alg":"HS256","kid":"one"}"#,
        r#"{"alg":"eddsa","kid":"one"}"#,
        r#"{"alg":"RS256","kid":"one"}"#,
        r#"{"alg":"EdDSA","kid":"one","crit":["b64"],"b64":false}"#,
        r#"{"alg":"EdDSA","kid":"one","typ":"dpop+jwt"}"#,
        r#"{"alg":"EdDSA","alg":"EdDSA","kid":"one"}"#,
        r#"{"kid":"one"}"#,
        "[]",
    ] {
        assert!(place.holder(&place.sign(header, &claims)).await.is_none(), "{header}");
    }
    let unsigned = format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(&claims));
    assert!(place.holder(&unsigned).await.is_none());
    let pinned = Place::new(&[Algorithm::Es256]);
    assert!(pinned.holder(&pinned.token(&self::claims())).await.is_none(), "another one is pinned");
}

#[tokio::test]
async fn a_token_with_one_byte_changed_is_worthless() {
    let place = Place::new(&[Algorithm::EdDsa]);
    let token = place.token(&claims());
    for at in (0..token.len()).step_by(3) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).expect("text");
        // The last character of 64 bytes carries four bits that must be 0.
        assert!(place.holder(&changed).await.is_none(), "byte {at} of {token}");
    }
    for text in
        ["", ".", "..", "a.b", "a.b.c", &format!("{token}.x"), &format!("{token}="), &"a".repeat(20_000)]
    {
        assert!(place.holder(text).await.is_none(), "{text}");
    }
    assert!(place.holder(&Place::new(&[Algorithm::EdDsa]).token(&claims())).await.is_none(), "another key");
}

#[tokio::test]
async fn a_subject_that_is_no_name_becomes_its_hash() {
    let place = Place::new(&[Algorithm::EdDsa]);
    let long = "a".repeat(300);
    let holder = place.holder(&place.token(&with("sub", json!(long)))).await.expect("it holds");
    assert!(holder.owner.starts_with("sha256-") && is_owner(&holder.owner), "{}", holder.owner);
    let line_break = place.holder(&place.token(&with("sub", json!("a\nb")))).await.expect("it holds");
    assert!(is_owner(&line_break.owner) && line_break.owner != holder.owner);
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_found_and_made_up_ones_do_not_make_it_be_asked_again() {
    let place = Place::new(&[Algorithm::EdDsa]);
    let token = place.sign(r#"{"alg":"EdDSA","kid":"two"}"#, &claims().to_string());
    assert!(place.holder(&token).await.is_none());
    place.publish(vec![place.jwk("one"), place.jwk("two")]);
    for _ in 0..50 {
        assert!(place.holder(&token).await.is_none(), "it was asked a moment ago");
    }
    assert_eq!(place.asked(), 1);
    place.clock.0.store(10, Ordering::Relaxed);
    assert!(place.holder(&token).await.is_some());
    assert_eq!(place.asked(), 2);
    let nameless = place.sign(r#"{"alg":"EdDSA"}"#, &claims().to_string());
    assert!(place.holder(&nameless).await.is_none(), "two keys fit, and the token names none");
}

#[tokio::test]
async fn an_issuer_that_is_away_is_told_apart_from_a_wrong_token() {
    let place = Place::new(&[Algorithm::EdDsa]);
    let token = place.token(&claims());
    *place.issuer.answer.lock().expect("no test panics here") = None;
    let error = place.tokens.holder_of(&token).await.expect_err("no keys");
    assert_eq!(error.kind, ErrorKind::IssuerUnavailable);
    place.publish(vec![place.jwk("one")]);
    place.clock.0.store(10, Ordering::Relaxed);
    assert!(place.holder(&token).await.is_some());
    *place.issuer.answer.lock().expect("no test panics here") = None;
    place.clock.0.store(3600, Ordering::Relaxed);
    assert!(place.holder(&token).await.is_some(), "what was fetched counts for a day");
    place.clock.0.store(90_000, Ordering::Relaxed);
    assert!(place.tokens.holder_of(&token).await.is_err(), "and no longer");
}

#[tokio::test]
async fn p_256_and_rsa_are_checked_and_short_keys_are_not() {
    let random = SystemRandom::new();
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("randomness");
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
        .expect("a key");
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let place = Place::new(&[Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256]);
    place.publish(vec![json!({"kty": "EC", "crv": "P-256", "kid": "ec", "x": encoded(x), "y": encoded(y)})]);
    let signed = format!("{}.{}", encoded(r#"{"alg":"ES256","kid":"ec"}"#), encoded(claims().to_string()));
    let signature = key.sign(&random, signed.as_bytes()).expect("a signature");
    assert!(place.holder(&format!("{signed}.{}", encoded(signature))).await.is_some());

    let made: Value = serde_json::from_str(include_str!("../../../tests/rsa_tokens.json")).expect("JSON");
    let keys = |name: &str| made[name].as_array().expect("keys").clone();
    let rsa = Place::new(&[Algorithm::Rs256, Algorithm::Ps256]);
    rsa.publish(keys("keys"));
    for name in ["rs256", "ps256"] {
        let token = made[name].as_str().expect("a token");
        assert_eq!(rsa.holder(token).await.expect("it holds").owner, "alice", "{name}");
        assert!(rsa.holder(&token.replacen("eyJ", "eyK", 1)).await.is_none());
    }
    let short = Place::new(&[Algorithm::Rs256]);
    short.publish(keys("short_keys"));
    assert!(short.holder(made["short_rs256"].as_str().expect("a token")).await.is_none(), "1024 bits");
    let mut for_encryption = keys("keys");
    for_encryption[0]["use"] = json!("enc");
    let other = Place::new(&[Algorithm::Rs256]);
    other.publish(for_encryption);
    assert!(other.holder(made["rs256"].as_str().expect("a token")).await.is_none());
}
