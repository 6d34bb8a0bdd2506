//! Files as users have them: damaged, linked, oddly named or no files at all; every fault is told.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Place, Server, binary};

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The problem of a source that cannot be processed, and its faults as `pointer: detail`.
fn faults(server: &Server, file: &Path, columns: &[&str]) -> Vec<String> {
    let mut source = json!({"uri": format!("file:{}", file.display())});
    if !columns.is_empty() {
        source["columns"] = json!(columns);
    }
    let body = json!({ "source": source }).to_string();
    told(&server.post("/process", body).problem(422, "invalid-data"))
}

fn told(problem: &Value) -> Vec<String> {
    let faults = problem["errors"].as_array().expect("errors");
    assert!(problem["errors_total"].as_u64() >= Some(faults.len() as u64));
    let text = |fault: &Value, part: &str| fault[part].as_str().expect("text").to_owned();
    faults.iter().map(|f| format!("{}: {}", text(f, "pointer"), text(f, "detail"))).collect()
}

#[test]
fn rows_behind_an_open_quote_are_not_lost_in_silence() {
    let place = Place::new();
    let file = place.file("open.csv", "a,b\n1,2\n3,\"4\n5,6\n7,8\n");
    let run = place.process(&[utf8(&file)]);
    run.fails(65, "row 2, column b: line 3");
    run.fails(65, "close the cell with a quote");
}

