//! OWASP API8: which pages of a browser may use the API, and which may not even try.

use serde_json::json;

use crate::access::{call, guarded, key};
use crate::support::{Answer, Place, Server};

fn allowing(place: &Place, settings: &str, arguments: &[&str]) -> Server {
    let file = place.file("cors.toml", format!("[cors]\n{settings}\n"));
    let config = ["--config", file.to_str().expect("a UTF-8 path")];
    Server::start(&place.bucket(), &[&config, arguments].concat())
}

fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, content-type"),
    ];
    server.request("OPTIONS", path, &headers, None)
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.header(&format!("access-control-{name}"))
}

#[test]
fn a_page_that_is_named_may_use_the_api_and_asks_first_without_a_key() {
    let place = Place::new();
    let alice = key(&place, "alice", &[]);
    let server = allowing(&place, "allowed_origins = [\"https://console.example\"]", &["--authenticate"]);
    for path in ["/process", "/jobs", "/anything"] {
        let answer = preflight(&server, path, "https://console.example");
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_eq!(header(&answer, "allow-origin"), "https://console.example");
        assert!(header(&answer, "allow-methods").contains("DELETE"));
        assert!(header(&answer, "allow-headers").contains("authorization"));
        assert_eq!(header(&answer, "allow-credentials"), "");
        assert_eq!(answer.header("vary"), "origin");
    }
    let bearer = format!("Bearer {alice}");
    let headers = [("origin", "https://console.example"), ("authorization", bearer.as_str())];
    let answer = server.request("GET", "/jobs", &headers, None);
    assert_eq!((answer.status, header(&answer, "allow-origin")), (200, "https://console.example"));
    assert!(header(&answer, "expose-headers").contains("location"));
    let told = server.request("GET", "/jobs", &[("origin", "https://console.example")], None);
    told.problem(401, "unauthenticated");
    assert_eq!(header(&told, "allow-origin"), "https://console.example", "the page may read why");
}

#[test]
fn a_page_that_is_not_named_is_told_nothing() {
    let place = Place::new();
    let server = allowing(&place, "allowed_origins = [\"https://console.example\"]", &[]);
    for origin in
        ["https://evil.example", "http://console.example", "https://console.example.evil.example", "null"]
    {
        preflight(&server, "/process", origin).problem(403, "forbidden");
        let answer = server.request("GET", "/jobs", &[("origin", origin)], None);
        assert_eq!(header(&answer, "allow-origin"), "", "{origin}");
    }
}

#[test]
fn all_pages_may_be_allowed_but_never_with_cookies() {
    let place = Place::new();
    let server = allowing(&place, "allowed_origins = [\"*\"]", &[]);
    let answer = preflight(&server, "/process", "https://any.example");
    assert_eq!((answer.status, header(&answer, "allow-origin")), (204, "*"));
    assert_eq!(header(&answer, "allow-credentials"), "");
    let named = allowing(&place, "allowed_origins = [\"https://a.example\"]\nallow_credentials = true", &[]);
    assert_eq!(header(&preflight(&named, "/process", "https://a.example"), "allow-credentials"), "true");
}

#[test]
fn where_nobody_signs_in_a_foreign_page_cannot_start_jobs() {
    let place = Place::new();
    let server = place.server();
    let body = br#"{"data": [1, 2]}"#;
    for headers in [
        &[("origin", "https://evil.example"), ("content-type", "text/plain")][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null"), ("content-type", "application/json")],
    ] {
        server.request("POST", "/process", headers, Some(body)).problem(403, "forbidden");
    }
    let own = server.url.clone();
    let answer = server.request("POST", "/process", &[("origin", own.as_str())], Some(body));
    assert_eq!(answer.status, 200, "a page of the server itself may: {}", answer.text());
    assert_eq!(server.get("/jobs").json()["jobs"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_server_for_this_machine_answers_to_no_name_that_somebody_could_give_out() {
    let place = Place::new();
    let server = place.server();
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1"] {
        server.request("GET", "/jobs", &[("host", host)], None).problem(403, "forbidden");
        let answer = server.request("POST", "/process", &[("host", host)], Some(b"{\"data\": [1]}"));
        answer.problem(403, "forbidden");
    }
    for host in ["localhost", "localhost:1", "[::1]:8080", "127.0.0.1"] {
        assert_eq!(server.request("GET", "/jobs", &[("host", host)], None).status, 200, "{host}");
    }
    let alice = key(&place, "alice", &[]);
    let guarded = guarded(&place);
    let bearer = format!("Bearer {alice}");
    let headers = [("host", "api.example"), ("authorization", bearer.as_str())];
    assert_eq!(
        guarded.request("GET", "/jobs", &headers, None).status,
        200,
        "where everybody signs in any name will do"
    );
    assert_eq!(call(&guarded, &alice, "GET", "/jobs", None).json()["jobs"], json!([]));
}
