//! The pages of the error types: all served, and each type met by a test somewhere, so that no page describes what
//! cannot happen.

use std::fs;
use std::path::Path;

use caudal_core::ErrorKind;

use crate::support::{Place, Server, root};

#[test]
fn the_type_of_every_problem_leads_to_its_page() {
    let place = Place::new();
    let server = place.server();
    for kind in ErrorKind::ALL {
        let page = server.get(&format!("/docs/errors/{}", kind.code()));
        assert_eq!(page.status, 200, "{kind:?}");
        assert!(page.text().contains(kind.title()), "{kind:?}");
    }
    let problem = server.get("/nowhere").problem(404, "not-found");
    let page = server.get(problem["type"].as_str().expect("a type"));
    assert!(page.text().starts_with("# There is no such thing here"));
    server.get("/docs/errors/no-such-error").problem(404, "not-found");
}

/// What all tests say.
fn tests(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            all.push_str(&fs::read_to_string(&path).expect("a source"));
        }
    }
}

#[test]
fn every_type_of_error_is_met_by_a_test() {
    let mut all = String::new();
    for room in ["caudal", "gateway", "storage", "orchestration", "processing/spark", "processing/pipelines"]
    {
        let folder = root().join("crates").join(room).join("tests");
        if folder.is_dir() {
            tests(&folder, &mut all);
        }
    }
    let met = |kind: &ErrorKind| {
        // A crash of Spark is told by its exit code.
        let by_exit_code = *kind == ErrorKind::EngineFailed && all.contains("(\"crash\", 70");
        let named =
            all.contains(&format!("\"{}\"", kind.code())) || all.contains(&format!("ErrorKind::{kind:?}"));
        named || by_exit_code
    };
    let missing: Vec<_> = ErrorKind::ALL.into_iter().filter(|kind| !met(kind)).collect();
    assert!(missing.is_empty(), "no test meets {missing:?}");
}

/// A server in which something is as it should not be.
fn with(place: &Place, name: &'static str, value: &str) -> Server {
    Server::start_with(&place.bucket(), &[], &[(name, value.into())])
}

#[test]
fn a_server_that_is_full_says_so_and_when_to_come_back() {
    let place = Place::new();
    let server = with(&place, "CAUDAL__ORCHESTRATION__ADMITTED_JOBS", "1");
    let numbers: Vec<String> = (0..300_000).map(|i| i.to_string()).collect();
    let body = format!("{{\"data\": [{}]}}", numbers.join(","));
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let answers: Vec<_> = std::thread::scope(|scope| {
        let ask = || server.request("POST", "/process", &headers, Some(body.as_bytes()));
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    let full: Vec<_> = answers.iter().filter(|answer| answer.status != 202).collect();
    assert!(!full.is_empty() && full.len() < 16, "{} of 16", full.len());
    for answer in full {
        answer.problem(503, "overloaded");
        assert!(!answer.header("retry-after").is_empty());
    }
}

#[test]
fn a_job_that_has_not_finished_has_no_result_yet() {
    let place = Place::new();
    let server = place.server();
    let numbers: Vec<String> = (0..1_000_000).map(|i| format!("{i}.5")).collect();
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let body = format!("{{\"data\": [{}], \"pipeline_type\": \"both\"}}", numbers.join(","));
    let answer = server.request("POST", "/process", &headers, Some(body.as_bytes()));
    let path = format!("{}/result", answer.header("location"));
    let early = server.get(&path);
    // A quick machine may have finished it.
    if early.status != 200 {
        early.problem(409, "not-finished");
        assert_eq!(early.header("retry-after"), "1");
    }
    server.wait_for(answer.json()["job_id"].as_str().expect("an id"));
    assert_eq!(server.get(&path).status, 200);
}
