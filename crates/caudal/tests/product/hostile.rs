//! OWASP API7, API8, API10 and what they stand for: forged requests to elsewhere, requests within requests, bodies that
//! are made to break what reads them, secrets that leak.

use std::net::TcpListener;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::access::{call, key};
use crate::raw::{Certificate, Kept, exchange};
use crate::support::{Place, Server};

const HEAD: &str = "POST /process HTTP/1.1\r\nhost: localhost\r\n";

#[test]
fn a_request_that_hides_in_another_is_never_answered() {
    let place = Place::new();
    let server = place.server();
    let hidden = "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let chunk = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for headers in [
        format!(
            "content-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
            5 + hidden.len()
        ),
        format!("transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n{chunk}"),
        format!("content-length: 0\r\ncontent-length: {}\r\n\r\n{hidden}", hidden.len()),
        format!("content-length: 2\r\ncontent-length: 2\r\n\r\n{{}}{hidden}"),
        format!("content-length: 2, 2\r\n\r\n{{}}{hidden}"),
        format!("content-length: +2\r\n\r\n{{}}{hidden}"),
        format!("content-length: 0x2\r\n\r\n{{}}{hidden}"),
        format!("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding : chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n{hidden}"),
        format!("x: 1\r\n content-length: 5\r\n\r\n0\r\n\r\n{hidden}"),
        format!("transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n{hidden}"),
    ] {
        let told = exchange(&server, format!("{HEAD}{headers}"));
        assert_eq!(told.status, 400, "{headers:?}: {}", told.head);
        let text = String::from_utf8_lossy(&told.body);
        assert!(!text.contains("HTTP/1.1") && !text.contains("\"live\""), "{headers:?}: {text}");
        assert!(told.ended, "{headers:?}");
    }
    let two = format!("{hidden}GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let told = exchange(&server, two);
    let text = format!("{}{}", told.head, String::from_utf8_lossy(&told.body));
    assert_eq!(text.matches("\"live\"").count(), 2, "two honest requests at once are two answers: {text}");
}

#[test]
fn headers_that_no_client_sends_do_no_harm() {
    let place = Place::new();
    let server = place.server();
    for request in [
        "GET /jobs HTTP/1.1\r\nhost: localhost\r\nx: a\0b\r\n\r\n",
        "GET /jobs HTTP/1.1\r\nhost localhost\r\n\r\n",
        "GET /jo\x01bs HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /jobs HTTP/9.9\r\nhost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{0}\u{1}\u{2}\u{3}\r\n\r\n",
    ] {
        let told = exchange(&server, request);
        assert!(told.ended && (told.status == 400 || told.status == 0), "{request:?}: {}", told.head);
    }
    assert_eq!(server.get("/health/live").status, 200);
}

