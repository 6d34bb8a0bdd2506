//! Following a job: every state in order, and none missed by whoever comes back.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::support::{Answer, Place, Server};

/// Name, id and data of each event of an answer.
fn events(text: &str) -> Vec<(String, String, Value)> {
    let field = |block: &str, name: &str| {
        let found = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_default().to_owned()
    };
    let blocks = text.split("\n\n").filter(|block| block.contains("data:"));
    let read = |block: &str| {
        let data = serde_json::from_str(&field(block, "data")).expect("JSON");
        (field(block, "event"), field(block, "id"), data)
    };
    blocks.map(read).collect()
}

fn states(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/event-stream"),
        "{}",
        answer.text()
    );
    let events = events(&answer.text()).into_iter().filter(|(name, ..)| name == "state");
    events.map(|(_, id, data)| (id, data["state"].as_str().expect("a state").to_owned())).collect()
}

fn begin(server: &Server, body: &str) -> String {
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let answer = server.request("POST", "/process", &headers, Some(body.as_bytes()));
    answer.json()["job_id"].as_str().expect("an id").to_owned()
}

const STATES: [&str; 6] =
    ["queued", "validating", "normalizing", "spark_processing", "analyzing", "completed"];

#[test]
fn every_state_is_told_in_order_and_the_stream_ends_with_the_job() {
    let place = Place::new();
    let server = place.server();
    let numbers = vec!["1.5"; 500_000].join(",");
    let id = begin(&server, &format!("{{\"data\": [{numbers}]}}"));
    let answer = server.get(&format!("/jobs/{id}/events"));
    let told = states(&answer);
    assert_eq!(told.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(), STATES);
    assert_eq!(told.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["1", "2", "3", "4", "5", "6"]);
    for (_, _, data) in events(&answer.text()).iter().filter(|(name, ..)| name == "progress") {
        let fraction = data["fraction"].as_f64().expect("a share");
        assert!((0.0..=1.0).contains(&fraction) && data["step"].is_string(), "{data}");
    }
}

#[test]
fn whoever_comes_back_gets_what_was_missed_and_nothing_twice() {
    let place = Place::new();
    let server = place.server();
    let id = begin(&server, r#"{"data": [1, 2, 3]}"#);
    assert_eq!(server.wait_for(&id)["status"], "completed");
    let path = format!("/jobs/{id}/events");
    let from = |last: &str| server.request("GET", &path, &[("last-event-id", last)], None);
    assert_eq!(
        states(&from("4")),
        [("5".to_owned(), "analyzing".to_owned()), ("6".into(), "completed".into())]
    );
    assert_eq!(from("6").status, 204);
    from("x").problem(400, "malformed-request");
    server.get("/jobs/01990000-0000-7000-8000-000000000000/events").problem(404, "not-found");
}

#[test]
fn a_job_that_fails_says_why_in_its_last_event() {
    let place = Place::new();
    let server = place.server();
    let id = begin(&server, r#"{"source": {"uri": "file:/nowhere.csv"}}"#);
    let answer = server.get(&format!("/jobs/{id}/events"));
    let (_, _, last) = events(&answer.text()).pop().expect("an event");
    assert_eq!((&last["state"], &last["error"]["status"]), (&"failed".into(), &422.into()), "{last}");
}

#[test]
fn a_job_is_followed_on_a_server_that_does_not_carry_it() {
    let place = Place::new();
    let (carrier, other) = (place.server(), place.server());
    let numbers = vec!["1.5"; 300_000].join(",");
    let id = begin(&carrier, &format!("{{\"data\": [{numbers}]}}"));
    let told = states(&other.get(&format!("/jobs/{id}/events")));
    assert_eq!(told.iter().map(|(_, state)| state.as_str()).collect::<Vec<_>>(), STATES);
}

#[test]
fn a_server_that_stops_ends_the_streams_and_does_not_wait_for_them() {
    let place = Place::new();
    let pipe = place.dir.path().join("slow.csv");
    std::fs::write(&pipe, format!("x\n{}", "1\n".repeat(3_000_000))).expect("an input");
    let server = place.server();
    let id = begin(&server, &format!("{{\"source\": {{\"uri\": \"file:{}\"}}}}", pipe.display()));
    let mut stream =
        std::net::TcpStream::connect(server.url.trim_start_matches("http://")).expect("a connection");
    let request = format!("GET /jobs/{id}/events HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("the server takes it");
    let mut lines = BufReader::new(stream).lines();
    assert!(lines.next().expect("a line").expect("text").contains("200"));
    let stopped =
        std::process::Command::new("kill").arg(server.pid().to_string()).status().expect("kill runs");
    assert!(stopped.success());
    // Half a minute would be what open requests are given; the test's own patience is not what is measured.
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert!(rest.iter().any(|line| line.starts_with("event: state")), "{rest:?}");
    assert!(server.wait().success());
}
