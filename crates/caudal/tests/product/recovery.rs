//! What a crash leaves behind is finished by the next start.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Place, Server};

/// A million numbers: long enough to be killed in the middle of.
fn long_request() -> String {
    let list: Vec<String> =
        (0..1_000_000u64).map(|i| format!("{}", (i * 2_654_435_761) % 1_000_003)).collect();
    format!("{{\"data\": [{}], \"pipeline_type\": \"both\"}}", list.join(","))
}

fn submit_async(server: &Server, body: &str) -> String {
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let answer = server.request("POST", "/process", &headers, Some(body.as_bytes()));
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["job_id"].as_str().expect("an id").to_owned()
}

fn journal(bucket: &Path, job: &str) -> Vec<Value> {
    let mut files: Vec<PathBuf> = fs::read_dir(bucket.join("jobs").join(job).join("journal"))
        .expect("a journal")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| serde_json::from_slice(&fs::read(file).expect("an entry")).expect("JSON"))
        .collect()
}

#[test]
fn a_killed_server_finishes_its_jobs_after_the_next_start() {
    let place = Place::new();
    let server = place.server();
    let body = long_request();
    let jobs: Vec<_> = (0..3).map(|_| submit_async(&server, &body)).collect();
    server.kill();
    assert_eq!(
        fs::read_dir(place.bucket().join("active")).expect("markers").count(),
        3,
        "none had finished yet"
    );
    let server = place.server();
    for job in &jobs {
        let status = server.wait_for(job);
        assert_eq!(status["status"], "completed", "{status}");
        let result = server.get(&format!("/jobs/{job}/result")).json();
        assert_eq!(result["processing_summary"]["data_processed"], 1_000_000);
        assert_eq!(result["spark_processing"]["agreement"], true);
    }
    wait_for_no_marker(&place);
}

/// A job is seen to have ended a moment before it is compacted and its marker goes.
fn wait_for_no_marker(place: &Place) {
    for _ in 0..100 {
        if fs::read_dir(place.bucket().join("active")).expect("markers").count() == 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("a marker is still there");
}

#[test]
fn a_job_is_taken_up_from_whatever_state_its_journal_ends_in() {
    let place = Place::new();
    let server = place.server();
    let answer = server.post("/process", r#"{"data": [1, 2, 3, 4], "pipeline_type": "both"}"#).json();
    let job = answer["job_id"].as_str().expect("an id").to_owned();
    server.kill();
    let entries = journal(&place.bucket(), &job);
    assert_eq!(entries.len(), 6);
    // From the last state back to the first: everything after it is taken away, as if never reached.
    for kept in (1..6).rev() {
        for number in kept..6 {
            let entry = place.bucket().join(format!("jobs/{job}/journal/{number:08}.json"));
            let _ = fs::remove_file(entry);
        }
        for later in [format!("jobs/{job}/job.json"), format!("spark_results/{job}/final_results.json")] {
            let _ = fs::remove_file(place.bucket().join(later));
        }
        fs::write(place.bucket().join("active").join(&job), "").expect("a marker");
        let server = place.server();
        let status = server.wait_for(&job);
        assert_eq!(status["status"], "completed", "kept {kept}: {status}");
        // A job that only waited was not attempted before.
        let attempts = if kept == 1 { 1 } else { 2 };
        assert_eq!(status["attempts"], attempts, "kept {kept}");
        let result = server.get(&format!("/jobs/{job}/result")).json();
        for part in ["data_quality", "s3_paths"] {
            assert_eq!(result[part], answer[part], "kept {kept}");
        }
        for pipeline in ["rdd_results", "dataframe_results"] {
            assert_eq!(
                result["spark_processing"][pipeline]["columns"],
                answer["spark_processing"][pipeline]["columns"]
            );
        }
        server.kill();
    }
}

#[test]
fn a_second_process_on_the_same_folder_leaves_running_jobs_alone() {
    let place = Place::new();
    let first = place.server();
    let jobs: Vec<_> = (0..3).map(|_| submit_async(&first, &long_request())).collect();
    let second = place.server();
    let input = place.file("in.csv", "x\n1\n2\n");
    place.response(&input, &[]);
    for job in &jobs {
        let status = second.wait_for(job);
        assert_eq!((&status["status"], &status["attempts"]), (&json!("completed"), &json!(1)), "{status}");
    }
    wait_for_no_marker(&place);
    let leases = place.bucket().join("jobs").join(&jobs[0]).join("lease");
    assert_eq!(fs::read_dir(leases).map_or(0, Iterator::count), 0, "the leases went with the job");
}

#[test]
fn a_server_that_runs_already_takes_over_what_another_one_left() {
    let place = Place::new();
    let heir = place.server();
    let killed = place.server();
    let jobs: Vec<_> = (0..3).map(|_| submit_async(&killed, &long_request())).collect();
    killed.kill();
    for job in &jobs {
        let status = heir.wait_for(job);
        assert_eq!(status["status"], "completed", "{status}");
    }
}

#[test]
fn a_stage_that_runs_twice_leaves_the_same_bytes() {
    let place = Place::new();
    let input = place.file("in.csv", "x,y\n1,2\n3,\n5,8\n");
    let data = |format: &str, name: &str| {
        let response = place.response(&input, &["--output-format", format]);
        let job = response["job_id"].as_str().expect("an id");
        fs::read(place.bucket().join("normalized_data").join(job).join(name)).expect("stored data")
    };
    for (format, name) in
        [("json", "data.json"), ("parquet", "part-00000.parquet"), ("arrow", "part-00000.arrow")]
    {
        assert_eq!(data(format, name), data(format, name), "{format}");
    }
}

#[test]
fn a_marker_of_a_job_that_was_never_queued_is_cleared_away() {
    let place = Place::new();
    let job = "01990000-0000-7000-8000-000000000000";
    fs::create_dir_all(place.bucket().join("active")).expect("a folder");
    fs::write(place.bucket().join("active").join(job), "").expect("a marker");
    let server = place.server();
    server.get(&format!("/jobs/{job}")).problem(404, "not-found");
    wait_for_no_marker(&place);
}

#[test]
fn a_terminated_server_stops_and_keeps_what_it_had_promised() {
    let place = Place::new();
    let server = place.server();
    let job = submit_async(&server, &long_request());
    let stopped =
        std::process::Command::new("kill").arg(server.pid().to_string()).status().expect("kill runs");
    assert!(stopped.success());
    assert!(server.wait().success());
    let server = place.server();
    assert_eq!(server.wait_for(&job)["status"], json!("completed"));
}

#[test]
fn a_read_only_bucket_is_said_so_and_nothing_stored_is_harmed() {
    let place = Place::new();
    let input = place.file("in.csv", "x\n1\n2\n");
    place.file("bucket", "this is a file, not a folder");
    place.process(&[input.to_str().expect("UTF-8")]).fails(74, "bucket");
    assert_eq!(fs::read_to_string(place.bucket()).expect("untouched"), "this is a file, not a folder");
}
