//! OWASP API4: unrestricted resource consumption. Requests a second, slow clients, connections, headers.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use crate::access::{call, key};
use crate::raw::{Raw, connect, exchange};
use crate::support::{Answer, Place, Server};

/// A server with other settings than the default ones.
fn server(place: &Place, arguments: &[&str], settings: &[(&'static str, &str)]) -> Server {
    let variables: Vec<_> = settings.iter().map(|(name, value)| (*name, PathBuf::from(value))).collect();
    Server::start_with(&place.bucket(), arguments, &variables)
}

/// One that cuts slow clients off soon.
fn impatient(place: &Place) -> Server {
    server(place, &[], &[("CAUDAL__SERVER__HEADER_SECONDS", "0.4"), ("CAUDAL__SERVER__IDLE_SECONDS", "0.4")])
}

const RATE: [(&str, &str); 2] =
    [("CAUDAL__LIMITS__REQUESTS_PER_SECOND", "2"), ("CAUDAL__LIMITS__BURST", "5")];

fn number(answer: &Answer, name: &str) -> u64 {
    answer.header(name).parse().unwrap_or_else(|e| panic!("{name}: {e}: {:?}", answer.headers))
}

#[test]
fn a_key_may_ask_so_often_and_is_told_when_it_may_again() {
    let place = Place::new();
    let (alice, bob) = (key(&place, "alice", &[]), key(&place, "bob", &[]));
    let server = server(&place, &["--authenticate"], &RATE);
    let first = call(&server, &alice, "GET", "/jobs", None);
    assert_eq!(
        (first.status, number(&first, "ratelimit-limit"), number(&first, "ratelimit-remaining")),
        (200, 5, 4)
    );
    let mut refused = None;
    for _ in 0..40 {
        let answer = call(&server, &alice, "GET", "/jobs", None);
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("there is a limit");
    refused.problem(429, "too-many-requests");
    assert_eq!(number(&refused, "ratelimit-remaining"), 0);
    assert!(number(&refused, "ratelimit-reset") >= 1);
    assert_eq!(call(&server, &bob, "GET", "/jobs", None).status, 200, "another key has its own");
    for _ in 0..30 {
        assert_eq!(server.get("/health/live").status, 200, "whoever watches is not turned away");
    }
    std::thread::sleep(Duration::from_secs(number(&refused, "retry-after")));
    assert_eq!(call(&server, &alice, "GET", "/jobs", None).status, 200, "it holds what it says");
}

#[test]
fn on_this_machine_requests_without_a_key_are_not_counted() {
    let place = Place::new();
    let server = server(&place, &[], &RATE);
    for _ in 0..30 {
        let answer = server.get("/jobs");
        assert_eq!((answer.status, answer.header("ratelimit-limit")), (200, ""));
    }
}

/// An address of this machine that others reach, where it has one.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn an_address_that_tries_keys_is_not_even_asked_for_them_any_more() {
    let Some(address) = own_address() else {
        println!("skipped: this machine has no address but its own");
        return;
    };
    let place = Place::new();
    let alice = key(&place, "alice", &[]);
    let arguments = ["--listen", "0.0.0.0:0", "--insecure", "--authenticate"];
    let server = server(&place, &arguments, &RATE);
    let from_here = server.url.replace("0.0.0.0", "127.0.0.1");
    let url = server.url.replace("0.0.0.0", &address.to_string());
    let server = server.named(url);
    let wrong = format!("caudal_{}_{}", "0".repeat(16), "0".repeat(64));
    let told: Vec<u16> = (0..20).map(|_| call(&server, &wrong, "GET", "/jobs", None).status).collect();
    assert_eq!(told[..5], [401; 5]);
    assert!(told[5..].contains(&429), "{told:?}");
    let spoofed = [
        ("authorization", "Bearer x"),
        ("x-forwarded-for", "198.51.100.7"),
        ("forwarded", "for=198.51.100.8"),
    ];
    let mut answers = (0..5).map(|_| server.request("GET", "/jobs", &spoofed, None).status);
    assert!(answers.any(|status| status == 429), "what a request says of its address is not believed");
    let server = server.named(from_here);
    assert_eq!(call(&server, &alice, "GET", "/jobs", None).status, 200, "others are not touched");
}

#[test]
fn headers_that_do_not_arrive_are_answered_once_and_the_connection_ends() {
    let place = Place::new();
    let server = impatient(&place);
    let told = exchange(&server, "GET /jobs HTTP/1.1\r\nhost: local");
    told.problem(408, "request-timeout");
    assert!(told.head.contains("connection: close") && told.ended, "nothing lingers: {}", told.head);
    let silent = exchange(&server, "");
    assert_eq!((silent.status, silent.ended), (0, true), "a connection that only waits ends without a word");
    let mut drip = connect(&server);
    let sent = b"GET /health/live HTTP/1.1\r\nx-long: ".iter().chain([b'a'; 400].iter());
    for byte in sent {
        if drip.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Raw::read(drip).problem(408, "request-timeout");
}

#[test]
fn a_body_that_stops_or_drips_is_answered_once_and_the_connection_ends() {
    let place = Place::new();
    let server = impatient(&place);
    let head = "POST /process HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    for rest in
        ["content-length: 1000\r\n\r\n{\"data\": [1,", "transfer-encoding: chunked\r\n\r\n5\r\n{\"dat\r\n"]
    {
        let told = exchange(&server, format!("{head}{rest}"));
        told.problem(408, "request-timeout");
        assert!(told.head.contains("connection: close") && told.ended, "nothing lingers: {}", told.head);
    }
    let mut drip = connect(&server);
    drip.write_all(format!("{head}content-length: 100000\r\n\r\n").as_bytes()).expect("sent");
    for _ in 0..200 {
        if drip.write_all(b" ").is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let told = Raw::read(drip);
    assert!(told.ended && (told.status == 408 || told.status == 0), "{}", told.head);
    assert_eq!(server.get("/jobs").json()["jobs"].as_array().map(Vec::len), Some(0), "no job came of it");
}

#[test]
fn an_answer_that_nobody_takes_is_given_up() {
    let place = Place::new();
    let server = impatient(&place);
    let numbers: Vec<String> = (0..1_000_000).map(|i| format!("{i}.25")).collect();
    let job = server.post("/process", format!("{{\"data\": [{}]}}", numbers.join(",")));
    let id = job.json()["job_id"].as_str().expect("an id").to_owned();
    let whole = server.get(&format!("/jobs/{id}/data")).body.len();
    let mut lazy = connect(&server);
    let request = format!("GET /jobs/{id}/data HTTP/1.1\r\nhost: localhost\r\n\r\n");
    lazy.write_all(request.as_bytes()).expect("sent");
    std::thread::sleep(Duration::from_secs(3));
    let taken = Raw::read(lazy);
    assert!(taken.ended && taken.body.len() < whole, "{} of {whole} bytes", taken.body.len());
}

#[test]
fn slow_clients_keep_no_place_from_others() {
    let place = Place::new();
    let server = server(
        &place,
        &[],
        &[("CAUDAL__SERVER__HEADER_SECONDS", "1"), ("CAUDAL__SERVER__MAX_CONNECTIONS", "20")],
    );
    let slow: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"GET /jobs HTTP/1.1\r\n").expect("sent");
            stream
        })
        .collect();
    assert_eq!(server.get("/health/live").status, 200, "it waits for its turn, and gets it");
    for mut stream in slow {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    }
}

#[test]
fn headers_have_a_largest_size_and_number() {
    let place = Place::new();
    let server = place.server();
    let many: String = (0..150).map(|i| format!("x-{i}: 1\r\n")).collect();
    for head in [
        format!("GET /jobs HTTP/1.1\r\nhost: localhost\r\nx-long: {}\r\n\r\n", "a".repeat(20_000)),
        format!("GET /jobs HTTP/1.1\r\nhost: localhost\r\n{many}\r\n"),
        format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(500_000)),
        format!("GET /jobs HTTP/1.1\r\nx-long: {}", "a".repeat(5_000_000)),
    ] {
        let told = exchange(&server, head);
        // A server that has seen enough may end the connection before its answer is read.
        match told.status {
            0 => assert!(told.ended),
            _ => drop(told.problem(431, "headers-too-large")),
        }
    }
    let fits = format!(
        "GET /jobs HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-long: {}\r\n\r\n",
        "a".repeat(16_000)
    );
    assert_eq!(exchange(&server, fits).status, 200);
}