#[test]
fn a_source_leads_nowhere_but_below_the_allowed_folders() {
    let place = Place::new();
    let secret = place.dir.path().parent().expect("a folder").join(format!("secret-{}", std::process::id()));
    std::fs::write(&secret, "top\n424242\n").expect("written");
    let allowed = place.dir.path().join("allowed");
    std::fs::create_dir_all(allowed.join("folder")).expect("a folder");
    symlink(&secret, allowed.join("link.csv")).expect("a link");
    symlink(&secret, allowed.join("folder/link.csv")).expect("a link");
    symlink("/etc", allowed.join("etc")).expect("a link");
    let server = Server::start(&place.bucket(), &["--allow", allowed.to_str().expect("UTF-8")]);
    let below = allowed.display();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let uris = [
        format!("file:{}", secret.display()),
        format!("file://{}", secret.display()),
        format!("file:{below}/../../{}", secret.file_name().expect("a name").to_string_lossy()),
        format!("file:{below}/%2e%2e/%2E%2E/{}", secret.file_name().expect("a name").to_string_lossy()),
        format!("file:{below}/link.csv"),
        format!("file:{below}/folder"),
        format!("file:{below}/etc/passwd"),
        format!("file:{below}/\0/x"),
        "file:/etc/passwd".into(),
        "file:/proc/self/environ".into(),
        "file:///dev/zero".into(),
        "file://169.254.169.254/latest/meta-data".into(),
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/".into(),
        "http://[fd00:ec2::254]/latest/meta-data".into(),
        "http://metadata.google.internal/computeMetadata/v1/".into(),
        format!("http://127.0.0.1:{port}/x.csv"),
        format!("https://127.0.0.1:{port}/x.csv"),
        format!("s3://127.0.0.1:{port}/x.csv"),
        "s3://somebody-elses-bucket/x.csv".into(),
        "gopher://127.0.0.1:70/x".into(),
        "upload:../../jobs".into(),
        "upload:01990000-0000-7000-8000-000000000000".into(),
        "\\\\server\\share\\x.csv".into(),
        secret.display().to_string(),
    ];
    for uri in uris {
        let answer = server.post("/process", json!({"source": {"uri": uri}}).to_string());
        assert!((400..500).contains(&answer.status), "{uri}: {} {}", answer.status, answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{uri}");
        assert!(
            !answer.text().contains("424242") && !answer.text().contains("root:"),
            "{uri}: {}",
            answer.text()
        );
    }
    assert!(listener.accept().is_err(), "nobody has called");
    let answer =
        server.post("/process", json!({"source": {"uri": format!("file:{below}/link.csv")}}).to_string());
    answer.problem(422, "source-unavailable");
    std::fs::remove_file(secret).expect("removed");
}

#[test]
fn whether_a_file_is_there_outside_of_the_allowed_folders_cannot_be_told() {
    let place = Place::new();
    let server = place.server();
    let told = |path: &str| {
        let answer = server.post("/process", json!({"source": {"uri": format!("file:{path}")}}).to_string());
        answer.problem(422, "source-unavailable")["detail"]
            .as_str()
            .expect("a sentence")
            .replace(path, "PATH")
    };
    assert_eq!(told("/etc/passwd"), told("/etc/there-is-no-such-file"));
}

#[test]
fn depth_and_length_of_json_are_bounded() {
    let place = Place::new();
    let server = place.server();
    for body in [
        "[".repeat(1_000_000),
        format!("{{\"data\": {}1{}}}", "[".repeat(200_000), "]".repeat(200_000)),
        "{\"a\":".repeat(300_000),
        format!("{{\"data\": [1], \"where\": {}}}", "[".repeat(100_000)),
        format!("{{\"data\": [1{}]}}", "0".repeat(1_000_000)),
        format!("{{\"data\": [1e{}]}}", "9".repeat(100_000)),
        format!("{{\"{}\": 1}}", "k".repeat(10_000_000)),
    ] {
        let answer = server.post("/process", &body);
        assert!(
            (200..500).contains(&answer.status),
            "{:.40}: {} {:.200}",
            body,
            answer.status,
            answer.text()
        );
        if answer.status != 200 {
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert!(answer.body.len() < 100_000, "{:.40}: an answer of {} bytes", body, answer.body.len());
        }
    }
    assert_eq!(server.get("/health/live").status, 200);
}

/// A small generator whose numbers are the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }
}

/// A body that is no request, made of one that is.
fn malformed(random: &mut Random) -> Vec<u8> {
    let whole =
        br#"{"data": {"height": [1.72, 1.8, null], "weight": [68, 81.5, 77]}, "normalization": "robust"}"#;
    let mut body = whole.to_vec();
    match random.below(8) {
        // Cut off: no beginning of an object is an object.
        0 => body.truncate(random.below(whole.len())),
        // A character that stands nowhere in JSON.
        1 => body.insert(random.below(whole.len()), random.below(9) as u8),
        // Something behind the end.
        2 => body.extend_from_slice(&[b',', b'}', b'x', 0xFF][random.below(4)..][..1]),
        // What is no UTF-8.
        3 => body[2] = 0x80 | random.next() as u8,
        4 => return json!({"data": {"a": random.next(), "b": "x"}}).to_string().into_bytes(),
        5 => return json!({"data": [1, [random.next()]], "engine": random.next()}).to_string().into_bytes(),
        6 => return json!({format!("f{}", random.next()): 1, "data": [1]}).to_string().into_bytes(),
        _ => return (0..random.below(200)).map(|_| random.next() as u8 & 0x7F | 1).chain([b'?']).collect(),
    }
    body
}

