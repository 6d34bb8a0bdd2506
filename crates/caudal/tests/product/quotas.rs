//! OWASP API4 again: what one owner may have, within one server and together with others on the same bucket.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::access::{call, key};
use crate::support::{Answer, Place, Server};

fn limited(place: &Place, arguments: &[&str], setting: &'static str, limit: &str) -> Server {
    let folder = place.dir.path().to_str().expect("a UTF-8 path");
    let unlimited = ("CAUDAL__LIMITS__REQUESTS_PER_SECOND", PathBuf::from("0"));
    Server::start_with(
        &place.bucket(),
        &[&["--allow", folder], arguments].concat(),
        &[unlimited, (setting, PathBuf::from(limit))],
    )
}

const ELEMENTS: &str = "CAUDAL__LIMITS__ELEMENTS_PER_DAY";

fn numbers(count: usize) -> String {
    let list: Vec<String> = (0..count).map(|i| (i % 1000).to_string()).collect();
    format!("{{\"data\": [{}]}}", list.join(","))
}

fn refused(answer: &Answer) -> Value {
    let problem = answer.problem(429, "too-many-requests");
    assert!(problem.get("job_id").is_none(), "no job came of it");
    problem
}

#[test]
fn an_owner_has_so_many_elements_a_day_and_is_told_when_the_day_ends() {
    let place = Place::new();
    let (alice, bob) = (key(&place, "alice", &[]), key(&place, "bob", &[]));
    let server = limited(&place, &["--authenticate"], ELEMENTS, "10");
    let post = |key: &str, count: usize| call(&server, key, "POST", "/process", Some(&numbers(count)));
    assert_eq!(post(&alice, 6).status, 200);
    let answer = post(&alice, 5);
    let problem = refused(&answer);
    assert!(problem["detail"].as_str().expect("a sentence").starts_with("6 of the 10"), "{problem}");
    let wait: u64 = answer.header("retry-after").parse().expect("seconds");
    assert!((1..=86_400).contains(&wait), "{wait}");
    assert_eq!(post(&alice, 4).status, 200, "what is left can be used");
    refused(&post(&alice, 1));
    assert_eq!(post(&bob, 10).status, 200, "another owner has its own");
    assert_eq!(call(&server, &alice, "GET", "/jobs", None).status, 200, "looking costs nothing");
}

#[test]
fn elements_of_a_file_count_once_they_are_read() {
    let place = Place::new();
    let file = place.file("in.csv", "x\n".to_owned() + &"1\n2\n".repeat(10));
    let server = limited(&place, &[], ELEMENTS, "10");
    let request = format!("{{\"source\": {{\"uri\": \"file:{}\"}}}}", file.display());
    assert_eq!(server.post("/process", &request).status, 200, "nobody knows yet how many there are");
    refused(&server.post("/process", &request));
    refused(&server.post("/process", numbers(1)));
}

/// What instances have told, as it lies in the bucket.
fn told(bucket: &Path, owner: &str) -> u64 {
    let Ok(folder) = std::fs::read_dir(bucket.join("access/usage").join(owner)) else { return 0 };
    let read = |path: PathBuf| serde_json::from_slice::<Value>(&std::fs::read(path).ok()?).ok();
    let usages = folder.filter_map(|entry| read(entry.ok()?.path()));
    usages.filter_map(|usage| usage["elements"].as_u64()).sum()
}

#[test]
fn two_servers_on_one_bucket_count_together() {
    let place = Place::new();
    let (one, other) = (limited(&place, &[], ELEMENTS, "10"), limited(&place, &[], ELEMENTS, "10"));
    assert_eq!(one.post("/process", numbers(6)).status, 200);
    for tries in 0.. {
        if told(&place.bucket(), "local") == 6 {
            break;
        }
        assert!(tries < 400, "the others are not told");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    refused(&other.post("/process", numbers(5)));
    assert_eq!(other.post("/process", numbers(4)).status, 200);
}

#[test]
fn an_owner_has_so_many_jobs_at_a_time() {
    let place = Place::new();
    let server = limited(&place, &[], "CAUDAL__LIMITS__CONCURRENT_JOBS", "1");
    let body = numbers(300_000);
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || server.request("POST", "/process", &headers, Some(body.as_bytes()));
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    let (taken, turned): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 202);
    assert!(!taken.is_empty() && !turned.is_empty(), "{} taken", taken.len());
    for answer in turned {
        refused(answer);
        assert!(!answer.header("retry-after").is_empty());
    }
    let mut spans: Vec<(String, String)> = Vec::new();
    for answer in taken {
        let id = answer.json()["job_id"].as_str().expect("an id").to_owned();
        let status = server.wait_for(&id);
        assert_eq!(status["status"], "completed");
        let time = |name: &str| status[name].as_str().expect("a time").to_owned();
        spans.push((time("created_at"), time("updated_at")));
    }
    spans.sort();
    assert!(spans.windows(2).all(|two| two[0].1 <= two[1].0), "two at a time: {spans:?}");
    // A job is forgotten a moment after its end is told.
    let room = (0..400).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        server.post("/process", numbers(3)).status == 200
    });
    assert!(room, "there is room again");
}
