//! OWASP API2: tokens of an OpenID Connect issuer, from the issuer's own documents to a job.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use crate::access::{call, key};
use crate::support::{Place, Server};

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn new_key() -> Ed25519KeyPair {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("randomness");
    Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key")
}

fn key_set(key: &Ed25519KeyPair) -> Value {
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": encoded(key.public_key())}]})
}

/// An issuer on this machine, which can go away and come back.
struct Issuer {
    url: String,
    key: Ed25519KeyPair,
    away: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    fn start() -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let key = new_key();
        let (away, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let documents = [
            ("/.well-known/openid-configuration", json!({"issuer": url, "jwks_uri": format!("{url}/keys")})),
            ("/keys", key_set(&key)),
        ];
        let documents = Arc::new(Mutex::new(documents));
        let (gone, count) = (away.clone(), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
                lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
                count.fetch_add(1, Ordering::Relaxed);
                let documents = documents.lock().expect("nobody panics with it");
                let found =
                    documents.iter().find(|(at, _)| *at == path).filter(|_| !gone.load(Ordering::Relaxed));
                let (status, body) =
                    found.map_or((500, String::new()), |(_, found)| (200, found.to_string()));
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = (&stream).write_all(format!("{head}{body}").as_bytes());
            }
        });
        Issuer { url, key, away, asked }
    }

    fn token(&self, changes: &Value) -> String {
        signed(&self.key, &self.url, changes)
    }
}

