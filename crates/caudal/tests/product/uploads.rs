//! Large bodies in parts: sent, resumed, checked, and read by jobs of their owner.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Answer, Place, Server};

const ROWS: &str = "x,y\n1,10\n2,20\n3,30\n4,40\n";

fn begin(server: &Server, wanted: Value) -> Value {
    let answer = server.post("/uploads", wanted.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text());
    let upload = answer.json();
    assert_eq!(
        answer.header("location"),
        format!("/uploads/{}", upload["upload_id"].as_str().expect("an id"))
    );
    upload
}

fn path(upload: &Value) -> String {
    format!("/uploads/{}", upload["upload_id"].as_str().expect("an id"))
}

/// Sends a part to the place that the server gave for it.
fn put(server: &Server, part: &Value, content: &[u8]) -> Answer {
    let (method, url) = (part["method"].as_str().expect("a method"), part["url"].as_str().expect("a path"));
    server.request(method, url, &[("content-type", "application/octet-stream")], Some(content))
}

fn complete(server: &Server, upload: &Value) -> Answer {
    server.request("POST", &format!("{}/complete", path(upload)), &[], Some(b""))
}

fn process(server: &Server, upload: &Value) -> Answer {
    server.post("/process", json!({"source": {"uri": upload["uri"]}}).to_string())
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn parts_in_any_order_become_a_source_once_they_are_complete() {
    let place = Place::new();
    let server = place.server();
    let upload =
        begin(&server, json!({"size": ROWS.len(), "parts": 3, "sha256": sha256(ROWS), "format": "csv"}));
    let parts = upload["parts"].as_array().expect("parts");
    assert_eq!(parts.len(), 3);
    process(&server, &upload).problem(422, "source-unavailable");
    let mut begins = 0;
    let ranges: Vec<_> = parts
        .iter()
        .map(|part| {
            let size = part["size"].as_u64().expect("a size") as usize;
            begins += size;
            begins - size..begins
        })
        .collect();
    assert_eq!(begins, ROWS.len());
    for i in [2, 0] {
        let answer = put(&server, &parts[i], &ROWS.as_bytes()[ranges[i].clone()]);
        assert_eq!(answer.json()["sha256"], sha256(&ROWS[ranges[i].clone()]));
    }
    let problem = complete(&server, &upload).problem(409, "conflict");
    assert_eq!(problem["errors"][0]["pointer"], "/parts/2");
    let found = server.get(&path(&upload)).json();
    let received: Vec<_> =
        found["parts"].as_array().expect("parts").iter().map(|p| p["received"].clone()).collect();
    assert_eq!(received, [json!(true), json!(false), json!(true)]);
    put(&server, &parts[1], &ROWS.as_bytes()[ranges[1].clone()]);
    assert!(complete(&server, &upload).json()["completed_at"].is_string());
    assert_eq!(complete(&server, &upload).status, 200, "doing it again changes nothing");
    let answer = process(&server, &upload);
    assert_eq!(answer.json()["gpu_processing"]["columns"]["y"]["mean"], 25.0, "{}", answer.text());
    put(&server, &parts[1], &ROWS.as_bytes()[ranges[1].clone()]).problem(409, "conflict");
}

#[test]
fn a_large_upload_goes_through_in_pieces_and_outlives_a_crash_in_between() {
    let place = Place::new();
    let server = place.server();
    let rows: String = (0..3_000_000).map(|i| format!("{}\n", 1000 + i % 1000)).collect();
    let content = format!("x\n{rows}");
    let upload = begin(&server, json!({"size": content.len(), "parts": 2, "sha256": sha256(&content)}));
    let parts = upload["parts"].as_array().expect("parts").clone();
    let cut = parts[0]["size"].as_u64().expect("a size") as usize;
    assert_eq!(put(&server, &parts[0], &content.as_bytes()[..cut]).status, 200);
    server.kill();
    let server = place.server();
    let found = server.get(&path(&upload)).json();
    assert_eq!(
        (&found["parts"][0]["received"], &found["parts"][1]["received"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(put(&server, &parts[1], &content.as_bytes()[cut..]).status, 200);
    assert_eq!(complete(&server, &upload).status, 200);
    let answer = process(&server, &upload);
    assert_eq!(answer.json()["gpu_processing"]["columns"]["x"]["count"], 3_000_000, "{}", answer.text());
}

#[test]
fn what_is_not_as_it_was_announced_is_refused() {
    let place = Place::new();
    let server = place.server();
    let upload = begin(&server, json!({"size": ROWS.len(), "sha256": sha256("something else")}));
    let part = &upload["parts"][0];
    put(&server, part, &ROWS.as_bytes()[1..]).problem(422, "invalid-request");
    put(&server, part, format!("{ROWS}5").as_bytes()).problem(413, "too-large");
    let url = part["url"].as_str().expect("a path");
    let digest = [("content-digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")];
    server.request("PUT", url, &digest, Some(ROWS.as_bytes())).problem(400, "malformed-request");
    server
        .request("PUT", url, &[("content-encoding", "gzip")], Some(b"x"))
        .problem(415, "unsupported-media-type");
    assert_eq!(server.get(&path(&upload)).json()["parts"][0]["received"], false, "nothing of it was kept");
    assert_eq!(put(&server, part, ROWS.as_bytes()).status, 200);
    let problem = complete(&server, &upload).problem(409, "conflict");
    assert!(problem["detail"].as_str().expect("a sentence").contains(&sha256(ROWS)));
    process(&server, &upload).problem(422, "source-unavailable");
}

#[test]
fn there_cannot_be_an_upload_of_nothing_and_none_beyond_the_limit() {
    let place = Place::new();
    let limits = [("CAUDAL__UPLOADS__MAX_SIZE", PathBuf::from("1KB"))];
    let server = Server::start_with(&place.bucket(), &[], &limits);
    let problem = server.post("/uploads", r#"{"size": 0, "parts": 0}"#).problem(422, "invalid-request");
    assert_eq!(problem["errors_total"], 2);
    server.post("/uploads", r#"{"size": 1001}"#).problem(413, "too-large");
    server.post("/uploads", r#"{"size": 10, "parts": 11}"#).problem(422, "invalid-request");
    server.post("/uploads", "[").problem(400, "malformed-request");
    let upload = begin(&server, json!({"size": 1000}));
    let parts = format!("{}/parts", path(&upload));
    for number in ["0", "2", "x"] {
        server.request("PUT", &format!("{parts}/{number}"), &[], Some(b"1")).problem(404, "not-found");
    }
    server.get("/uploads/01990000-0000-7000-8000-000000000000").problem(404, "not-found");
    server.get("/uploads/x").problem(404, "not-found");
}

#[test]
fn an_upload_is_taken_away_by_its_owner_or_when_it_expires() {
    let place = Place::new();
    let server = place.server();
    let upload = begin(&server, json!({"size": ROWS.len()}));
    assert_eq!(put(&server, &upload["parts"][0], ROWS.as_bytes()).status, 200);
    assert_eq!(server.request("DELETE", &path(&upload), &[], None).status, 204);
    server.get(&path(&upload)).problem(404, "not-found");
    drop(server);
    // 3.6 seconds: what is asked for while it lasts is there, and it ends by itself.
    let limits = [("CAUDAL__UPLOADS__KEEP_HOURS", PathBuf::from("0.001"))];
    let server = Server::start_with(&place.bucket(), &[], &limits);
    let upload = begin(&server, json!({"size": ROWS.len()}));
    let gone = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        server.get(&path(&upload)).status == 404
    });
    assert!(gone, "it has expired");
    put(&server, &upload["parts"][0], ROWS.as_bytes()).problem(404, "not-found");
}