#[test]
fn every_fault_of_a_json_or_ndjson_file_is_told() {
    let place = Place::new();
    let server = place.server();
    let array = place.file("array.json", r#"[1,"a",[2],{"x":1},true]"#);
    assert_eq!(faults(&server, &array, &[]).len(), 4);
    let arrays = place.file("arrays.json", r#"{"a":[1,"x",null,true],"b":[1,2,3,4],"c":3}"#);
    assert_eq!(
        faults(&server, &arrays, &["a", "b"]),
        [
            "/a/1: expected a number, found \"x\"",
            "/a/3: expected a number, found true",
            "/c: expected an array of numbers, found the number 3",
        ]
    );
    let lines = place.file("lines.ndjson", "{\"a\":1}\n{\"a\":}\n{\"a\":2}\n{a:1}\n");
    let told = faults(&server, &lines, &[]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("line 2: ") && told[1].starts_with("line 4: "), "{told:?}");
    assert!(!told.concat().contains("line 1"), "{told:?}");
}

#[test]
fn a_source_without_rows_or_cut_off_has_a_fault_with_the_source_as_its_place() {
    let place = Place::new();
    let server = place.server();
    for (name, content) in [
        ("empty.csv", ""),
        ("header.csv", "a,b\n"),
        ("empty.json", "[]"),
        ("cut.parquet", "PAR1abc"),
        ("cut.arrow", "ARROW1abc"),
    ] {
        let told = faults(&server, &place.file(name, content), &[]);
        assert!(told.len() == 1 && told[0].starts_with("/source: "), "{name}: {told:?}");
    }
}

#[test]
fn numbers_beyond_f64_in_a_request_are_faults_beside_the_others() {
    let place = Place::new();
    let server = place.server();
    let bounds = "expected a number within ±1.7976931348623157e308, found";
    let long = "9".repeat(400);
    let body = format!(
        r#"{{"data": [1, 1e999, "x", {long}], "max_cost_usd": 1e400, "spark_config": {{"executor_cores": -1e999}}}}"#
    );
    let problem = server.post("/process", body).problem(422, "invalid-request");
    let told = told(&problem);
    assert_eq!(
        told,
        [
            format!("/data/1: {bounds} 1e999"),
            "/data/2: expected a number or null, found \"x\"".into(),
            format!("/data/3: {bounds} {}…", &long[..40]),
            format!("/max_cost_usd: {bounds} 1e400"),
            format!("/spark_config/executor_cores: {bounds} -1e999"),
        ]
    );
}

#[test]
fn inline_integers_beyond_every_integer_type_are_counted_where_they_lose_digits() {
    let place = Place::new();
    let body = "\u{feff}{\"data\": [18446744073709551617, 18446744073709551616, 9007199254740993, 1e30]}";
    let answer = place.server().post("/process", body).json();
    let column = ["rdd_results", "dataframe_results"]
        .map(|pipeline| answer["spark_processing"][pipeline]["columns"]["value"]["inexact_integers"].clone());
    assert!(column.contains(&json!(2)), "{answer}");
}

#[test]
fn settings_nested_without_end_are_refused() {
    let place = Place::new();
    let server = place.server();
    for (open, close) in [("{\"a\":", "}"), ("[", "]")] {
        let deep =
            format!("{{\"data\": [1], \"source\": {}1{}}}", open.repeat(100_000), close.repeat(100_000));
        let status = server.post("/process", &deep).status;
        assert!(status == 400 || status == 422, "{status}");
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_or_device_is_refused_and_keeps_no_server_waiting() {
    let place = Place::new();
    let pipe = place.dir.path().join("pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    place.process(&[utf8(&pipe)]).fails(66, "a pipe; expected one regular file");
    let mut piped = binary();
    piped
        .args(["process", "/dev/stdin", "--storage"])
        .arg(place.bucket())
        .stdin(std::process::Stdio::piped());
    piped.stderr(std::process::Stdio::piped());
    let run = piped.spawn().and_then(std::process::Child::wait_with_output).expect("runs");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.code() == Some(66) && stderr.contains("/dev/stdin is a pipe"), "{stderr}");
    place.process(&["/dev/zero"]).fails(66, "a device; expected one regular file");
    let server = place.server();
    let body = json!({"source": {"uri": format!("file:{}", pipe.display())}}).to_string();
    for _ in 0..3 {
        server.post("/process", &body).problem(422, "source-unavailable");
    }
    assert_eq!(server.post("/process", r#"{"data": [1, 2]}"#).status, 200);
}

#[cfg(unix)]
#[test]
fn a_file_that_the_user_names_is_read_wherever_its_link_leads() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let file = elsewhere.file("real.csv", "x\n1\n2\n");
    let link = place.dir.path().join("link.csv");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert_eq!(place.response(&link, &[])["gpu_processing"]["columns"]["x"]["count"], 2);
    let folder = place.dir.path().join("folder");
    std::os::unix::fs::symlink(elsewhere.dir.path(), &folder).expect("a link");
    assert_eq!(place.response(&folder.join("real.csv"), &[])["gpu_processing"]["columns"]["x"]["count"], 2);
    for slashes in ["/", "//"] {
        let doubled = format!("{slashes}{}", file.display());
        assert_eq!(place.response(Path::new(&doubled), &[])["gpu_processing"]["columns"]["x"]["count"], 2);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_told_without_talk_of_servers() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let broken = place.dir.path().join("broken.csv");
    std::os::unix::fs::symlink("/nowhere/at/all.csv", &broken).expect("a link");
    for file in ["nothing.csv", "no/folder.csv", "../no/folder.csv", "/nowhere/x.csv", utf8(&broken)] {
        let run = place.process(&[file]);
        run.fails(66, "there is no file");
        assert!(!run.stderr().contains("--allow"), "{}", run.stderr());
    }
    let name = place.dir.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.csv"));
    std::fs::write(&name, "x\n1\n").expect("written");
    let run = binary().arg("process").arg(&name).arg("--storage").arg(place.bucket()).output().expect("runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let escaped = place.file("100%20 #1?.csv", "x\n1\n2\n");
    assert_eq!(place.response(&escaped, &[])["gpu_processing"]["columns"]["x"]["count"], 2);
}

#[test]
fn the_storage_is_no_source_even_below_a_folder_that_may_be_read() {
    let place = Place::new();
    let root = place.dir.path().to_str().expect("a UTF-8 path").to_owned();
    let server = Server::start(&place.bucket(), &["--allow", &root]);
    let made = server.post("/process", r#"{"data": [1, 2]}"#).json();
    let job = made["job_id"].as_str().expect("an id");
    let read = |path: String| {
        server.post("/process", json!({"source": {"uri": format!("file:{path}")}}).to_string())
    };
    let of_another = format!("{}/jobs/{job}/data.arrow", place.bucket().display());
    let problem = read(of_another.clone()).problem(422, "source-unavailable");
    assert!(problem["detail"].as_str().expect("a detail").contains("lies in the storage"), "{problem}");
    let problem = read(format!("{root}/")).problem(422, "source-unavailable");
    assert!(problem["detail"].as_str().expect("a detail").contains("contains the storage"), "{problem}");
    let beside = place.file("in.csv", "x\n1\n2\n");
    assert_eq!(read(beside.display().to_string()).status, 200);
    // Whoever names a part of it means it.
    let within = format!("{}/jobs", place.bucket().display());
    let server = Server::start(&place.bucket(), &["--allow", &within]);
    let read =
        |path: &str| server.post("/process", json!({"source": {"uri": format!("file:{path}")}}).to_string());
    assert_eq!(read(&of_another).status, 200);
}
