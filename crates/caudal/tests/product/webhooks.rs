//! Webhooks: signed, tried again, kept over restarts, and never sent inwards unless that was allowed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Place, Server, binary};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";

/// A message as it arrived.
struct Message {
    path: String,
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

impl Message {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// A client's server: answers with one status after the other, the last one for ever.
struct Receiving {
    url: String,
    messages: Receiver<Message>,
}

impl Receiving {
    fn start(answers: &'static [&'static str]) -> Receiving {
        Receiving::on(TcpListener::bind("127.0.0.1:0").expect("a port"), answers)
    }

    fn on(listener: TcpListener, answers: &'static [&'static str]) -> Receiving {
        let url = format!("http://{}/done", listener.local_addr().expect("an address"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { break };
                let answer = answers[i.min(answers.len() - 1)];
                if let Some(message) = receive(stream, answer)
                    && sender.send(message).is_err()
                {
                    break;
                }
            }
        });
        Receiving { url, messages }
    }

    fn next(&self) -> Message {
        self.messages.recv_timeout(Duration::from_secs(60)).expect("a message")
    }
}

fn receive(stream: TcpStream, answer: &str) -> Option<Message> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let found =
            head.iter().filter_map(|line| line.split_once(": ")).find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map_or(String::new(), |(_, value)| value.to_owned())
    };
    let mut body = vec![0; header("content-length").parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let text = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    reader.get_mut().write_all(text.as_bytes()).ok()?;
    Some(Message {
        path: head.first()?.split(' ').nth(1)?.to_owned(),
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: String::from_utf8(body).ok()?,
    })
}

/// HMAC-SHA256, by its definition (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let padded = |with: u8| -> Vec<u8> { (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ with).collect() };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5C)).chain_update(inner).finalize().into()
}

fn lax() -> Vec<(&'static str, PathBuf)> {
    vec![
        ("CAUDAL__WEBHOOKS__KEY", KEY.into()),
        ("CAUDAL__WEBHOOKS__ALLOW_PRIVATE", "true".into()),
        ("CAUDAL__WEBHOOKS__ALLOW_HTTP", "true".into()),
        ("CAUDAL__WEBHOOKS__FIRST_PAUSE_SECONDS", "0.1".into()),
    ]
}

fn submit(server: &Server, body: Value) -> String {
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let answer = server.request("POST", "/process", &headers, Some(body.to_string().as_bytes()));
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["job_id"].as_str().expect("an id").to_owned()
}

#[test]
fn the_end_of_a_job_is_told_with_a_signature_that_its_owner_can_check() {
    let place = Place::new();
    let receiving = Receiving::start(&["200 OK"]);
    let server = Server::start_with(&place.bucket(), &[], &lax());
    let id = submit(&server, json!({"data": [1, 2, 3], "webhook_url": receiving.url}));
    let message = receiving.next();
    assert_eq!((message.path.as_str(), message.id.clone()), ("/done", format!("msg_{id}")));
    let told = message.json();
    assert_eq!((&told["type"], &told["data"]["job_id"]), (&json!("job.completed"), &json!(id)));
    let shown =
        binary().args(["webhook-key", "show"]).env("CAUDAL__WEBHOOKS__KEY", KEY).output().expect("it runs");
    let shown = String::from_utf8(shown.stdout).expect("text");
    let key = BASE64_STANDARD.decode(shown.trim().strip_prefix("whsec_").expect("a key")).expect("base64");
    let signed = format!("msg_{id}.{}.{}", message.timestamp, message.body);
    assert_eq!(message.signature, format!("v1,{}", BASE64_STANDARD.encode(hmac(&key, signed.as_bytes()))));
}

#[test]
fn a_job_that_fails_is_told_of_with_its_reason() {
    let place = Place::new();
    let receiving = Receiving::start(&["204 No Content"]);
    let server = Server::start_with(&place.bucket(), &[], &lax());
    submit(&server, json!({"source": {"uri": "file:/nowhere.csv"}, "webhook_url": receiving.url}));
    let told = receiving.next().json();
    assert_eq!(
        (&told["type"], &told["data"]["error"]["type"]),
        (&json!("job.failed"), &json!("source-unavailable"))
    );
}

