//! Every fault is told at once, with its place; none is a 500 or a panic, and nothing stored is lost.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use serde_json::{Value, json};

use crate::support::{Place, Server};

/// The faults of a problem, as `pointer: detail`.
fn faults(problem: &Value) -> Vec<String> {
    let told = problem["errors"].as_array().expect("errors");
    told.iter()
        .map(|e| format!("{}: {}", e["pointer"].as_str().unwrap(), e["detail"].as_str().unwrap()))
        .collect()
}

/// Posts a request that cannot be a job and returns its faults.
fn refused(server: &Server, body: &str) -> Vec<String> {
    let problem = server.post("/process", body).problem(422, "invalid-request");
    assert_eq!(problem["status_text"], "validation_failed");
    assert!(problem["error"].is_string());
    assert!(problem.get("job_id").is_none(), "a request that is refused creates no job");
    faults(&problem)
}

#[test]
fn faults_of_inline_data_name_the_index() {
    let place = Place::new();
    let server = place.server();
    for (body, expected) in [
        (r#"{"data": []}"#, vec!["/data: expected at least one number, found an empty array"]),
        (
            r#"{"data": [1, "abc", true, [2], {"a": 1}]}"#,
            vec![
                "/data/1: expected a number or null, found \"abc\"",
                "/data/2: expected a number or null, found true",
                "/data/3: expected a number or null, found an array",
                "/data/4: expected a number or null, found an object",
            ],
        ),
        (
            r#"{"data": {"a": [1, 2, 3], "b/c": [1, 2]}}"#,
            vec!["/data/b~1c: expected 3 elements, as in \"a\", found 2"],
        ),
        (r#"{"data": {"a": 5}}"#, vec!["/data/a: expected an array of numbers, found the number 5"]),
        (r#"{"data": {}}"#, vec!["/data: expected at least one named array, found an empty object"]),
        (
            r#"{"data": "numbers"}"#,
            vec![
                "/data: expected an array of numbers or an object of equally long named arrays, found \"numbers\"",
            ],
        ),
        (r#"{}"#, vec![": expected either \"data\" or \"source\", found neither"]),
    ] {
        assert_eq!(refused(&server, body), expected, "{body}");
    }
}

#[test]
fn faults_of_settings_are_all_told_at_once() {
    let place = Place::new();
    let body = r#"{"data": [1], "normalisation": "zscore", "pipeline_type": "bth", "max_cost_usd": -1,
                   "spark_config": {"executor_instances": 11, "executor_memory": "2x", "memory": 1}}"#;
    assert_eq!(
        refused(&place.server(), body),
        [
            "/normalisation: unknown field; did you mean \"normalization\"?",
            "/pipeline_type: expected one of auto, rdd, dataframe, both, found \"bth\"",
            "/spark_config/memory: unknown field; the fields here are executor_instances, executor_memory, \
             executor_cores, shuffle_partitions",
            "/spark_config/executor_instances: expected a whole number from 1 to 10, found 11",
            "/spark_config/executor_memory: expected <number>[k|m|g] such as \"2g\", found \"2x\"",
            "/max_cost_usd: expected 0 or more US dollars, found -1",
        ]
    );
}

#[test]
fn twenty_faults_are_told_and_all_are_counted() {
    let place = Place::new();
    let bad: Vec<String> = (0..50).map(|i| format!("\"x{i}\"")).collect();
    let problem = place
        .server()
        .post("/process", format!("{{\"data\": [{}]}}", bad.join(",")))
        .problem(422, "invalid-request");
    assert_eq!(faults(&problem).len(), 20);
    assert_eq!(problem["errors_total"], 50);
}

#[test]
fn what_is_not_json_is_malformed_with_line_and_column() {
    let place = Place::new();
    let server = place.server();
    for body in ["", "{", "[1, 2", "{\"data\": [1, 2,]}", "{\"data\": [NaN]}", "\u{0}\u{1}"] {
        let problem = server.post("/process", body).problem(400, "malformed-request");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(body.is_empty() || detail.contains("line"), "{body}: {detail}");
    }
    let deep = format!("{{\"data\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let status = server.post("/process", &deep).status;
    assert!(status == 400 || status == 422, "{status}");
    assert_eq!(
        refused(&server, "[1, 2, 3]"),
        [": expected an object, found an array; send an object such as {\"data\": [1, 2, 3]}"]
    );
}

#[test]
fn random_bytes_are_answered_with_a_4xx_and_the_server_lives_on() {
    let place = Place::new();
    let server = place.server();
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let template =
        br#"{"data": [1, 2.5, null], "source": {"uri": "file:x", "columns": ["a"]}, "device": "cpu"}"#;
    for round in 0..500 {
        let mut body = template.to_vec();
        for _ in 0..=round % 5 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = (state % body.len() as u64) as usize;
            body[at] = (state >> 32) as u8;
        }
        let answer = server.post("/process", &body);
        assert!((400..500).contains(&answer.status), "{}: {}", String::from_utf8_lossy(&body), answer.text());
    }
    assert_eq!(server.post("/process", r#"{"data": [1, 2]}"#).status, 200);
}

#[test]
fn unknown_columns_come_with_the_nearest_name() {
    let place = Place::new();
    let server = place.server();
    let file = place.file("in.csv", "delay,distance\n1,2\n3,4\n");
    let body =
        json!({"source": {"uri": format!("file:{}", file.display()), "columns": ["dely", "distance"]}});
    let problem = server.post("/process", body.to_string()).problem(422, "invalid-data");
    let told = faults(&problem);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("/source/columns/0: ") && told[0].contains("did you mean \"delay\"?"),
        "{told:?}"
    );
    let id = problem["job_id"].as_str().expect("the job is there").to_owned();
    let status = server.get(&format!("/jobs/{id}")).json();
    assert_eq!(status["status"], "failed");
    let result = server.get(&format!("/jobs/{id}/result")).json();
    assert_eq!((&result["status"], &result["error"]["errors"]), (&json!("failed"), &problem["errors"]));
    place.process(&[file.to_str().expect("UTF-8"), "--column", "dely"]).fails(65, "did you mean \"delay\"?");
}

#[test]
fn ragged_csv_and_late_text_name_row_and_column() {
    let place = Place::new();
    let ragged = place.file("ragged.csv", "a,b\n1,2\n3\n5,6,7\n");
    let run = place.process(&[ragged.to_str().expect("UTF-8")]);
    run.fails(65, "row 2");
    assert!(run.stderr().contains("row 3"), "both are told:\n{}", run.stderr());
    let mut late = "a\n".to_owned() + &"1\n".repeat(10_500);
    late += "abc\n";
    let late = place.file("late.csv", late);
    place.process(&[late.to_str().expect("UTF-8")]).fails(65, "row 10501");
    place.process(&[late.to_str().expect("UTF-8")]).fails(65, "\"abc\"");
}

#[test]
fn text_in_a_named_column_is_a_fault_and_in_another_a_skipped_column() {
    let place = Place::new();
    let file = place.file("in.csv", "a,b\n1,x\n2,y\n");
    let response = place.response(&file, &[]);
    assert_eq!(response["processing_summary"]["skipped_columns"][0]["name"], "b");
    place
        .process(&[file.to_str().expect("UTF-8"), "--column", "b"])
        .fails(65, "expected a number, found \"x\"");
}

#[test]
fn sources_without_numbers_are_refused_in_words() {
    let place = Place::new();
    for (name, content, said) in [
        ("empty.csv", "", "empty"),
        ("header.csv", "a,b\n", "no rows"),
        ("text.csv", "a,b\nx,y\n", "no numeric column"),
        ("empty.json", "[]", "no rows"),
        ("broken.json", "[1, 2", "line"),
        ("empty.ndjson", "", "empty"),
    ] {
        let file = place.file(name, content);
        place.process(&[file.to_str().expect("UTF-8")]).fails(65, said);
    }
}

#[test]
fn wrong_encodings_are_named() {
    let place = Place::new();
    let utf16: Vec<u8> = "a\n1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = place.file("utf16.csv", [&[0xFF, 0xFE][..], &utf16].concat());
    place.process(&[utf16.to_str().expect("UTF-8")]).fails(65, "UTF-16");
    let latin1 = place.file("latin1.csv", b"caf\xe9,b\n1,2\n");
    place.process(&[latin1.to_str().expect("UTF-8")]).fails(65, "UTF-8");
}

#[test]
fn truncated_parquet_and_arrow_are_told_apart_from_good_ones() {
    let place = Place::new();
    let values = Float64Array::from((0..5000).map(f64::from).collect::<Vec<_>>());
    let batch = RecordBatch::try_from_iter([("x", Arc::new(values) as ArrayRef)]).expect("a batch");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    let parquet = writer.into_inner().expect("finished");
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    writer.write(&batch).expect("written");
    let arrow = writer.into_inner().expect("finished");
    for (name, bytes) in [("x.parquet", parquet), ("x.arrow", arrow)] {
        for kept in [bytes.len() / 3, bytes.len() - 5] {
            let file = place.file(name, &bytes[..kept]);
            place.process(&[file.to_str().expect("UTF-8")]).fails(65, "complete");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let place = Place::new();
    place.process(&["nothing.csv"]).fails(66, "nothing.csv");
    let folder = place.dir.path().to_str().expect("UTF-8").to_owned();
    place.process(&[&folder]).fails(66, "folder");
}

#[test]
fn a_failed_job_leaves_the_jobs_before_it_untouched() {
    let place = Place::new();
    let server = place.server();
    let good = server.post("/process", r#"{"data": [1, 2, 3]}"#).json();
    let id = good["job_id"].as_str().expect("an id");
    server
        .post("/process", r#"{"source": {"uri": "file:/nowhere/at/all.csv"}}"#)
        .problem(422, "source-unavailable");
    server.post("/process", r#"{"data": ["x"]}"#).problem(422, "invalid-request");
    assert_eq!(server.get(&format!("/jobs/{id}/result")).json(), good);
}
