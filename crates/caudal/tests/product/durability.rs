//! What is promised is kept: across kills, signals, full disks and folders that vanish; and what is old goes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Place, Run, Server, binary};

const SMALL: &str = r#"{"data": [1, 2, 3, 4, 5], "pipeline_type": "both"}"#;

fn numbers(count: u64) -> String {
    let list: Vec<String> = (0..count).map(|i| format!("{}", (i * 2_654_435_761) % 1_000_003)).collect();
    format!("{{\"data\": [{}], \"pipeline_type\": \"both\"}}", list.join(","))
}

fn submit(server: &Server, body: &str) -> String {
    let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
    let answer = server.request("POST", "/process", &headers, Some(body.as_bytes()));
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json()["job_id"].as_str().expect("an id").to_owned()
}

fn signalled(server: &Server, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &server.pid().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn a_server_that_is_killed_over_and_over_loses_and_doubles_nothing() {
    let place = Place::new();
    let heir = place.server();
    let mut killed = place.server();
    let mut jobs = Vec::new();
    for round in 0..3 {
        let body = numbers(60_000 + round);
        jobs.extend((0..4).map(|_| submit(&killed, &body)));
        jobs.push(submit(&heir, SMALL));
        killed.kill();
        killed = place.server();
    }
    let (mut taken_over, mut ends) = (0, 0);
    for job in &jobs {
        let status = heir.wait_for(job);
        assert_eq!(status["status"], "completed", "{status}");
        let states = status["transitions"].as_array().expect("states");
        ends += states.iter().filter(|state| state["state"] == "completed").count();
        let history = status["attempt_history"].as_array().expect("attempts");
        assert_eq!(history[0]["cause"], "submitted");
        taken_over += history.iter().filter(|attempt| attempt["cause"] == "abandoned").count();
    }
    println!("{} jobs over 3 kills: 0 lost, {ends} ends, {taken_over} taken over in the middle", jobs.len());
    assert_eq!(ends, jobs.len());
}

#[test]
fn jobs_that_run_are_let_end_and_those_that_wait_are_left_to_the_next_start() {
    let place = Place::new();
    let one_at_a_time = [("CAUDAL__ORCHESTRATION__RUNNING_JOBS", PathBuf::from("1"))];
    let server = Server::start_with(&place.bucket(), &[], &one_at_a_time);
    let body = numbers(400_000);
    let jobs: Vec<String> = (0..3).map(|_| submit(&server, &body)).collect();
    signalled(&server, "TERM");
    assert!(server.wait().success());
    let left = fs::read_dir(place.bucket().join("active")).expect("markers").count();
    assert!((1..=3).contains(&left), "{left} jobs were left");
    let next = place.server();
    for job in &jobs {
        let status = next.wait_for(job);
        assert_eq!(status["status"], "completed", "{status}");
        let causes = status["attempt_history"].as_array().expect("attempts");
        assert!(causes.iter().all(|attempt| attempt["cause"] != "abandoned"), "nobody died: {status}");
    }
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let place = Place::new();
    let patient = [("CAUDAL__SERVER__DRAIN_SECONDS", PathBuf::from("3000"))];
    let server = Server::start_with(&place.bucket(), &[], &patient);
    let job = submit(&server, &numbers(1_000_000));
    signalled(&server, "TERM");
    // The first has been heard when nothing is taken in any more.
    while server.tries("/health/live") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signalled(&server, "INT");
    let status = server.wait();
    assert!(status.code() == Some(130) || status.success(), "{status}: at once, or with nothing left to do");
    assert_eq!(place.server().wait_for(&job)["status"], "completed");
}

#[test]
fn a_folder_that_is_taken_away_is_missed_and_used_again_when_it_is_back() {
    let place = Place::new();
    let server = place.server();
    assert_eq!(server.post("/process", SMALL).status, 200);
    let aside = place.dir.path().join("aside");
    fs::rename(place.bucket(), &aside).expect("the folder can be moved");
    let problem = server.post("/process", SMALL).problem(503, "storage-unavailable");
    assert!(problem["detail"].as_str().expect("a detail").contains("is gone"), "{problem}");
    server.get("/health/ready").problem(503, "storage-unavailable");
    assert!(!place.bucket().exists(), "nothing is begun anew in its place");
    fs::rename(&aside, place.bucket()).expect("the folder can be moved back");
    assert_eq!(server.get("/health/ready").status, 200);
    assert_eq!(server.post("/process", SMALL).status, 200);
}

/// A small disk of its own for one test; none where the system does not let one be mounted.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, size: &str) -> Option<Disk> {
        fs::create_dir_all(at).expect("a folder");
        let options = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Disk(at.to_owned())),
            _ => {
                println!("skipped: no file system can be mounted here, so no full disk was tried");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let option = format!("remount,{options}");
        let done = Command::new("mount").args(["-o", &option]).arg(&self.0).status();
        assert!(done.expect("mount runs").success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Busy while a server that was not ended still has it; lazily, it goes with the last of them.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_is_said_to_be_and_harms_nothing_and_room_is_used_again() {
    let place = Place::new();
    let Some(_disk) = Disk::mount(&place.bucket(), "6m") else { return };
    // Room is soon made, and no try is to be waited for.
    let impatient = [("CAUDAL__ORCHESTRATION__RETRIES", PathBuf::from("0"))];
    let server = Server::start_with(&place.bucket(), &[], &impatient);
    let first = server.post("/process", SMALL).json();
    let job = first["job_id"].as_str().expect("an id").to_owned();
    let filling = place.bucket().join("filling");
    let full = fs::write(&filling, vec![7_u8; 8 << 20]);
    assert!(full.is_err(), "the disk has room for all of it");
    let problem = server.post("/process", SMALL).problem(503, "storage-unavailable");
    let detail = problem["detail"].as_str().expect("a detail");
    assert!(detail.contains("the disk is full"), "{problem}");
    assert_eq!(server.get(&format!("/jobs/{job}/result")).json(), first, "what is stored is whole");
    fs::remove_file(&filling).expect("room is made");
    assert_eq!(server.post("/process", SMALL).status, 200);
    // In the middle of a job: the result has no room, and is written by whoever takes the job up when there is.
    let large = submit(&server, &numbers(40_000));
    let _ = fs::write(&filling, vec![7_u8; 8 << 20]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::remove_file(&filling).expect("room is made");
    let status = server.wait_for(&large);
    let states = ["completed", "failed"];
    assert!(states.iter().any(|state| status["status"] == **state), "{status}");
    if status["status"] == "failed" {
        let kind = status["error"]["type"].as_str().expect("a type");
        assert!(kind.ends_with("storage-unavailable"), "{status}");
    }
    assert_eq!(server.get(&format!("/jobs/{job}/result")).json(), first, "what is stored is whole");
}

#[test]
fn a_folder_that_becomes_read_only_is_said_to_be() {
    let place = Place::new();
    let Some(disk) = Disk::mount(&place.bucket(), "8m") else { return };
    let server = place.server();
    let first = server.post("/process", SMALL).json();
    disk.remount("ro");
    let problem = server.post("/process", SMALL).problem(503, "storage-unavailable");
    assert!(problem["detail"].as_str().expect("a detail").contains("read-only"), "{problem}");
    let job = first["job_id"].as_str().expect("an id");
    assert_eq!(server.get(&format!("/jobs/{job}/result")).json(), first);
    disk.remount("rw");
    assert_eq!(server.post("/process", SMALL).status, 200);
}

#[test]
fn a_full_house_says_so_with_the_time_to_come_back_and_in_its_metrics() {
    let place = Place::new();
    let narrow = [
        ("CAUDAL__ORCHESTRATION__ADMITTED_JOBS", PathBuf::from("2")),
        ("CAUDAL__ORCHESTRATION__RUNNING_JOBS", PathBuf::from("1")),
    ];
    let server = Server::start_with(&place.bucket(), &[], &narrow);
    let body = numbers(1_000_000);
    let jobs = [submit(&server, &body), submit(&server, &body)];
    let answer = server.post("/process", SMALL);
    answer.problem(503, "overloaded");
    assert!(answer.header("retry-after").parse::<u32>().expect("seconds") >= 1);
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").starts_with("text/plain"), "{}", metrics.header("content-type"));
    let text = metrics.text();
    for line in [
        "caudal_jobs_limit{of=\"admitted\"} 2",
        "caudal_submissions_total{outcome=\"accepted\"} 2",
        "caudal_submissions_total{outcome=\"refused\"} 1",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
    }
    for job in jobs {
        assert_eq!(server.wait_for(&job)["status"], "completed");
    }
}

fn gc(place: &Place, arguments: &[&str]) -> Run {
    let mut command = binary();
    command.arg("gc").args(arguments).arg("--storage").arg(place.bucket());
    Run(command.current_dir(place.dir.path()).output().expect("the binary runs"))
}

#[test]
fn what_nobody_needs_is_shown_and_then_taken_away_and_nothing_else() {
    let place = Place::new();
    let input = place.file("in.csv", "x\n1\n2\n");
    let job = place.response(&input, &[])["job_id"].as_str().expect("an id").to_owned();
    // Made in 2023, as its identity tells, and of no job.
    let orphan = place.bucket().join("normalized_data/01890a5d-ac96-774b-bcce-b302099a8057");
    fs::create_dir_all(&orphan).expect("a folder");
    fs::write(orphan.join("data.json"), "{}").expect("an object");
    let shown = gc(&place, &["--dry-run"]);
    assert_eq!(shown.code(), 0, "{}", shown.stderr());
    assert!(shown.stdout().contains("output without a job: normalized_data/01890a5d"), "{}", shown.stdout());
    assert!(orphan.join("data.json").exists(), "a dry run takes nothing");
    assert!(gc(&place, &[]).stderr().contains("1 taken away"));
    assert!(!orphan.exists());
    assert!(gc(&place, &[]).stderr().contains("0 taken away"));
    let server = place.server();
    assert_eq!(server.get(&format!("/jobs/{job}")).json()["status"], json!("completed"));
    let result: Value = server.get(&format!("/jobs/{job}/result")).json();
    assert_eq!(result["job_id"], json!(job));
}
