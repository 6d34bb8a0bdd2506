//! The GPU as users meet it: there or not, asked for or chosen, working or failing. Through the emulation of
//! `crates/kernels/cuda/emulation` where `.ci/gpu` has put it in the driver's place, or on a real card.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, Run, Server, binary};

/// What the doctor says of the GPU, with more in its environment.
fn doctor(variables: &[(&str, &str)]) -> Value {
    let mut command = binary();
    command.args(["doctor", "--format", "json"]).envs(variables.iter().copied());
    let findings = Run(command.output().expect("the binary runs")).json();
    let gpu = findings.as_array().expect("findings").iter().find(|finding| finding["name"] == "gpu");
    gpu.expect("something about the GPU").clone()
}

/// A finding of the doctor's where there is a card; without one the test says that it skips.
fn card() -> Option<String> {
    let gpu = doctor(&[]);
    if gpu["state"] == "ok" {
        return gpu["detail"].as_str().map(str::to_owned);
    }
    println!("skipped: {}", gpu["detail"]);
    None
}

fn emulation() -> bool {
    card().is_some_and(|detail| detail.starts_with("Emulated"))
}

/// Two columns of a block and a half, with everything that is hard.
fn input(place: &Place) -> PathBuf {
    let mut text = String::from("a,b\n");
    for i in 0..100_000_u64 {
        let mixed = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let a = match i % 1_000 {
            0 => String::new(),
            1 => "inf".into(),
            2 => "1e12".into(),
            _ => format!("{}.{}", mixed % 97, mixed % 10),
        };
        text += &format!("{a},{}\n", i as f64 / 7.0 - 3000.0);
    }
    place.file("input.csv", text)
}

fn process(place: &Place, file: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = binary();
    command.arg("process").arg(file).args(["--format", "json", "--output-format", "json", "--storage"]);
    command.arg(place.bucket()).args(arguments).envs(variables.iter().copied());
    Run(command.current_dir(place.dir.path()).output().expect("the binary runs"))
}

/// The stored normalised values, and the columns of the stage's result.
fn stored(place: &Place, response: &Value) -> (Vec<u8>, Value) {
    let job = response["job_id"].as_str().expect("an id");
    let path = place.bucket().join(format!("normalized_data/{job}/data.json"));
    (std::fs::read(path).expect("stored data"), response["gpu_processing"]["columns"].clone())
}

#[test]
fn where_there_is_no_card_auto_says_why_and_gpu_is_refused() {
    let gpu = doctor(&[]);
    if gpu["state"] == "ok" && !emulation() {
        println!("skipped: there is a card");
        return;
    }
    let hidden = [("EMULATED_GPU_DEVICES", "0")];
    let place = Place::new();
    let file = place.file("x.csv", "x\n1\n2\n3\n");
    let response = process(&place, &file, &["--compare-devices"], &hidden).json();
    let stage = &response["gpu_processing"];
    let reason = stage["fallback_reason"].as_str().expect("a reason");
    assert!(reason.contains("GPU") || reason.contains("driver"), "{reason}");
    assert_eq!((&stage["device"], &stage["gpu_used"]), (&"cpu".into(), &false.into()));
    assert!(response["performance_metrics"]["gpu_vs_cpu_speedup"].is_null());
    assert_eq!(stage["comparison"]["reason"], *reason);
    assert!(stage["comparison"]["cpu_seconds"].as_f64().expect("seconds") > 0.0);
    let refused = process(&place, &file, &["--device", "gpu"], &hidden);
    refused.fails(69, "GPU");
    assert!(refused.stderr().contains("device auto"), "{}", refused.stderr());
}

#[test]
fn a_card_gives_the_same_bytes_as_the_processor_for_every_method() {
    let Some(detail) = card() else { return };
    let place = Place::new();
    let file = input(&place);
    for method in ["zscore", "minmax", "maxabs", "robust", "none"] {
        let on =
            |device: &str| process(&place, &file, &["--device", device, "--normalize", method], &[]).json();
        let (cpu, gpu) = (on("cpu"), on("gpu"));
        assert_eq!(stored(&place, &gpu), stored(&place, &cpu), "{method}");
        let stage = &gpu["gpu_processing"];
        assert_eq!((&stage["device"], &stage["gpu_used"]), (&"gpu".into(), &true.into()), "{method}");
        assert!(stage["fallback_reason"].is_null(), "{method}: {stage}");
        assert!(detail.starts_with(stage["device_name"].as_str().expect("a name")), "{detail}");
        assert_eq!(cpu["gpu_processing"]["device_name"], Value::Null);
        let columns = |response: &Value| response["spark_processing"]["rdd_results"]["columns"].clone();
        assert_eq!(columns(&gpu), columns(&cpu), "{method}");
    }
}

