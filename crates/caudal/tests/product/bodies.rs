//! Bodies of every form and coding, and answers in what a client accepts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::raw::Kept;
use crate::support::{Answer, Place, Server, example};

/// A body of data with the settings in the query.
fn send(server: &Server, query: &str, media_type: &str, body: &[u8]) -> Answer {
    server.request("POST", &format!("/process{query}"), &[("content-type", media_type)], Some(body))
}

/// The statistics of one column, whichever pipeline gave them.
fn column(answer: &Answer, name: &str) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let response = answer.json();
    let pipelines =
        ["rdd_results", "dataframe_results"].map(|p| &response["spark_processing"][p]["columns"][name]);
    pipelines.into_iter().find(|found| !found.is_null()).expect("the column").clone()
}

#[test]
fn the_same_numbers_give_the_same_statistics_in_every_form_of_body() {
    let place = Place::new();
    let server = place.server();
    let read = |name: &str| std::fs::read(example(name)).expect("an example");
    let query = "?columns=delay&normalization=robust";
    let folder = example("flights.parquet").parent().expect("a folder").to_owned();
    let allowed = Server::start(&place.bucket(), &["--allow", folder.to_str().expect("UTF-8")]);
    for (name, media_type) in [
        ("flights.parquet", "application/vnd.apache.parquet"),
        ("flights.arrow", "application/vnd.apache.arrow.stream"),
        ("flights.ndjson", "application/x-ndjson"),
    ] {
        let file = json!({"source": {"uri": format!("file:{}", folder.join(name).display()), "columns": ["delay"]},
                          "normalization": "robust", "pipeline_type": "rdd"});
        let expected = column(&allowed.post("/process", file.to_string()), "delay");
        let found =
            column(&send(&server, &format!("{query}&pipeline_type=rdd"), media_type, &read(name)), "delay");
        assert_eq!(found, expected, "{name}");
    }
    let rows = "delay,name\n1,a\n2,b\n,c\n4,d\n";
    let lines = "{\"delay\":1}\n{\"delay\":2}\n{\"delay\":null}\n{\"delay\":4}\n";
    let csv = column(&send(&server, query, "text/csv", rows.as_bytes()), "delay");
    let ndjson = column(&send(&server, query, "application/x-ndjson", lines.as_bytes()), "delay");
    assert_eq!((&csv["mean"], &csv["missing"]), (&json!(7.0 / 3.0), &json!(1)));
    assert_eq!(csv, ndjson);
}

#[test]
fn a_body_of_data_has_no_limit_of_elements() {
    let place = Place::new();
    let server = place.server();
    let rows = "12345\n".repeat(1_200_000);
    let answer = send(&server, "?pipeline_type=rdd", "text/csv", format!("x\n{rows}").as_bytes());
    assert_eq!(column(&answer, "x")["count"], 1_200_000);
}

#[test]
fn a_compressed_body_is_read_as_what_it_says() {
    let place = Place::new();
    let server = place.server();
    let body = format!("{{\"data\": [{}1]}}", "7,".repeat(10_000));
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(body.as_bytes()).and_then(|()| encoder.finish()).expect("memory")
    };
    let zstd = zstd::encode_all(body.as_bytes(), 1).expect("memory");
    for (coding, content) in [("gzip", gzip), ("zstd", zstd)] {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        let answer = server.request("POST", "/process", &headers, Some(&content));
        assert_eq!(column(&answer, "value")["count"], 10_001, "{coding}");
    }
}

#[test]
fn the_data_is_compressed_as_the_client_accepts_and_a_range_is_not() {
    let place = Place::new();
    let server = place.server();
    let numbers: Vec<String> = (0..5000).map(|i| (i % 97).to_string()).collect();
    let answer = server.post("/process", format!("{{\"data\": [{}]}}", numbers.join(",")));
    let path = format!("/jobs/{}/data", answer.json()["job_id"].as_str().expect("an id"));
    let plain =
        server.request("GET", &path, &[("accept", "text/csv"), ("accept-encoding", "identity")], None);
    let zstd = server.request("GET", &path, &[("accept", "text/csv"), ("accept-encoding", "zstd")], None);
    assert_eq!((zstd.header("content-encoding"), zstd.header("content-type")), ("zstd", "text/csv"));
    assert!(zstd.header("vary").contains("accept-encoding") && zstd.body.len() < plain.body.len() / 2);
    assert!(zstd::decode_all(&zstd.body[..]).expect("zstd") == plain.body);
    let range = [("accept", "application/json"), ("accept-encoding", "zstd"), ("range", "bytes=0-1999")];
    let part = server.request("GET", &path, &range, None);
    assert_eq!((part.status, part.header("content-encoding"), part.body.len()), (206, "", 2000));
}