fn signed(key: &Ed25519KeyPair, issuer: &str, changes: &Value) -> String {
    let mut claims = json!({"iss": issuer, "sub": "carol", "aud": "caudal", "exp": 4_000_000_000_u64,
                            "scope": "openid caudal:submit caudal:read"});
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    let text =
        format!("{}.{}", encoded(r#"{"alg":"EdDSA","kid":"k","typ":"at+jwt"}"#), encoded(claims.to_string()));
    format!("{text}.{}", encoded(key.sign(text.as_bytes())))
}

fn server(place: &Place, issuer: &str, jwks: &str) -> Server {
    let settings = format!(
        "[auth]\nissuer = \"{issuer}\"\naudiences = [\"caudal\"]\njwks = \"{jwks}\"\nalgorithms = [\"EdDSA\"]\n\
         scope_prefix = \"caudal:\"\n[limits]\nrequests_per_second = 0\n"
    );
    let file = place.file("settings.toml", settings);
    let variables: [(&str, PathBuf); 0] = [];
    Server::start_with(
        &place.bucket(),
        &["--authenticate", "--config", file.to_str().expect("a UTF-8 path")],
        &variables,
    )
}

#[test]
fn a_token_of_the_issuer_makes_jobs_for_its_subject() {
    let place = Place::new();
    let issuer = Issuer::start();
    let server = server(&place, &issuer.url, "");
    let token = issuer.token(&json!({}));
    let answer = call(&server, &token, "POST", "/process", Some(r#"{"data": [1, 2]}"#));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let job = format!("/jobs/{}", answer.json()["job_id"].as_str().expect("an id"));
    assert_eq!(call(&server, &token, "GET", &job, None).status, 200);
    let other = issuer.token(&json!({"sub": "dave"}));
    call(&server, &other, "GET", &job, None).problem(404, "not-found");
    let reader = issuer.token(&json!({"scope": "caudal:read submit"}));
    assert_eq!(call(&server, &reader, "GET", &job, None).status, 200);
    call(&server, &reader, "POST", "/process", Some(r#"{"data": [1]}"#)).problem(403, "forbidden");
    let same = key(&place, "carol", &[]);
    assert_eq!(call(&server, &same, "GET", &job, None).status, 200, "a key of the same owner sees the same");
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 2, "where the keys are, and the keys, once");
}

#[test]
fn tokens_that_do_not_hold_are_refused_without_a_reason() {
    let place = Place::new();
    let issuer = Issuer::start();
    let server = server(&place, &issuer.url, "");
    let mut told = Vec::new();
    for token in [
        issuer.token(&json!({"exp": 1_000_000_000})),
        issuer.token(&json!({"aud": "somebody else"})),
        issuer.token(&json!({"iss": "http://127.0.0.1:1"})),
        issuer.token(&json!({"nbf": 4_000_000_000_u64})),
        signed(&new_key(), &issuer.url, &json!({})),
        format!("{}x", issuer.token(&json!({}))),
        "a.b.c".into(),
    ] {
        let answer = call(&server, &token, "GET", "/jobs", None);
        answer.problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").contains("invalid_token"));
        told.push(answer.text());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "nobody learns why: {told:?}");
}

#[test]
fn an_issuer_that_is_away_is_no_fault_of_the_token_and_keys_still_work() {
    let place = Place::new();
    let issuer = Issuer::start();
    issuer.away.store(true, Ordering::Relaxed);
    let own = key(&place, "alice", &[]);
    let server = server(&place, &issuer.url, &format!("{}/keys", issuer.url));
    let answer = call(&server, &issuer.token(&json!({})), "GET", "/jobs", None);
    let problem = answer.problem(503, "issuer-unavailable");
    assert!(!problem.to_string().contains("127.0.0.1"), "where the issuer is stays in the log: {problem}");
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(call(&server, &own, "GET", "/jobs", None).status, 200);
}

#[test]
fn the_keys_of_an_issuer_can_lie_in_a_file() {
    let place = Place::new();
    let signer = new_key();
    let file = place.file("keys.json", key_set(&signer).to_string());
    let server = server(&place, "https://issuer.example", file.to_str().expect("a UTF-8 path"));
    let token = signed(&signer, "https://issuer.example", &json!({}));
    assert_eq!(call(&server, &token, "GET", "/jobs", None).status, 200);
}

#[test]
fn an_issuer_without_an_audience_or_over_plain_http_is_refused_at_the_start() {
    let place = Place::new();
    let refused = |settings: &str, said: &str| {
        let file = place.file("wrong.toml", settings);
        let run = crate::support::binary()
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(file)
            .arg("--storage")
            .arg(place.bucket())
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    };
    refused("[auth]\nissuer = \"https://a.example\"\n", "auth.audiences");
    let issuer = "[auth]\nissuer = \"http://a.example\"\naudiences = [\"x\"]\n";
    refused(issuer, "expected https://");
    refused(&format!("{issuer}jwks = \"http://10.0.0.1/keys\"\n"), "expected https://");
    refused(&format!("{issuer}jwks = \"k\"\nalgorithms = [\"none\"]\n"), "expected one of RS256");
    refused(&format!("{issuer}jwks = \"k\"\nalgorithms = [\"HS256\"]\n"), "expected one of RS256");
    refused("[cors]\nallowed_origins = [\"*\"]\nallow_credentials = true\n", "cors.allow_credentials");
}

#[test]
fn what_is_a_list_in_the_settings_has_commas_in_the_environment() {
    let place = Place::new();
    let signer = new_key();
    let keys = place.file("keys.json", key_set(&signer).to_string());
    let settings = |audiences: &str| {
        let variable = |name, value: &str| (name, PathBuf::from(value));
        [
            variable("CAUDAL__AUTH__ISSUER", "https://issuer.example"),
            variable("CAUDAL__AUTH__JWKS", keys.to_str().expect("a UTF-8 path")),
            variable("CAUDAL__AUTH__ALGORITHMS", "EdDSA"),
            variable("CAUDAL__AUTH__SCOPE_PREFIX", "caudal:"),
            variable("CAUDAL__AUTH__AUDIENCES", audiences),
            variable("CAUDAL__CORS__ALLOWED_ORIGINS", ""),
        ]
    };
    let token = signed(&signer, "https://issuer.example", &json!({}));
    let answered = |audiences: &str| {
        let server = Server::start_with(&place.bucket(), &["--authenticate"], &settings(audiences));
        call(&server, &token, "GET", "/jobs", None).status
    };
    assert_eq!(answered("somebody,caudal"), 200);
    assert_eq!(answered("somebody"), 401);
}