#[test]
fn what_is_not_heard_is_said_again_in_the_same_words() {
    let place = Place::new();
    let receiving = Receiving::start(&["500 No", "503 No", "200 OK"]);
    let server = Server::start_with(&place.bucket(), &[], &lax());
    submit(&server, json!({"data": [1, 2, 3], "webhook_url": receiving.url}));
    let said: Vec<Message> = (0..3).map(|_| receiving.next()).collect();
    assert!(said.iter().all(|message| message.id == said[0].id && message.body == said[0].body));
    let pending = place.bucket().join("webhooks/pending");
    let ended = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        std::fs::read_dir(&pending).is_ok_and(|mut left| left.next().is_none())
    });
    assert!(ended, "once it is heard nothing is pending");
}

#[test]
fn a_message_outlives_the_server_that_was_killed_before_it_was_heard() {
    let place = Place::new();
    // A port that nobody listens on yet.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let server = Server::start_with(&place.bucket(), &[], &lax());
    let id = submit(&server, json!({"data": [1, 2, 3], "webhook_url": format!("http://{address}/later")}));
    server.wait_for(&id);
    server.kill();
    let receiving = Receiving::on(TcpListener::bind(address).expect("the port"), &["200 OK"]);
    let _server = Server::start_with(&place.bucket(), &[], &lax());
    let message = receiving.next();
    assert_eq!((message.path.as_str(), message.id), ("/later", format!("msg_{id}")));
}

#[test]
fn a_redirect_is_not_followed() {
    let place = Place::new();
    let inside = TcpListener::bind("127.0.0.1:45871").ok().map(|l| Receiving::on(l, &["200 OK"]));
    let receiving = Receiving::start(&["307 There\r\nlocation: http://127.0.0.1:45871/secret", "410 Gone"]);
    let server = Server::start_with(&place.bucket(), &[], &lax());
    submit(&server, json!({"data": [1, 2, 3], "webhook_url": receiving.url}));
    receiving.next();
    assert_eq!(receiving.next().path, "/done", "it was tried again where it was sent to");
    assert!(inside.is_none_or(|inside| inside.messages.try_recv().is_err()));
}

#[test]
fn nobody_is_called_inwards_without_tls_or_without_a_key() {
    let place = Place::new();
    let keyed = [("CAUDAL__WEBHOOKS__KEY", PathBuf::from(KEY))];
    let server = Server::start_with(&place.bucket(), &[], &keyed);
    for url in [
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "http://example.org/",
        "file:///etc/passwd",
        "nothing",
    ] {
        let body = json!({"data": [1], "webhook_url": url}).to_string();
        let problem = server.post("/process", body).problem(422, "invalid-request");
        assert_eq!(problem["errors"][0]["pointer"], "/webhook_url", "{url}");
    }
    // Its name is a public one; where it leads is found when it is called.
    let id = submit(&server, json!({"data": [1, 2], "webhook_url": "https://localhost/"}));
    server.wait_for(&id);
    let ended = place.bucket().join(format!("webhooks/ended/{id}.json"));
    let told = (0..600).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        std::fs::read(&ended).ok()
    });
    let outcome: Value = serde_json::from_slice(&told.expect("it has ended")).expect("JSON");
    assert_eq!((&outcome["delivered"], &outcome["attempts"]), (&json!(false), &json!(1)));
    assert!(outcome["said"].as_str().expect("a sentence").contains("loopback"), "{outcome}");
    let keyless = Server::start(&place.bucket(), &[]);
    let body = json!({"data": [1], "webhook_url": "https://example.org/"}).to_string();
    keyless.post("/process", body).problem(422, "invalid-request");
    let csv = [("content-type", "text/csv")];
    let answer = keyless.request("POST", "/process?webhook_url=https://example.org/", &csv, Some(b"1"));
    assert_eq!(answer.problem(422, "invalid-request")["errors"][0]["pointer"], "?webhook_url");
}
