//! OWASP API8: security misconfiguration. TLS, its certificates, and servers that refuse to be open by mistake.

use std::io::Write;
use std::process::Command;

use rustls::version::{TLS12, TLS13};

use crate::access::key;
use crate::raw::{Certificate, Raw, connect};
use crate::support::{Place, Server, binary};

fn refused(place: &Place, arguments: &[&str], said: &str) {
    let run = binary().arg("serve").args(arguments).arg("--storage").arg(place.bucket()).output();
    let run = run.expect("the binary runs");
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(said), "expected {said:?} in {stderr}");
}

#[test]
fn a_server_that_others_reach_starts_with_tls_and_keys_or_not_at_all() {
    let place = Place::new();
    let certificate = Certificate::new(&place, "server");
    refused(&place, &["--listen", "0.0.0.0:0"], "there is no TLS");
    let [cert, cert_path, key_flag, key_path] = certificate.arguments();
    let with_tls = ["--listen", "0.0.0.0:0", cert, cert_path, key_flag, key_path];
    refused(&place, &with_tls, "there is none: nobody could use this server");
    let alice = key(&place, "alice", &[]);
    let server = Server::start(&place.bucket(), &with_tls);
    let url = server.url.replace("0.0.0.0", "127.0.0.1");
    let server = server.named(url);
    assert!(server.url.starts_with("https://"));
    let told = certificate.get(&server, "/jobs", "").expect("TLS");
    told.problem(401, "unauthenticated");
    let told = certificate.get(&server, "/jobs", &format!("x-api-key: {alice}\r\n")).expect("TLS");
    assert_eq!(told.status, 200, "{}", told.head);
}

#[test]
fn who_asks_by_name_gets_an_open_server() {
    let place = Place::new();
    let server = Server::start(&place.bucket(), &["--listen", "0.0.0.0:0", "--insecure"]);
    let url = server.url.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(server.named(url).get("/jobs").status, 200);
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_without_tls_is_answered() {
    let place = Place::new();
    let certificate = Certificate::new(&place, "server");
    let server = Server::start(&place.bucket(), &certificate.arguments());
    for version in [&TLS12, &TLS13] {
        let mut stream = certificate.connect(&server, &[version]).expect("TLS");
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        stream
            .write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .expect("sent");
        assert_eq!(Raw::read(stream).status, 200);
    }
    let mut plain = connect(&server);
    plain.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("sent");
    assert_eq!(Raw::read(plain).status, 0, "what comes without TLS gets no answer of HTTP");
    // A client's hello that goes no further than TLS 1.1.
    let mut old = connect(&server);
    let hello = [&[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0]].concat();
    old.write_all(&hello).expect("sent");
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut old, &mut answer).expect("an answer");
    assert_eq!((answer[0], answer[5]), (21, 2), "a fatal alert and nothing else: {answer:?}");
    let stranger = Certificate::new(&place, "stranger");
    assert!(stranger.get(&server, "/health/live", "").is_err(), "it shows the certificate that it was given");
}

#[test]
fn a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let place = Place::new();
    let first = Certificate::new(&place, "server");
    let server = Server::start(&place.bucket(), &first.arguments());
    let kept = first.connect(&server, rustls::ALL_VERSIONS).expect("TLS");
    std::fs::write(&first.certificate, "no certificate").expect("written");
    hang_up(&server);
    assert_eq!(first.get(&server, "/health/live", "").expect("the former one").status, 200);
    let second = Certificate::new(&place, "server");
    hang_up(&server);
    let mut tries = 0;
    while second.get(&server, "/health/live", "").is_err() {
        tries += 1;
        assert!(tries < 300, "the new certificate is not used");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(first.get(&server, "/health/live", "").is_err(), "new connections get the new one");
    let mut kept = kept;
    kept.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .expect("sent");
    assert_eq!(Raw::read(kept).status, 200, "connections that were open go on");
}

fn hang_up(server: &Server) {
    let sent = Command::new("kill").args(["-HUP", &server.pid().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

#[test]
fn certificates_that_cannot_be_used_are_told_before_anything_is_listened_on() {
    let place = Place::new();
    let (one, other) = (Certificate::new(&place, "one"), Certificate::new(&place, "other"));
    let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let (cert, key, others) = (path(&one.certificate), path(&one.key), path(&other.key));
    let missing = path(&place.dir.path().join("missing.pem"));
    let listen = ["--listen", "127.0.0.1:0"];
    let with = |cert: &str, key: &str, said: &str| {
        refused(&place, &[listen[0], listen[1], "--tls-cert", cert, "--tls-key", key], said);
    };
    with(&cert, &others, "do not belong together");
    with(&missing, &key, "cannot be read");
    with(&key, &key, "TLS cannot be used");
    with(&cert, &cert, "the key is no PEM");
    refused(&place, &[listen[0], listen[1], "--tls-cert", &cert], "--tls-key");
}
