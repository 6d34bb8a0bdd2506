//! Jobs on Apache Spark: the same answers, nothing left behind, and a sentence for whatever goes wrong.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::spark_home::{SparkPlace, signal, with_each};
use crate::support::{Place, binary, example, root};

/// Statistics that must be equal to the last bit on every engine.
const EXACT: [&str; 22] = [
    "rows",
    "missing",
    "infinite",
    "positive_infinite",
    "negative_infinite",
    "count",
    "min",
    "max",
    "range",
    "percentiles",
    "median",
    "quartiles",
    "mode",
    "outliers",
    "zeros",
    "negatives",
    "distinct",
    "histogram",
    "inexact_integers",
    "overflowed",
    "method",
    "zscore_borderline",
];

/// Names what differs between two profiles of a column, moments on the contract's scales between engines.
fn differences(a: &Value, b: &Value) -> Vec<String> {
    let number = |v: &Value, name: &str| v[name].as_f64().unwrap_or(0.0);
    let spread = number(a, "std_dev");
    let size = number(a, "mean").abs().max(spread);
    let mut found: Vec<String> = EXACT
        .iter()
        .filter(|name| a[**name] != b[**name])
        .map(|name| format!("{name}: {} and {}", a[*name], b[*name]))
        .collect();
    for (name, scale) in [
        ("sum", size * number(a, "count")),
        ("mean", size),
        ("std_dev", spread),
        ("variance", number(a, "variance")),
        ("variance_sample", number(a, "variance_sample")),
        ("skewness", number(a, "skewness").abs().max(1.0)),
        ("kurtosis", number(a, "kurtosis").abs().max(1.0)),
    ] {
        let near = (number(a, name) - number(b, name)).abs() <= 1e-12 * scale;
        if a[name].is_null() != b[name].is_null() || !near {
            found.push(format!("{name}: {} and {}", a[name], b[name]));
        }
    }
    for name in ["count", "min", "max"] {
        let (x, y) = (&a["normalized"][name], &b["normalized"][name]);
        let near = (x.as_f64().unwrap_or(0.0) - y.as_f64().unwrap_or(0.0)).abs()
            <= 1e-12 * x.as_f64().unwrap_or(0.0).abs().max(1.0);
        if x.is_null() != y.is_null() || !near {
            found.push(format!("normalized.{name}: {x} and {y}"));
        }
    }
    found
}

