//! The bucket on S3: large answers are fetched from it, and why it refuses is told. `.ci/s3` starts the servers that this takes.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Answer, Place, Server};

/// The address of a server that speaks S3, where one was started.
fn store(variable: &str) -> Option<String> {
    let endpoint = std::env::var(variable).ok();
    if endpoint.is_none() {
        println!("skipped: {variable} is not set, so S3 was not tried; see .ci/s3");
    }
    endpoint
}

/// A server of ours whose bucket is there, below a folder of this name.
fn serve(place: &Place, endpoint: &str, folder: &str) -> Server {
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "testtest"),
        ("AWS_REGION", "us-east-1"),
        ("CAUDAL__STORAGE__S3_ALLOW_HTTP", "true"),
        ("CAUDAL__ORCHESTRATION__RETRIES", "1"),
    ]
    .map(|(name, value)| (name, PathBuf::from(value)));
    let bucket = PathBuf::from(format!("s3://caudal/{folder}-{}", std::process::id()));
    Server::start_with(&bucket, &["--allow", place.dir.path().to_str().expect("UTF-8")], &variables)
}

/// One request whose answer is taken as it comes, without going where it leads.
fn ask(method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
    let agent =
        ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0).build().new_agent();
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = agent.run(request.body(()).expect("a request")).expect("an answer");
    let (headers, status) = (answer.headers().clone(), answer.status().as_u16());
    let body = answer.body_mut().with_config().limit(1 << 30).read_to_vec().expect("a body");
    Answer { status, headers, body }
}

fn completed(server: &Server, request: &Value) -> String {
    let taken = server.post("/process", request.to_string()).json();
    let job = taken["job_id"].as_str().unwrap_or_else(|| panic!("no job: {taken}")).to_owned();
    assert_eq!(server.wait_for(&job)["status"], "completed");
    job
}

#[test]
fn more_than_4_mb_is_fetched_from_the_store_at_an_address_that_holds_for_that_alone() {
    let Some(endpoint) = store("CAUDAL_TEST_S3") else { return };
    let place = Place::new();
    let rows: String = (0..400_000).map(|i| format!("{}\n", f64::from(i) / 7.0)).collect();
    let source = place.file("long.csv", format!("x\n{rows}"));
    let request =
        json!({"source": {"uri": format!("file:{}", source.display())}, "output_format": "parquet"});
    let (own, server) = (place.server(), serve(&place, &endpoint, "large"));
    let (here, job) = (completed(&own, &request), completed(&server, &request));
    let data = |server: &Server, job: &str| format!("{}/jobs/{job}/data", server.url);
    for media_type in ["text/csv", "application/json", "application/x-ndjson"] {
        let accept = [("accept", media_type)];
        let expected = ask("GET", &data(&own, &here), &accept);
        assert_eq!(expected.status, 200, "a folder gives no addresses");
        for _ in 0..2 {
            let sent = ask("GET", &data(&server, &job), &accept);
            let address = sent.header("location");
            assert_eq!((sent.status, sent.header("cache-control")), (307, "no-store"), "{}", sent.text());
            assert!(address.starts_with(&format!("{endpoint}/caudal/")), "{address}");
            let found = ask("GET", address, &[]);
            assert_eq!(found.status, 200, "{}", found.text());
            assert!(found.body == expected.body, "{media_type}: the store gives what a folder gives");
            assert_eq!(ask("GET", &address.replace(&job, &here), &[]).status, 403, "another object");
        }
    }
    let ranged = ask("GET", &data(&server, &job), &[("accept", "text/csv"), ("range", "bytes=0-1")]);
    assert!(
        ranged.status == 206 && ranged.body == b"x\n",
        "a short range comes from here: {}",
        ranged.status
    );
    assert_eq!(ask("HEAD", &data(&server, &job), &[("accept", "text/csv")]).status, 200);
    let short = completed(&server, &json!({"data": [1, 2, 3]}));
    assert_eq!(ask("GET", &data(&server, &short), &[]).status, 200);
}

#[test]
fn a_final_response_of_more_than_4_mb_is_fetched_from_the_store() {
    let Some(endpoint) = store("CAUDAL_TEST_S3") else { return };
    let place = Place::new();
    let server = serve(&place, &endpoint, "wide");
    let columns: serde_json::Map<String, Value> =
        (0..6_000).map(|i| (format!("column {i}"), json!([i, i + 1, null]))).collect();
    let request = json!({"data": columns, "pipeline_type": "both"});
    let taken = server.post("/process", request.to_string());
    assert_eq!((taken.status, taken.json()["status"].clone()), (202, json!("completed")));
    let job = taken.json()["job_id"].as_str().expect("an id").to_owned();
    let sent = ask("GET", &format!("{}/jobs/{job}/result", server.url), &[]);
    assert_eq!(sent.status, 307, "{}", sent.text());
    let result = ask("GET", sent.header("location"), &[]).json();
    assert_eq!((&result["job_id"], &result["status"]), (&json!(job), &json!("completed")));
    let columns = result["spark_processing"]["rdd_results"]["columns"].as_object().expect("columns");
    assert_eq!(columns.len(), 6_000);
}

#[test]
fn a_key_that_may_not_be_used_and_a_wrong_clock_are_told_in_the_job_and_to_who_asks_for_one() {
    let Some(endpoint) = store("CAUDAL_TEST_S3_REFUSING") else { return };
    let place = Place::new();
    let server = serve(&place, &endpoint, "refusing");
    let fail = |faults: &str| assert_eq!(ask("PUT", &format!("{endpoint}/_twin?{faults}"), &[]).status, 200);
    for (fault, reason, cure) in [
        ("kms_denied", "an encryption key cannot be used", "kms:GenerateDataKey"),
        ("skewed", "the clock of this machine is wrong", "set it"),
    ] {
        fail(&format!("{fault}=1"));
        let refused = server.post("/process", r#"{"data": [1, 2, 3]}"#).problem(503, "storage-unavailable");
        assert!(refused["detail"].as_str().expect("a detail").contains(reason), "{refused}");
        fail(&format!("{fault}=1,below=normalized_data"));
        let failed = server.post("/process", r#"{"data": [1, 2, 3]}"#).problem(503, "storage-unavailable");
        fail("");
        let job = failed["job_id"].as_str().expect("a job");
        let status = server.wait_for(job);
        let error = &status["error"];
        assert_eq!(status["status"], "failed");
        assert!(error["detail"].as_str().expect("a detail").contains(reason), "{error}");
        assert!(error["hint"].as_str().expect("a hint").contains(cure), "{error}");
    }
}