#[test]
fn a_card_that_fails_in_the_middle_of_a_job_costs_the_reason_and_no_number() {
    if !emulation() {
        return;
    }
    let place = Place::new();
    let file = input(&place);
    let expected = stored(&place, &process(&place, &file, &["--device", "cpu"], &[]).json());
    // Behind the self-test's fourteen launches: in the survey, and in the rows that are fetched.
    for fault in [
        "cuLaunchKernel:15:719",
        "cuLaunchKernel:17:719",
        "cuMemcpyDtoHAsync_v2:18:700",
        "cuMemcpyHtoDAsync_v2:17:700",
    ] {
        let run = process(&place, &file, &["--device", "gpu"], &[("EMULATED_GPU_FAULT", fault)]);
        let response = run.json();
        assert_eq!(stored(&place, &response), expected, "{fault}");
        let reason = response["gpu_processing"]["fallback_reason"].as_str();
        assert!(reason.is_some_and(|reason| reason.contains("the GPU failed")), "{fault}: {reason:?}");
    }
}

#[test]
fn a_card_with_little_memory_does_what_it_can_and_one_without_is_busy() {
    if !emulation() {
        return;
    }
    let place = Place::new();
    let file = input(&place);
    let expected = stored(&place, &process(&place, &file, &["--device", "cpu"], &[]).json());
    let on = |bytes: &str| process(&place, &file, &["--device", "gpu"], &[("EMULATED_GPU_MEMORY", bytes)]);
    assert_eq!(stored(&place, &on("12000000").json()), expected);
    on("1000000").fails(69, "too little free memory");
}

#[test]
fn a_comparison_times_both_devices_in_the_same_run() {
    if card().is_none() {
        return;
    }
    let place = Place::new();
    let file = input(&place);
    let response = process(&place, &file, &["--compare-devices"], &[]).json();
    let comparison = &response["gpu_processing"]["comparison"];
    let [cpu, gpu] = ["cpu_seconds", "gpu_seconds"].map(|name| comparison[name].as_f64().expect("seconds"));
    let speedup = response["performance_metrics"]["gpu_vs_cpu_speedup"].as_f64().expect("a ratio");
    assert!((speedup - cpu / gpu).abs() < 1e-9 * speedup, "{comparison}: {speedup}");
    assert!(response["processing_summary"]["planner"].as_str().expect("why").contains("by measurements"));
}