#[test]
fn ten_thousand_malformed_bodies_are_ten_thousand_problems() {
    let place = Place::new();
    let server = place.server();
    let mut connection = Kept::to(&server);
    let mut random = Random(5);
    for i in 0..10_000 {
        let body = malformed(&mut random);
        let answer = connection.post("/process", "application/json", &body);
        let shown = String::from_utf8_lossy(&body);
        assert!((400..500).contains(&answer.status), "{i}: {} for {shown:?}", answer.status);
        assert!(answer.head.contains("application/problem+json"), "{i}: {} for {shown:?}", answer.head);
        let problem: Value =
            serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{i}: {e} for {shown:?}"));
        assert_eq!(problem["status"], answer.status, "{i}");
    }
    assert_eq!(server.get("/jobs").json()["jobs"], json!([]), "no job came of any of them");
}

#[test]
fn names_that_a_spreadsheet_would_run_are_made_harmless_in_csv() {
    let place = Place::new();
    let server = place.server();
    let names = ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "a=1", "plain"];
    let columns: serde_json::Map<String, Value> =
        names.iter().map(|n| ((*n).to_owned(), json!([1, 2]))).collect();
    let answer = server.post("/process", json!({"data": columns}).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.json()["job_id"].as_str().expect("an id").to_owned();
    let csv = server.request("GET", &format!("/jobs/{id}/data"), &[("accept", "text/csv")], None).body;
    let mut fields = Vec::new();
    let (mut field, mut quoted) = (String::new(), false);
    for c in String::from_utf8(csv).expect("text").chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            '\n' if !quoted => break,
            c => field.push(c),
        }
    }
    fields.push(field);
    let expected: Vec<String> = names
        .iter()
        .map(|n| if n.starts_with(['a', 'p']) { (*n).to_owned() } else { format!("'{n}") })
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn secrets_are_in_no_log_and_no_answer() {
    let place = Place::new();
    let certificate = Certificate::new(&place, "server");
    let alice = key(&place, "alice", &[]);
    let secret = alice.rsplit('_').next().expect("a secret").to_owned();
    let wrong = alice.replace(&secret, &"f".repeat(64));
    let aws = "wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY";
    let variables = [
        ("CAUDAL_LOG", "trace".into()),
        ("AWS_SECRET_ACCESS_KEY", aws.into()),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".into()),
        ("AWS_REGION", "us-east-1".into()),
    ];
    let server =
        Server::start_with(&place.bucket(), &["--authenticate", "--allow", "s3://somewhere"], &variables);
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0";
    let mut answers = Vec::new();
    for credential in [alice.as_str(), wrong.as_str(), token] {
        answers.push(call(&server, credential, "POST", "/process", Some(r#"{"data": [1, "x"]}"#)));
        answers.push(call(&server, credential, "POST", "/process", Some(r#"{"data": [1, 2]}"#)));
        answers.push(call(&server, credential, "GET", "/nowhere", None));
    }
    let key_text = std::fs::read_to_string(&certificate.key).expect("a key");
    let secrets = [secret.as_str(), &"f".repeat(64), aws, "c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0", &key_text];
    let mut log = server.log();
    for tries in 0.. {
        if log.contains("a key that is not known was shown") {
            break;
        }
        assert!(tries < 400, "there is a log: {log}");
        std::thread::sleep(std::time::Duration::from_millis(50));
        log = server.log();
    }
    for hidden in secrets {
        assert!(!log.contains(hidden), "{hidden} is in the log");
        for answer in &answers {
            assert!(!answer.text().contains(hidden), "{hidden} is in an answer: {}", answer.text());
            assert!(!format!("{:?}", answer.headers).contains(hidden));
        }
    }
    for answer in answers.iter().filter(|answer| answer.status >= 400) {
        let text = answer.text();
        for inner in ["/rustc/", ".rs:", "panicked", "Os {", "object_store"] {
            assert!(!text.contains(inner), "an answer tells of the inside: {text}");
        }
    }
}
