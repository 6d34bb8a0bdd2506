//! What the edges of HTTP answer, before and around any job.

use axum::body::Body;
use futures::stream;
use serde_json::json;

use crate::client::{call, get, post};
use crate::empty_bucket::{MAX_BODY, MAX_DECODED, PANIC_CURSOR};

const A_JOB: &str = "/jobs/01990000-0000-7000-8000-000000000000";

#[tokio::test]
async fn a_path_that_is_not_there_is_a_problem_that_names_it() {
    let problem = get("/nowhere").await.problem(404, "not-found");
    assert_eq!(problem["detail"], "there is nothing at /nowhere");
    call("DELETE", "/nowhere", &[], "").await.problem(404, "not-found");
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_and_allow_names_the_right_ones() {
    let answer = get("/process").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");
    let answer = call("PUT", A_JOB, &[], "").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD,DELETE");
}

#[tokio::test]
async fn what_is_not_a_uuid_or_not_a_job_is_not_found() {
    for end in ["", "/result", "/data"] {
        get(&format!("/jobs/not-a-uuid{end}")).await.problem(404, "not-found");
        get(&format!("/jobs/%FF{end}")).await.problem(404, "not-found");
        get(&format!("{A_JOB}{end}")).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn an_unknown_query_parameter_is_refused_by_its_name_everywhere() {
    for path in ["/jobs", A_JOB, "/health/live", "/health/ready", "/openapi.json"] {
        let problem = get(&format!("{path}?colour=red")).await.problem(400, "malformed-request");
        assert_eq!(problem["errors"][0]["pointer"], "?colour", "{path}");
    }
    let problem = call("POST", "/process?engine=auto", &[], r#"{"data": [1]}"#).await;
    assert_eq!(problem.problem(400, "malformed-request")["errors"][0]["pointer"], "?engine");
    let problem = call("POST", "/process?engine=auto&colour=red", &[("content-type", "text/csv")], "1").await;
    assert_eq!(problem.problem(400, "malformed-request")["errors"][0]["pointer"], "?colour");
}

#[tokio::test]
async fn the_list_of_an_empty_bucket_is_empty() {
    let answer = get("/jobs?limit=5&status=failed").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"jobs": [], "next_cursor": null})));
}

#[tokio::test]
async fn a_body_of_another_form_or_coding_is_not_read() {
    for (header, read) in
        [(("content-type", "image/png"), "application/json"), (("content-encoding", "br"), "gzip")]
    {
        let problem = call("POST", "/process", &[header], "1").await.problem(415, "unsupported-media-type");
        assert!(problem["hint"].as_str().expect("a hint").contains(read));
    }
}

