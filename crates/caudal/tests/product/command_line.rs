//! What a person at a terminal sees.

use serde_json::Value;

use crate::support::{Place, binary, example};

#[test]
fn the_report_tells_statistics_histogram_quality_pipelines_cost_and_places() {
    let place = Place::new();
    let file = example("flights.parquet");
    let run = place.process(&[file.to_str().expect("UTF-8"), "--pipeline", "both"]);
    assert_eq!(run.code(), 0, "{}", run.stderr());
    let out = run.stdout();
    for part in [
        "delay",
        "distance",
        "std dev",
        "histogram",
        "Quality",
        "score",
        "rdd ",
        "dataframe ",
        "both agree",
        "Cost",
        "Recommendations",
        "was skipped",
        "final_results.json",
    ] {
        assert!(out.contains(part), "no {part:?} in:\n{out}");
    }
    assert!(out.contains('█'), "a histogram has a highest bar:\n{out}");
}

#[test]
fn json_output_is_the_final_response_one_line_for_each_file() {
    let place = Place::new();
    let (a, b) = (place.file("a.csv", "x\n1\n2\n"), place.file("b.csv", "y\n3\n4\n"));
    let run = place.process(&[a.to_str().expect("UTF-8"), b.to_str().expect("UTF-8"), "--format", "json"]);
    assert_eq!(run.code(), 0, "{}", run.stderr());
    let out = run.stdout();
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["gpu_processing"]["columns"]["x"]["mean"], 1.5);
    assert_eq!(lines[1]["gpu_processing"]["columns"]["y"]["mean"], 3.5);
    assert_eq!(run.stderr(), "", "standard error is quiet where it is no terminal");
}

#[test]
fn what_is_printed_is_what_is_stored() {
    let place = Place::new();
    let response = place.response(&place.file("a.csv", "x\n1\n2\n"), &["--pipeline", "both"]);
    let stored = response["s3_paths"]["final_results"].as_str().expect("a URI").to_owned();
    let path = stored.strip_prefix("file://").expect("a file");
    let stored: Value = serde_json::from_slice(&std::fs::read(path).expect("stored")).expect("JSON");
    assert_eq!(stored, response);
    for (name, uri) in response["s3_paths"].as_object().expect("paths") {
        let path = uri.as_str().and_then(|u| u.strip_prefix("file://")).expect("a file");
        assert!(std::path::Path::new(path).exists(), "{name}: {path}");
    }
}

#[test]
fn auto_runs_one_pipeline_and_says_why() {
    let place = Place::new();
    let response = place.response(&place.file("a.csv", "x\n1\n2\n"), &[]);
    let results = &response["spark_processing"];
    let ran =
        ["rdd_results", "dataframe_results"].iter().filter(|p| results[**p]["status"] == "completed").count();
    assert_eq!(ran, 1);
    assert_eq!(results["agreement"], Value::Null, "one pipeline has nothing to agree with");
    let why = response["processing_summary"]["planner"].as_str().expect("a sentence");
    assert!(why.contains("rdd") && why.contains("dataframe"), "{why}");
}

#[test]
fn core_statistics_leave_only_the_distinct_values_out() {
    let place = Place::new();
    let file = place.file("a.csv", "x\n1\n2\n2\n");
    let response = place.response(&file, &["--pipeline", "both", "--statistics", "core"]);
    for pipeline in ["rdd_results", "dataframe_results"] {
        let column = &response["spark_processing"][pipeline]["columns"]["x"];
        assert_eq!(column["distinct"], Value::Null);
        assert_eq!(column["mode"]["value"], 2.0);
    }
}

#[test]
fn a_wrong_choice_names_the_choices() {
    binary_fails(&["process", "x.csv", "--normalize", "zscor"], 2, "zscore");
    binary_fails(&["process"], 2, "FILE");
    binary_fails(&["proces"], 2, "process");
}

#[test]
fn a_device_that_is_not_there_is_said_so() {
    let place = Place::new();
    let file = place.file("a.csv", "x\n1\n2\n");
    let file = file.to_str().expect("UTF-8");
    place.process(&[file, "--device", "gpu"]).fails(69, "GPU");
}

#[test]
fn a_server_that_other_machines_reach_must_be_asked_for_by_name() {
    binary_fails(&["serve", "--listen", "0.0.0.0:0", "--storage", "/tmp/caudal-never"], 2, "--insecure");
}

#[test]
fn a_wrong_setting_in_the_environment_is_named() {
    let run = binary().args(["serve"]).env("CAUDAL__SERVER__ADDRESS", "nowhere").output().expect("runs");
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("server.address"));
}

fn binary_fails(arguments: &[&str], code: i32, said: &str) {
    let run = binary().args(arguments).output().expect("the binary runs");
    let stderr = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(said), "{stderr}");
}
