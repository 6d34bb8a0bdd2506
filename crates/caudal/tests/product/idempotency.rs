//! `Idempotency-Key`: one job for one request, however often and from wherever it comes.

use std::collections::BTreeSet;

use crate::support::{Answer, Place, Server};

const BODY: &str = r#"{"data": [1, 2, 3, 4, 5]}"#;

fn post(server: &Server, key: &str, body: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    server.request("POST", "/process", &headers, Some(body.as_bytes()))
}

fn id(answer: &Answer) -> String {
    assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
    answer.json()["job_id"].as_str().expect("an id").to_owned()
}

fn jobs(server: &Server) -> usize {
    server.get("/jobs?limit=100").json()["jobs"].as_array().expect("jobs").len()
}

#[test]
fn two_hundred_requests_at_once_are_one_job_on_two_servers_too() {
    let place = Place::new();
    let servers = [place.server(), place.server()];
    let answers: Vec<(String, bool)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..200)
            .map(|i| {
                let server = &servers[i % 2];
                scope.spawn(move || {
                    let answer = post(server, "one", BODY);
                    (id(&answer), answer.header("idempotency-replayed") == "true")
                })
            })
            .collect();
        clients.into_iter().map(|c| c.join().expect("a client")).collect()
    });
    assert_eq!(answers.iter().map(|(id, _)| id).collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(answers.iter().filter(|(_, replayed)| !replayed).count(), 1);
    assert_eq!(jobs(&servers[0]), 1);
}

#[test]
fn a_key_goes_with_one_request_and_outlives_the_server() {
    let place = Place::new();
    let server = place.server();
    let first = post(&server, "k", BODY);
    post(&server, "k", r#"{"data": [1, 2, 3, 4, 6]}"#).problem(409, "conflict");
    server.kill();
    let server = place.server();
    let again = post(&server, "k", BODY);
    assert_eq!((id(&again), again.json()), (id(&first), first.json()));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_ne!(id(&post(&server, "another", BODY)), id(&first));
}

#[test]
fn a_refused_request_leaves_its_key_to_the_corrected_one() {
    let place = Place::new();
    let server = place.server();
    post(&server, "k", r#"{"data": [1, "a"]}"#).problem(422, "invalid-request");
    let corrected = post(&server, "k", BODY);
    assert_eq!((corrected.status, corrected.header("idempotency-replayed")), (200, ""));
}

#[test]
fn a_job_that_failed_is_answered_again_and_not_run_again() {
    let place = Place::new();
    let server = place.server();
    let body = r#"{"source": {"uri": "file:/nowhere.csv"}}"#;
    let first = post(&server, "k", body).problem(422, "source-unavailable");
    let again = post(&server, "k", body).problem(422, "source-unavailable");
    assert_eq!(first["job_id"], again["job_id"]);
    assert_eq!(jobs(&server), 1);
}

#[test]
fn a_body_of_data_is_the_same_request_by_its_bytes_and_settings_however_it_is_sent() {
    let place = Place::new();
    let server = place.server();
    let send = |query: &str, coding: &str, body: &[u8]| {
        let headers = [("content-type", "text/csv"), ("idempotency-key", "k"), ("content-encoding", coding)];
        server.request("POST", &format!("/process?{query}"), &headers, Some(body))
    };
    let rows = b"x,y\n1,2\n3,4\n";
    let first = send("normalization=robust&columns=x", "identity", rows);
    let zipped = zstd::encode_all(&rows[..], 1).expect("memory");
    let again = send("columns=x&normalization=robust", "zstd", &zipped);
    assert_eq!(id(&again), id(&first));
    send("normalization=zscore&columns=x", "identity", rows).problem(409, "conflict");
    let uploads = std::fs::read_dir(place.bucket().join("uploads")).expect("a folder");
    let kept = uploads.filter(|entry| entry.as_ref().expect("an entry").path().join("data").exists()).count();
    assert_eq!(kept, 1, "what was repeated is not kept");
}

#[test]
fn a_key_that_is_none_is_refused() {
    let place = Place::new();
    let server = place.server();
    for key in ["", "a b", &"k".repeat(300)] {
        post(&server, key, BODY).problem(400, "malformed-request");
    }
    assert_eq!(jobs(&server), 0);
}