#[tokio::test]
async fn a_body_without_a_content_type_is_taken_for_json() {
    call("POST", "/process", &[], r#"{"data": [1, 2]}"#).await.problem(503, "storage-unavailable");
    call("POST", "/process", &[], "data").await.problem(400, "malformed-request");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_or_not_it_says_its_length() {
    let fits = format!("{{\"data\": [{}1]}}", "1,".repeat((MAX_BODY - 13) / 2));
    assert_eq!(fits.len(), MAX_BODY - 1);
    post(fits.clone()).await.problem(503, "storage-unavailable");
    let pieces = [fits, "  ".into()].map(Ok::<_, std::io::Error>);
    let problem = post(Body::from_stream(stream::iter(pieces))).await.problem(413, "too-large");
    assert!(problem["detail"].as_str().expect("a sentence").contains("2000 bytes"));
    assert!(problem["hint"].as_str().expect("a hint").contains("/uploads"));
    let headers = [("content-length", "2001")];
    call("POST", "/process", &headers, "").await.problem(413, "too-large");
}

#[tokio::test]
async fn a_body_of_data_is_read_and_its_settings_are_checked_before_it() {
    let csv = [("content-type", "text/csv")];
    call("POST", "/process?normalization=robust", &csv, "1\n2\n").await.problem(503, "storage-unavailable");
    let problem =
        call("POST", "/process?normalization=most&where=", &csv, "1").await.problem(422, "invalid-request");
    assert_eq!(problem["errors_total"], 2);
    call("POST", "/process", &csv, "").await.problem(400, "malformed-request");
    call("POST", "/process", &csv, "1\n".repeat(MAX_BODY)).await.problem(413, "too-large");
}

#[tokio::test]
async fn a_compressed_body_is_bound_by_what_it_says() {
    let text = |length: usize| format!("{{\"data\": [{}1]}}", "1,".repeat((length - 13) / 2));
    let zstd = [("content-encoding", "zstd")];
    let fits = zstd::encode_all(text(MAX_DECODED).as_bytes(), 3).expect("memory");
    call("POST", "/process", &zstd, fits.clone()).await.problem(503, "storage-unavailable");
    let bomb = zstd::encode_all(text(MAX_DECODED * 1000).as_bytes(), 3).expect("memory");
    assert!(bomb.len() < MAX_BODY, "it is sent as few bytes");
    call("POST", "/process", &zstd, bomb).await.problem(413, "too-large");
    call("POST", "/process", &zstd, fits[..fits.len() - 1].to_vec()).await.problem(400, "malformed-request");
    call("POST", "/process", &[("content-encoding", "gzip")], fits).await.problem(400, "malformed-request");
}

#[tokio::test]
async fn json_that_is_nested_too_deeply_is_refused_wherever_it_stands() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for key in ["data", "colour", "source", "spark_config"] {
        let body = format!("{{\"{key}\": {}}}", nested(400));
        let problem = post(body).await.problem(400, "malformed-request");
        assert!(
            problem["detail"].as_str().expect("a sentence").contains("nested too deeply"),
            "{key}: {problem}"
        );
    }
    post(format!("{{\"data\": {}}}", nested(50))).await.problem(422, "invalid-request");
}

#[tokio::test]
async fn a_long_answer_is_compressed_for_whoever_accepts_it() {
    let plain = get("/openapi.json").await;
    assert!(plain.header("vary").contains("accept-encoding") && plain.header("content-encoding").is_empty());
    let answer = call("GET", "/openapi.json", &[("accept-encoding", "gzip;q=0.5, zstd")], "").await;
    assert_eq!(answer.header("content-encoding"), "zstd");
    assert!(zstd::decode_all(&answer.body[..]).expect("zstd") == plain.body);
    let short = call("GET", "/health/live", &[("accept-encoding", "gzip")], "").await;
    assert_eq!(short.header("content-encoding"), "");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_malformed() {
    let pieces = [Ok("{\"data\": [1"), Err(std::io::Error::other("gone"))];
    post(Body::from_stream(stream::iter(pieces))).await.problem(400, "malformed-request");
}

#[tokio::test]
async fn every_fault_of_a_request_comes_with_its_pointer() {
    let problem = post(r#"{"data": [1, "abc"], "colour": 1}"#).await.problem(422, "invalid-request");
    assert_eq!((&problem["status_text"], &problem["errors_total"]), (&json!("validation_failed"), &json!(2)));
    assert_eq!(problem["error"], problem["detail"]);
    assert!(problem.get("job_id").is_none());
}

#[tokio::test]
async fn a_passing_fault_says_when_to_come_back_and_keeps_its_cause_to_the_log() {
    let answer = post(r#"{"data": [1, 2]}"#).await;
    answer.problem(503, "storage-unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
}

#[tokio::test]
async fn a_panic_is_answered_without_its_message() {
    let answer = get(&format!("/jobs?cursor={PANIC_CURSOR}")).await;
    answer.problem(500, "internal");
    assert!(!String::from_utf8_lossy(&answer.body).contains("falls over"));
}

#[tokio::test]
async fn a_form_that_is_not_written_is_told_before_the_job_is_looked_for() {
    let answer = call("GET", &format!("{A_JOB}/data"), &[("accept", "image/png")], "").await;
    let problem = answer.problem(406, "not-acceptable");
    assert!(problem["detail"].as_str().expect("a sentence").contains("text/csv"));
}

#[tokio::test]
async fn the_page_of_the_api_runs_its_own_script_alone() {
    let answer = get("/docs").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    let page = String::from_utf8(answer.body).expect("text");
    assert!(page.contains("fetch(\"openapi.json\")") && !page.contains("/*script*/"));
}

#[tokio::test]
async fn health_is_told_and_not_kept_in_caches() {
    for (path, status) in [("/health/live", "live"), ("/health/ready", "ready")] {
        let answer = get(path).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"status": status})));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn head_answers_as_get_does_but_without_a_body() {
    let answer = call("HEAD", "/health/live", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-type"), "application/json");
}