/// The four ways through a file: two pipelines on two engines.
fn assert_same_answers(spark: &SparkPlace, file: &Path, arguments: &[&str]) {
    let mut both = vec!["--pipeline", "both"];
    both.extend(arguments);
    let here = spark.place.response(file, &both);
    let there = spark.response(file, &both);
    let shown = file.display();
    assert_eq!(
        there["spark_processing"]["agreement"], true,
        "{shown}: {}",
        there["spark_processing"]["disagreements"]
    );
    let reference = here["spark_processing"]["rdd_results"]["columns"].as_object().expect("columns");
    for pipeline in ["rdd_results", "dataframe_results"] {
        let found = there["spark_processing"][pipeline]["columns"].as_object().expect("columns");
        assert!(reference.keys().eq(found.keys()), "{shown}: {:?}", found.keys());
        for (name, column) in reference {
            let differ = differences(column, &found[name]);
            assert!(differ.is_empty(), "{shown} {pipeline} {name}: {differ:#?}");
        }
    }
    let skipped = |response: &Value| {
        let all = response["processing_summary"]["skipped_columns"].as_array().expect("a list").clone();
        all.iter().map(|column| column["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(skipped(&here), skipped(&there), "{shown}");
    for name in reference.keys() {
        let (a, b) = (&here["gpu_processing"]["columns"][name], &there["gpu_processing"]["columns"][name]);
        assert_eq!(a["warnings"], b["warnings"], "{shown} {name}");
        assert_eq!(a["count"], b["count"], "{shown} {name}");
    }
}

#[test]
fn every_form_of_data_gets_the_same_answers_on_spark() {
    with_each(|spark| {
        let csv = spark.place.file("a.csv", "x,name,y\n1,a,0.5\n2,b,\n3,c,inf\n-4,d,2e300\n,e,7\n");
        let ndjson =
            spark.place.file("b.ndjson", "{\"x\":1,\"y\":-0.0}\n{\"x\":null,\"y\":3}\n{\"x\":5,\"y\":3}\n");
        let document = spark.place.file("c.json", "[{\"x\":9007199254740993},{\"x\":2},{\"x\":3}]");
        for file in [csv, ndjson, document, example("flights.parquet")] {
            assert_same_answers(spark, &file, &[]);
        }
        let folder = spark.place.dir.path().join("folder");
        spark.place.file("folder/a.csv", "x,y\n1,2\n");
        spark.place.file("folder/below/b [1].csv", "y,x\n3,\"4\"\n,6\n");
        assert_same_answers(spark, &folder, &[]);
        let csv = spark.place.dir.path().join("a.csv");
        assert_same_answers(spark, &csv, &["--where", "x > 0", "--normalize", "minmax"]);
    });
}

#[test]
fn a_job_on_spark_is_delegated_measured_and_kept_like_any_other() {
    with_each(|spark| {
        let file = spark.place.file("in.csv", "x\n1\n2\n3\n4\n");
        for (format, name) in
            [("json", "data.json"), ("parquet", "manifest.json"), ("arrow", "manifest.json")]
        {
            let response = spark.response(&file, &["--pipeline", "both", "--output-format", format]);
            let job = response["job_id"].as_str().expect("an id");
            assert!(response["processing_summary"]["engine"].as_str().expect("a name").starts_with("spark "));
            assert_eq!(response["gpu_processing"]["device"], "spark");
            assert_eq!(response["processing_summary"]["data_processed"], 4);
            let measured = &response["spark_processing"]["spark"];
            assert!(measured["work"]["tasks"].as_u64().expect("tasks") > 0, "{measured}");
            assert!(measured["reasons"].as_array().expect("reasons").len() > 3, "{measured}");
            assert!(response["performance_metrics"]["spark_efficiency"].as_f64().expect("measured") > 0.0);
            let bucket = spark.place.bucket();
            assert!(bucket.join("normalized_data").join(job).join(name).is_file(), "{format}");
            assert!(bucket.join("logs/spark").join(job).join("attempt-1/driver.log").is_file());
            assert!(!bucket.join("jobs").join(job).join("attempts/spark").join("1/results.json").exists());
            let entry =
                fs::read(bucket.join("jobs").join(job).join("journal/00000002.json")).expect("an entry");
            let entry: Value = serde_json::from_slice(&entry).expect("JSON");
            assert_eq!(entry["transitions"][0], json!({"to": "normalizing", "delegated_to": "spark"}));
        }
        spark.wait_for_no_process();
    });
}

#[test]
fn numbers_that_came_with_the_request_are_profiled_on_spark_and_handed_out() {
    with_each(|spark| {
        let server = spark.server("");
        let answer = server
            .post("/process", r#"{"data": [1, null, 3], "engine": "spark", "normalization": "minmax"}"#);
        let job = answer.json()["job_id"].as_str().expect("an id").to_owned();
        assert_eq!(server.wait_for(&job)["status"], "completed");
        let data = server.get(&format!("/jobs/{job}/data")).json();
        assert_eq!(data, json!({"columns": {"value": [0.0, null, 1.0]}}));
    });
}

#[test]
fn a_fault_of_the_data_reads_as_on_the_embedded_engine() {
    with_each(|spark| {
        let file = spark.place.file("in.csv", "x\n1\n2\nabc\n4\n");
        let arguments = ["--column", "x"];
        let there = spark.process("fault", &file, &arguments);
        there.fails(65, "row 3, column x");
        let here = spark.place.process(&[file.to_str().expect("UTF-8"), "--column", "x"]);
        assert_eq!(there.stderr(), here.stderr());
        if !spark.is_real() {
            // The stand-in knows that one fault.
            return;
        }
        let mut files = Vec::new();
        for (name, text) in [
            ("ragged.csv", "x,y\n1,2\n3\n"),
            ("open.csv", "x,y\n1,\"2\n3,4\n"),
            ("beyond.csv", "x,y\n1,2\n1e999,4\n"),
            ("lines.ndjson", "{\"x\":1}\n{\"x\":\n5\n"),
        ] {
            files.push(spark.place.file(name, text));
        }
        spark.place.file("several/a.csv", "x,y\n1,2\n");
        spark.place.file("several/b.csv", "x,y\n1,2\n3\n");
        files.push(spark.place.dir.path().join("several"));
        for file in files {
            let there = spark.process("", &file, &[]);
            let here = spark.place.process(&[file.to_str().expect("UTF-8")]);
            assert_eq!(there.stderr(), here.stderr(), "{}", file.display());
        }
    });
}

#[test]
fn what_stops_spark_is_told_as_a_sentence_with_the_place_of_its_log() {
    let Some(spark) = SparkPlace::double() else { return };
    let file = spark.place.file("in.csv", "x\n1\n2\n");
    for (mode, code, said) in [
        ("memory", 71, "Spark ran out of memory"),
        ("disk", 74, "a disk is full"),
        ("crash", 70, "it ended with code 1: java.lang.IllegalStateException: odd"),
    ] {
        let run = spark.process(mode, &file, &[]);
        run.fails(code, said);
        let log = run.stderr().split("its log is file://").nth(1).expect("a place").to_owned();
        let log = PathBuf::from(log.split([' ', '\n']).next().expect("a path"));
        assert!(fs::metadata(&log).is_ok_and(|found| found.len() > 0), "{}", log.display());
        let data = spark.place.bucket().join("normalized_data");
        assert!(!data.exists() || fs::read_dir(data).expect("a folder").count() == 0, "nothing half-written");
    }
}

#[test]
fn what_is_missing_for_spark_is_told_with_its_cure() {
    let Some(spark) = SparkPlace::double() else { return };
    let file = spark.place.file("in.csv", "x\n1\n2\n");
    let with = |name: &str, value: &str, said: &str| {
        let run = spark.command("", &file, &[]).env(name, value).output().expect("the binary runs");
        crate::support::Run(run).fails(69, said);
    };
    with("CAUDAL__SPARK__HOME", "/nowhere", "caudal spark install");
    with("CAUDAL__SPARK__JAVA_HOME", "/nowhere", "OpenJDK 17");
    with("CAUDAL__SPARK__MASTER", "spark://127.0.0.1:1", "does not answer");
}

#[test]
fn a_cancelled_job_leaves_no_process() {
    with_each(|spark| {
        let file = spark.place.file("in.csv", "x\n1\n2\n");
        let mut command = spark.command("hang", &file, &[]);
        command.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        let mut running = command.spawn().expect("the binary runs");
        spark.wait_for_start();
        signal("-INT", running.id());
        assert_eq!(running.wait().expect("it ends").code(), Some(130));
        spark.wait_for_no_process();
    });
}

#[test]
fn an_installation_that_is_stopped_leaves_no_job_running() {
    let Some(spark) = SparkPlace::double() else { return };
    for name in ["-INT", "-TERM", "-KILL"] {
        let mut running = spark.install("hang").spawn().expect("the binary runs");
        spark.wait_for_start();
        signal(name, running.id());
        assert!(!running.wait().expect("it ends").success());
        spark.wait_for_no_process();
    }
}

#[test]
fn a_killed_server_leaves_no_process_and_its_job_is_run_again() {
    with_each(|spark| {
        let file = spark.place.file("in.csv", "x\n1\n2\n3\n");
        let server = spark.server("hang");
        let body =
            json!({"source": {"uri": format!("file:{}", file.display())}, "engine": "spark"}).to_string();
        let headers = [("content-type", "application/json"), ("prefer", "respond-async")];
        let answer = server.request("POST", "/process", &headers, Some(body.as_bytes()));
        let job = answer.json()["job_id"].as_str().expect("an id").to_owned();
        spark.wait_for_start();
        server.kill();
        spark.wait_for_no_process();
        let server = spark.server("");
        let status = server.wait_for(&job);
        assert_eq!((&status["status"], &status["attempts"]), (&json!("completed"), &json!(2)), "{status}");
        let result = server.get(&format!("/jobs/{job}/result")).json();
        assert_eq!(result["spark_processing"]["rdd_results"]["columns"]["x"]["mean"], 2.0);
        assert_eq!(result["spark_processing"]["spark"]["attempt"], 2);
    });
}

#[test]
fn the_doctor_says_which_spark_and_java_were_found_and_what_is_missing() {
    with_each(|spark| {
        let found = spark.doctor();
        let of = |name: &str| {
            found.as_array().expect("findings").iter().find(|f| f["name"] == name).expect("looked at").clone()
        };
        assert_eq!((&of("java")["state"], &of("spark")["state"]), (&json!("ok"), &json!("ok")), "{found}");
        assert!(of("spark")["detail"].as_str().expect("text").contains("spark.home"));
        for name in ["cores", "memory", "bucket"] {
            assert_eq!(of(name)["state"], "ok", "{found}");
        }
    });
    let place = Place::new();
    let said = binary()
        .args(["doctor"])
        .env("CAUDAL__SPARK__HOME", "/nowhere")
        .current_dir(place.dir.path())
        .output();
    let said = crate::support::Run(said.expect("the binary runs")).stdout();
    assert!(said.contains("missing  spark") && said.contains("caudal spark install"), "{said}");
}

#[test]
fn every_fixture_is_answered_by_spark_as_by_the_embedded_engine() {
    with_each(|spark| {
        if !spark.is_real() {
            // The stand-in has the embedded engine do the work: it would only be compared with itself.
            return;
        }
        // One start of Spark answers all cases of one length.
        let mut columns: std::collections::BTreeMap<usize, Vec<(String, Value)>> = Default::default();
        for entry in fs::read_dir(root().join("fixtures/cases")).expect("fixtures") {
            let case: Value =
                serde_json::from_slice(&fs::read(entry.expect("an entry").path()).expect("a case"))
                    .expect("JSON");
            for (name, values) in case["input"].as_object().expect("columns") {
                let rows = values.as_array().expect("values").len();
                columns
                    .entry(rows)
                    .or_default()
                    .push((format!("{}_{name}", case["name"].as_str().expect("a name")), values.clone()));
            }
        }
        for (rows, columns) in columns {
            let file = spark.place.file(&format!("fixtures-{rows}.csv"), csv(rows, &columns));
            let names: Vec<&str> = columns.iter().flat_map(|(name, _)| ["--column", name.as_str()]).collect();
            assert_same_answers(spark, &file, &names);
        }
    });
}

/// Columns of one length as CSV, every number as the shortest text of its f64.
fn csv(rows: usize, columns: &[(String, Value)]) -> String {
    let header: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = header.join(",") + "\n";
    for row in 0..rows {
        let cells = columns.iter().map(|(_, values)| match &values[row] {
            Value::Null => "NaN".to_owned(),
            Value::String(infinity) if infinity.starts_with('-') => "-inf".to_owned(),
            Value::String(_) => "inf".to_owned(),
            number => number.to_string(),
        });
        text += &(cells.collect::<Vec<_>>().join(",") + "\n");
    }
    text
}