#[test]
fn the_server_tells_of_its_card_or_why_there_is_none() {
    let place = Place::new();
    let described = |variables: &[(&str, PathBuf)]| {
        let answer = Server::start_with(&place.bucket(), &[], variables).get("/system");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let found = described(&[]);
    assert!(found["cores"].as_u64().is_some_and(|cores| cores > 0));
    if !emulation() {
        let state = found["gpu"]["state"].as_str().expect("a state").to_owned();
        assert_eq!(state == "ok", doctor(&[])["state"] == "ok", "{state}");
        return;
    }
    assert_eq!((&found["gpu"]["state"], &found["gpu"]["compute_capability"]), (&"ok".into(), &"9.0".into()));
    for (variable, value, state) in [
        ("EMULATED_GPU_VERSION", "11040", "driver_too_old"),
        ("EMULATED_GPU_DEVICES", "0", "no_device"),
        ("EMULATED_GPU_CAPABILITY", "61", "device_too_old"),
        ("EMULATED_GPU_RETAIN", "46", "busy"),
        ("EMULATED_GPU_BROKEN", "block_moments", "self_test_failed"),
    ] {
        let found = described(&[(variable, value.into())]);
        assert_eq!(found["gpu"]["state"], state, "{found}");
        assert_eq!(doctor(&[(variable, value)])["state"], "missing");
    }
}

/// A running `caudal gpu-worker`; killed when it goes out of scope.
struct Worker {
    child: std::process::Child,
    url: String,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const TOKEN: &str = "a-token-for-tests-only";

impl Worker {
    fn start(place: &Place, variables: &[(&str, &str)]) -> Worker {
        let mut child = binary()
            .args(["gpu-worker", "--listen", "127.0.0.1:0", "--storage"])
            .arg(place.dir.path().join("worker"))
            .env("CAUDAL__GPU__TOKEN", TOKEN)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the worker starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let url = lines
            .find_map(|line| Some(line.ok()?.split_once("listens on ")?.1.to_owned()))
            .expect("the worker listens");
        std::thread::spawn(move || lines.for_each(drop));
        Worker { child, url }
    }

    fn asked<'a>(&'a self, token: &'a str) -> Vec<(&'a str, &'a str)> {
        // The asking host has no card of its own.
        vec![("CAUDAL__GPU__WORKER", &self.url), ("CAUDAL__GPU__TOKEN", token), ("EMULATED_GPU_DEVICES", "0")]
    }
}

#[test]
fn a_worker_does_the_stage_for_a_host_without_a_card_to_the_same_bytes() {
    if card().is_none() {
        return;
    }
    let place = Place::new();
    let file = input(&place);
    let worker = Worker::start(&place, &[]);
    for method in ["zscore", "robust"] {
        let cpu = process(&place, &file, &["--device", "cpu", "--normalize", method], &[]).json();
        let remote =
            process(&place, &file, &["--device", "gpu", "--normalize", method], &worker.asked(TOKEN)).json();
        assert_eq!(stored(&place, &remote), stored(&place, &cpu), "{method}");
        let stage = &remote["gpu_processing"];
        assert_eq!((&stage["device"], &stage["gpu_used"]), (&"gpu".into(), &true.into()), "{stage}");
        assert!(stage["device_name"].as_str().expect("a name").contains(&worker.url), "{stage}");
    }
    let auto = process(&place, &file, &[], &worker.asked(TOKEN)).json();
    let why = auto["processing_summary"]["planner"].as_str().expect("why");
    assert!(why.contains("by measurements") && why.contains(&worker.url), "{why}");
}

#[test]
fn a_worker_answers_those_who_know_its_token_and_is_none_without_one() {
    if card().is_none() {
        return;
    }
    let place = Place::new();
    let file = place.file("x.csv", "x\n1\n2\n3\n");
    let worker = Worker::start(&place, &[]);
    let refused = process(&place, &file, &["--device", "gpu"], &worker.asked("another-token-of-some-length"));
    refused.fails(69, "401");
    let auto = process(&place, &file, &[], &worker.asked("another-token-of-some-length")).json();
    let reason = auto["gpu_processing"]["fallback_reason"].as_str().expect("a reason");
    assert!(reason.contains("401"), "{reason}");
    for path in ["/v1/device", "/v1/normalize?normalization=zscore"] {
        let answer = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let answer = match path {
            "/v1/device" => answer.get(format!("{}{path}", worker.url)).call(),
            _ => answer.post(format!("{}{path}", worker.url)).send(&b"nothing"[..]),
        };
        assert_eq!(answer.expect("an answer").status(), 401, "{path}");
    }
    for token in ["", "short"] {
        let mut command = binary();
        command.args(["gpu-worker", "--listen", "127.0.0.1:0"]).env("CAUDAL__GPU__TOKEN", token);
        Run(command.output().expect("the binary runs")).fails(2, "gpu.token");
    }
}

#[test]
fn a_worker_that_is_gone_or_takes_no_more_costs_the_reason_and_no_job() {
    if card().is_none() {
        return;
    }
    let place = Place::new();
    let file = input(&place);
    let expected = stored(&place, &process(&place, &file, &["--device", "cpu"], &[]).json());
    let gone = {
        let worker = Worker::start(&place, &[]);
        worker.url.clone()
    };
    let asked = [("CAUDAL__GPU__WORKER", gone.as_str()), ("CAUDAL__GPU__TOKEN", TOKEN)];
    process(&place, &file, &["--device", "gpu"], &asked).fails(69, "does not answer");
    let auto = process(&place, &file, &[], &asked).json();
    assert_eq!(stored(&place, &auto), expected);
    assert!(
        auto["gpu_processing"]["fallback_reason"].as_str().is_some_and(|r| r.contains("does not answer"))
    );
    // A card that fails in the middle of the worker's job: its processor goes on, and says so.
    if emulation() {
        let worker = Worker::start(&place, &[("EMULATED_GPU_FAULT", "cuLaunchKernel:15:719")]);
        let remote = process(&place, &file, &["--device", "gpu"], &worker.asked(TOKEN)).json();
        assert_eq!(stored(&place, &remote), expected);
        let reason = remote["gpu_processing"]["fallback_reason"].as_str();
        assert!(reason.is_some_and(|reason| reason.contains("the GPU failed")), "{reason:?}");
    }
}

#[test]
fn what_is_no_arrow_stream_is_refused_by_a_worker_and_its_places_stay_free() {
    if card().is_none() {
        return;
    }
    let place = Place::new();
    let worker = Worker::start(&place, &[("CAUDAL__GPU__WORKER_JOBS", "1")]);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    for body in [&b""[..], b"nothing", b"\xff\xff\xff\xff\x10\0\0\0broken"] {
        for _ in 0..3 {
            let answer = agent
                .post(format!("{}/v1/normalize?normalization=zscore", worker.url))
                .header("authorization", format!("Bearer {TOKEN}"))
                .send(body);
            assert_eq!(answer.expect("an answer").status(), 400, "{body:?}");
        }
    }
    let file = place.file("x.csv", "x\n1\n2\n3\n");
    let done = process(&place, &file, &["--device", "gpu"], &worker.asked(TOKEN)).json();
    assert_eq!(done["gpu_processing"]["device"], "gpu");
}
