//! `DELETE /jobs/{id}`: jobs that nobody wants any more stop, and what has ended goes away whole.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Answer, Place, Server};

/// Enough rows for both pipelines to work on for much longer than a request takes.
fn long_table() -> String {
    let rows = (0..3_000_000u64).map(|i| format!("{}\n", (i * 2_654_435_761) % 1_000_003));
    std::iter::once("x\n".to_owned()).chain(rows).collect()
}

fn submit(server: &Server, table: &str) -> String {
    let headers = [("content-type", "text/csv"), ("prefer", "respond-async")];
    let answer = server.request("POST", "/process?pipeline_type=both", &headers, Some(table.as_bytes()));
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["job_id"].as_str().expect("an id").to_owned()
}

fn delete(server: &Server, job: &str) -> Answer {
    server.request("DELETE", &format!("/jobs/{job}"), &[], None)
}

/// Every object whose key names the job.
fn objects_of(folder: &Path, job: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            objects_of(&path, job, found);
        } else if path.to_string_lossy().contains(job) {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn a_job_that_runs_and_one_that_waits_are_cancelled_within_a_second() {
    let place = Place::new();
    let one_at_a_time = [("CAUDAL__ORCHESTRATION__RUNNING_JOBS", "1".into())];
    let server = Server::start_with(&place.bucket(), &[], &one_at_a_time);
    let table = long_table();
    let (runs, waits) = (submit(&server, &table), submit(&server, &table));
    for job in [&waits, &runs] {
        let asked = Instant::now();
        let answer = delete(&server, job);
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert_eq!(answer.header("location"), format!("/jobs/{job}"));
        assert_eq!(answer.json()["job_id"], job.as_str());
        let status = server.wait_for(job);
        let taken = asked.elapsed();
        assert_eq!(status["status"], "cancelled", "{status}");
        assert!(taken < Duration::from_millis(1500), "it took {taken:?} to be cancelled");
        println!("a job was cancelled and seen to be after {} ms", taken.as_millis());
        let result = server.get(&format!("/jobs/{job}/result")).json();
        assert_eq!(
            result["error"]["type"].as_str().map(|t| t.ends_with("/cancelled")),
            Some(true),
            "{result}"
        );
    }
    let answer = server.post("/process", r#"{"data": [1, 2, 3]}"#);
    assert_eq!(answer.status, 200, "others go on: {}", answer.text());
}

#[test]
fn of_a_job_that_has_ended_nothing_is_left_and_of_others_everything() {
    let place = Place::new();
    let server = place.server();
    let jobs: Vec<String> = ["json", "parquet"]
        .iter()
        .map(|form| {
            let body = format!(r#"{{"data": [1, 2, 4, 8], "output_format": "{form}"}}"#);
            server.post("/process", body).json()["job_id"].as_str().expect("an id").to_owned()
        })
        .collect();
    let [gone, stays] = &jobs[..] else { panic!("two jobs") };
    let answer = delete(&server, gone);
    assert_eq!((answer.status, answer.body.len()), (204, 0), "{}", answer.text());
    let mut left = Vec::new();
    objects_of(&place.bucket(), gone, &mut left);
    assert_eq!(left, Vec::<String>::new());
    for path in ["", "/result", "/data", "/events"] {
        server.get(&format!("/jobs/{gone}{path}")).problem(404, "not-found");
    }
    delete(&server, gone).problem(404, "not-found");
    let listed = server.get("/jobs").json();
    let listed: Vec<_> = listed["jobs"].as_array().expect("jobs").iter().map(|job| &job["job_id"]).collect();
    assert_eq!(listed, [stays.as_str()]);
    assert_eq!(server.get(&format!("/jobs/{stays}/data")).status, 200);
    // A server that starts anew finds nothing of it either.
    server.kill();
    place.server().get(&format!("/jobs/{gone}")).problem(404, "not-found");
}

#[test]
fn a_cancelled_job_can_be_taken_away_and_a_query_is_refused() {
    let place = Place::new();
    let server = place.server();
    let job = submit(&server, &long_table());
    server.request("DELETE", &format!("/jobs/{job}?force=true"), &[], None).problem(400, "malformed-request");
    assert_eq!(delete(&server, &job).status, 202);
    assert_eq!(server.wait_for(&job)["status"], "cancelled");
    assert_eq!(delete(&server, &job).status, 204);
    let mut left = Vec::new();
    objects_of(&place.bucket(), &job, &mut left);
    assert_eq!(left, Vec::<String>::new());
}