#[test]
fn faults_of_a_body_of_data_are_told_with_their_places_and_the_job() {
    let place = Place::new();
    let server = place.server();
    let rows = format!("x\n{}oops\n", "1\n".repeat(20_000));
    let problem = send(&server, "", "text/csv", rows.as_bytes()).problem(422, "invalid-data");
    assert!(problem["job_id"].is_string());
    assert!(problem["errors"][0]["pointer"].as_str().expect("a place").contains("row 20001"), "{problem}");
    let problem =
        send(&server, "", "application/vnd.apache.parquet", b"PAR1 nothing").problem(422, "invalid-data");
    assert!(problem["job_id"].is_string());
    send(&server, "?colour=red", "text/csv", b"x\n1\n").problem(400, "malformed-request");
}

#[test]
fn what_a_refused_body_leaves_in_the_bucket_is_nothing() {
    let place = Place::new();
    let server = place.server();
    send(&server, "?normalization=upside-down", "text/csv", b"x\n1\n").problem(422, "invalid-request");
    server.post("/process", "{\"data\": [1, \"a\"]}").problem(422, "invalid-request");
    for folder in ["jobs", "uploads", "active", "index"] {
        let path = place.bucket().join(folder);
        assert!(!path.exists() || std::fs::read_dir(&path).expect("a folder").next().is_none(), "{folder}");
    }
}

#[test]
fn bodies_that_find_no_room_beside_others_are_told_to_come_back() {
    let place = Place::new();
    let limits = [("CAUDAL__SERVER__BODY_MEMORY", PathBuf::from("30MB"))];
    let server = Server::start_with(&place.bucket(), &[], &limits);
    let address = server.url.trim_start_matches("http://").to_owned();
    // Announces more than half of the room, and keeps it.
    let mut holder = TcpStream::connect(&address).expect("a connection");
    let head = "POST /process HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 2000000\r\n\r\n{";
    holder.write_all(head.as_bytes()).expect("the server takes it");
    let body = format!("{{\"data\": [{}1]}}", "1,".repeat(990_000));
    // Judged by what a request announces: nothing but its head is sent.
    let refused = (0..500).find_map(|_| {
        let mut asker = TcpStream::connect(&address).expect("a connection");
        asker.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket");
        asker.write_all(head.as_bytes()).expect("the server takes it");
        let mut answer = Vec::new();
        let _ = asker.read_to_end(&mut answer);
        (!answer.is_empty()).then(|| String::from_utf8_lossy(&answer).to_lowercase())
    });
    let refused = refused.expect("the holder was heard of");
    assert!(refused.starts_with("http/1.1 503") && refused.contains("/overloaded"), "{refused}");
    assert!(refused.contains("\r\nretry-after: 1\r\n"), "{refused}");
    drop(holder);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let again = (0..500).any(|_| {
        let request =
            agent.post(format!("{}/process", server.url)).header("content-type", "application/json");
        request.send(&body).is_ok_and(|answer| answer.status() == 200)
    });
    assert!(again, "the room is given back");
}

#[test]
fn a_client_that_sends_all_before_it_looks_up_sees_why_it_was_refused() {
    let place = Place::new();
    let server = place.server();
    let large = "1.0000,".repeat(2_000_000);
    let mut kept = Kept::to(&server);
    for _ in 0..3 {
        kept.post("/process", "text/plain", large.as_bytes()).problem(415, "unsupported-media-type");
        kept.post("/nowhere", "application/json", large.as_bytes()).problem(404, "not-found");
    }
    let answer = kept.post("/process", "application/json", br#"{"data": [1, 2, 3]}"#);
    assert_eq!(answer.status, 200, "the connection stays in use: {}", String::from_utf8_lossy(&answer.body));
}

#[test]
fn a_table_of_many_pieces_is_kept_whole() {
    let place = Place::new();
    let server = place.server();
    // Longer than two pieces of an upload, and not a whole number of them.
    let table: String =
        std::iter::once("x\n".to_owned()).chain((0..2_500_000).map(|i| format!("{i:08}\n"))).collect();
    let headers = [("content-type", "text/csv")];
    let answer = server.request("POST", "/process", &headers, Some(table.as_bytes()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let summary = &answer.json()["processing_summary"];
    assert_eq!(summary["data_processed"], 2_500_000, "{summary}");
}
