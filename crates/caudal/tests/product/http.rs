//! The HTTP API as the contract has it.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Place, Server, binary};

#[test]
fn a_complete_request_is_one_array_and_its_answer_is_the_final_response() {
    let place = Place::new();
    let server = place.server();
    let answer = server.post("/process", r#"{"data": [1.5, null, 3], "pipeline_type": "both"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let response = answer.json();
    assert_eq!(response["status"], "completed");
    assert_eq!(response["processing_summary"]["data_processed"], 3);
    let column = &response["spark_processing"]["rdd_results"]["columns"]["value"];
    assert_eq!(column["mean"], 2.25);
    assert_eq!((&column["missing"], &column["distinct"]), (&json!(1), &json!(2)));
    assert_eq!(response["spark_processing"]["agreement"], true);
    assert_eq!(response["gpu_processing"]["columns"]["value"]["normalized_data"], json!([-1.0, null, 1.0]));
    let metrics = &response["performance_metrics"];
    let shares = metrics["gpu_percentage"].as_f64().expect("a share")
        + metrics["spark_percentage"].as_f64().expect("a share");
    assert!((shares - 100.0).abs() < 1e-9);
    assert_eq!(metrics["gpu_vs_cpu_speedup"], Value::Null, "what was not measured is null");
}

#[test]
fn a_client_that_does_not_wait_gets_a_place_to_look() {
    let place = Place::new();
    let server = place.server();
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let answer =
        server.request("POST", "/process", &headers, Some(br#"{"data": {"a": [1, 2], "b": [3, 4]}}"#));
    assert_eq!(answer.status, 202, "{}", answer.text());
    let location = answer.header("location").to_owned();
    let id = answer.json()["job_id"].as_str().expect("an id").to_owned();
    assert_eq!(location, format!("/jobs/{id}"));
    assert_eq!(server.wait_for(&id)["status"], "completed");
    let result = server.get(&format!("{location}/result"));
    assert_eq!((result.status, result.json()["job_id"].as_str()), (200, Some(id.as_str())));
}

#[test]
fn a_status_tells_every_state_in_order_and_the_time_it_was_entered() {
    let place = Place::new();
    let server = place.server();
    let id = submit(&server, r#"{"data": [1, 2]}"#);
    let status = server.get(&format!("/jobs/{id}")).json();
    let states: Vec<_> = status["transitions"]
        .as_array()
        .expect("transitions")
        .iter()
        .map(|t| t["state"].as_str().expect("a state"))
        .collect();
    assert_eq!(states, ["queued", "validating", "normalizing", "spark_processing", "analyzing", "completed"]);
}

#[test]
fn jobs_are_listed_newest_first_page_by_page() {
    let place = Place::new();
    let server = place.server();
    let ids: Vec<_> = (0..5).map(|i| submit(&server, &format!("{{\"data\": [{i}, 1]}}"))).collect();
    let mut seen = Vec::new();
    let mut path = "/jobs?limit=2".to_owned();
    for page in 0.. {
        assert!(page < 4, "the list has an end");
        let answer = server.get(&path).json();
        let jobs = answer["jobs"].as_array().expect("jobs").clone();
        seen.extend(jobs.iter().map(|job| job["job_id"].as_str().expect("an id").to_owned()));
        match answer["next_cursor"].as_str() {
            Some(cursor) => path = format!("/jobs?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ids.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(server.get("/jobs?status=failed").json()["jobs"], json!([]));
    server.get("/jobs?limit=0").problem(400, "malformed-request");
    server.get("/jobs?status=done").problem(400, "malformed-request");
}

#[test]
fn the_normalised_data_comes_in_the_form_that_is_accepted() {
    let place = Place::new();
    let server = place.server();
    let id = submit(&server, r#"{"data": {"x": [1, null, 3]}}"#);
    let path = format!("/jobs/{id}/data");
    let get = |accept: &str| server.request("GET", &path, &[("accept", accept)], None);
    assert_eq!(get("application/json").json(), json!({"columns": {"x": [-1.0, null, 1.0]}}));
    let csv = get("text/csv").text();
    let rows: Vec<_> = csv.lines().map(|cell| cell.parse::<f64>().ok()).collect();
    assert_eq!(rows, [None, Some(-1.0), None, Some(1.0)], "{csv}");
    let lines: Vec<Value> =
        get("application/x-ndjson").text().lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines, [json!({"x": -1.0}), json!({"x": null}), json!({"x": 1.0})]);
    assert_eq!(&get("application/vnd.apache.parquet").body[..4], b"PAR1");
    let stream = get("application/vnd.apache.arrow.stream").body;
    let batches = arrow::ipc::reader::StreamReader::try_new(&stream[..], None).expect("an Arrow stream");
    assert_eq!(batches.map(|b| b.expect("a batch").num_rows()).sum::<usize>(), 3);
    get("image/png").problem(406, "not-acceptable");
}

#[test]
fn a_range_of_the_stored_object_can_be_fetched() {
    let place = Place::new();
    let server = place.server();
    let id = submit(&server, r#"{"data": [1, 2, 3]}"#);
    let path = format!("/jobs/{id}/data");
    let whole = server.request("GET", &path, &[("accept", "application/json")], None);
    let part = server.request("GET", &path, &[("accept", "application/json"), ("range", "bytes=3-9")], None);
    assert_eq!(part.status, 206, "{}", part.text());
    assert_eq!(part.body, whole.body[3..=9]);
    assert_eq!(part.header("content-range"), format!("bytes 3-9/{}", whole.body.len()));
    let beyond =
        server.request("GET", &path, &[("accept", "application/json"), ("range", "bytes=9999-")], None);
    assert_eq!(beyond.status, 416);
}

#[test]
fn a_file_below_an_allowed_folder_can_be_named_and_no_other() {
    let place = Place::new();
    let server = place.server();
    let file = place.file("in.csv", "delay\n1\n2\n");
    let request = |path: &str| json!({"source": {"uri": format!("file:{path}")}}).to_string();
    let answer = server.post("/process", request(file.to_str().expect("UTF-8")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["gpu_processing"]["columns"]["delay"]["mean"], 1.5);
    let problem = server.post("/process", request("/etc/passwd")).problem(422, "source-unavailable");
    assert!(problem["job_id"].is_string(), "the job is there, and failed");
    let sneaky = format!("{}/../../etc/passwd", place.dir.path().display());
    server.post("/process", request(&sneaky)).problem(422, "source-unavailable");
}

#[test]
fn the_api_describes_itself_and_says_that_it_is_well() {
    let place = Place::new();
    let server = place.server();
    let document = server.get("/openapi.json").json();
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    for path in ["/process", "/jobs", "/jobs/{id}", "/jobs/{id}/result", "/jobs/{id}/data"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
    assert_eq!(server.get("/health/live").status, 200);
    assert_eq!(server.get("/health/ready").status, 200);
}

#[test]
fn what_is_not_there_answers_problem_json() {
    let place = Place::new();
    let server = place.server();
    server.get("/nowhere").problem(404, "not-found");
    server.get("/jobs/not-a-uuid").problem(404, "not-found");
    server.get("/jobs/01990000-0000-7000-8000-000000000000").problem(404, "not-found");
    server.get("/jobs/01990000-0000-7000-8000-000000000000/result").problem(404, "not-found");
    server.get("/process").problem(405, "method-not-allowed");
    let headers = [("content-type", "image/png")];
    server.request("POST", "/process", &headers, Some(b"x")).problem(415, "unsupported-media-type");
}

#[test]
fn a_million_elements_come_inline_and_one_more_does_not() {
    let place = Place::new();
    let server = place.server();
    let numbers = |n: usize| {
        let list: Vec<String> = (0..n).map(|i| format!("{}.5", i % 1000)).collect();
        format!("{{\"data\": [{}]}}", list.join(","))
    };
    let answer = server.post("/process", numbers(1_000_000));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["processing_summary"]["data_processed"], 1_000_000);
    let problem = server.post("/process", numbers(1_000_001)).problem(413, "too-large");
    assert!(problem["detail"].as_str().expect("a sentence").contains("1000001"), "{problem}");
}

#[test]
fn a_hundred_clients_at_once_are_all_answered() {
    let place = Place::new();
    let server = place.server();
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..100)
            .map(|i| {
                let server = &server;
                scope.spawn(move || server.post("/process", format!("{{\"data\": [{i}, 2, 3]}}")).status)
            })
            .collect();
        clients.into_iter().map(|c| c.join().expect("a client")).collect()
    });
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
}

fn submit(server: &Server, body: &str) -> String {
    let answer = server.post("/process", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["job_id"].as_str().expect("an id").to_owned()
}

#[test]
fn behind_a_proxy_that_takes_a_prefix_away_every_address_in_an_answer_has_it() {
    let place = Place::new();
    let variables = [("CAUDAL__SERVER__BASE_PATH", PathBuf::from("/v1"))];
    let server = Server::start_with(&place.bucket(), &[], &variables);
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let answer = server.request("POST", "/process", &headers, Some(br#"{"data": [1, 2]}"#));
    let job = answer.json()["job_id"].as_str().expect("an id").to_owned();
    let address = format!("/v1/jobs/{job}");
    assert_eq!((answer.status, answer.header("location")), (202, address.as_str()));
    assert_eq!(answer.json()["location"], address.as_str());
    let links = server.wait_for(&job)["links"].clone();
    assert_eq!((&links["self"], &links["data"]), (&json!(address), &json!(format!("{address}/data"))));
    let upload = server.post("/uploads", r#"{"size": 3, "format": "csv"}"#);
    let address = upload.header("location").to_owned();
    assert!(address.starts_with("/v1/uploads/"), "{address}");
    assert_eq!(upload.json()["parts"][0]["url"], format!("{address}/parts/1"));
    assert_eq!(server.get("/nowhere").json()["type"], "/v1/docs/errors/not-found");
    assert_eq!(server.get("/openapi.json").json()["servers"], json!([{"url": "/v1"}]));
}

#[test]
fn a_prefix_that_is_no_path_is_refused_at_the_start() {
    for wrong in ["v1", "/v1/", "/v1?x"] {
        let place = Place::new();
        let run = binary()
            .args(["serve", "--listen", "127.0.0.1:0", "--storage"])
            .arg(place.bucket())
            .env("CAUDAL__SERVER__BASE_PATH", wrong)
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.code() == Some(2) && stderr.contains("server.base_path"), "{wrong}: {stderr}");
    }
}
