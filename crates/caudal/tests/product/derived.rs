//! Rows by a condition, derived columns and whole queries: the same answer for every format, in the source's order.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use serde_json::{Value, json};

use crate::support::{Place, Run};

const DELAY: [Option<f64>; 7] =
    [Some(10.0), None, Some(-5.0), Some(0.0), Some(30.0), Some(20.0), Some(f64::INFINITY)];
const DISTANCE: [i64; 7] = [100, 200, 0, 0, 600, 400, 50];
const CARRIER: [&str; 7] = ["AA", "BB", "AA", "BB", "AA", "BB", "CC"];

/// The same seven rows as CSV, Arrow and Parquet; without the last, which JSON cannot hold, as JSON and NDJSON.
fn every_format(place: &Place) -> Vec<PathBuf> {
    let text = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
    let csv: String =
        (0..7).map(|i| format!("{},{},{}\n", text(DELAY[i]), DISTANCE[i], CARRIER[i])).collect();
    let row = |i: usize| json!({"delay": DELAY[i], "distance": DISTANCE[i], "carrier": CARRIER[i]});
    let rows: Vec<Value> = (0..6).map(row).collect();
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("delay", Arc::new(DELAY.into_iter().collect::<Float64Array>()) as ArrayRef, true),
        ("distance", Arc::new(Int64Array::from(DISTANCE.to_vec())) as ArrayRef, false),
        ("carrier", Arc::new(StringArray::from(CARRIER.to_vec())) as ArrayRef, false),
    ])
    .expect("a batch");
    let mut parquet =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    parquet.write(&batch).expect("written");
    let mut stream =
        arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    stream.write(&batch).expect("written");
    vec![
        place.file("in.csv", format!("delay,distance,carrier\n{csv}")),
        place.file("in.parquet", parquet.into_inner().expect("finished")),
        place.file("in.arrows", stream.into_inner().expect("finished")),
        place.file("in.json", json!(rows).to_string()),
        place.file("in.ndjson", lines),
    ]
}

/// Six of the rows, inline.
fn inline(settings: &Value) -> String {
    let mut body = json!({
        "data": {"delay": &DELAY[..6], "distance": &DISTANCE[..6]},
        "normalization": "none",
        "pipeline_type": "both"
    });
    let object = body.as_object_mut().expect("an object");
    object.extend(settings.as_object().expect("an object").clone());
    body.to_string()
}

/// The values that a job has stored.
fn stored(place: &Place, response: &Value) -> Value {
    assert_eq!(response["spark_processing"]["agreement"], true, "{response}");
    let job = response["job_id"].as_str().expect("an id");
    let path = place.bucket().join(format!("normalized_data/{job}/data.json"));
    let stored: Value = serde_json::from_slice(&std::fs::read(path).expect("data.json")).expect("JSON");
    stored["columns"].clone()
}

/// Asserts what every format and inline data give.
fn gives(arguments: &[&str], settings: &Value, expected: &Value) {
    let place = Place::new();
    for file in every_format(&place) {
        let mut all = vec!["--normalize", "none", "--pipeline", "both"];
        all.extend(arguments);
        let response = place.response(&file, &all);
        assert_eq!(stored(&place, &response), *expected, "{}", file.display());
    }
    let answer = place.server().post("/process", inline(settings));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(stored(&place, &answer.json()), *expected, "inline");
}

/// `caudal process` over a small CSV file.
fn run(arguments: &[&str]) -> Run {
    let place = Place::new();
    let file = place
        .file("in.csv", "delay,distance,date,Temp,dotted.name\n1,10,2001-01-01,5,1\n2,20,2001-01-02,6,2\n");
    let mut all = vec![file.to_str().expect("UTF-8")];
    all.extend(arguments);
    place.process(&all)
}

fn columns(arguments: &[&str]) -> Value {
    let mut all = vec!["--format", "json", "--normalize", "none"];
    all.extend(arguments);
    let response = run(&all).json();
    let columns = response["gpu_processing"]["columns"].as_object().expect("columns").clone();
    columns.into_iter().map(|(name, column)| (name, column["normalized_data"].clone())).collect()
}

#[test]
fn only_rows_that_meet_the_condition_are_processed_in_their_order() {
    gives(
        &["--where", "delay > 0 and distance >= 100"],
        &json!({"where": "delay > 0 and distance >= 100"}),
        &json!({"delay": [10.0, 30.0, 20.0], "distance": [100.0, 600.0, 400.0]}),
    );
}

#[test]
fn missing_is_null_and_what_computes_to_no_number_is_null_too() {
    gives(
        &["--where", "delay is null"],
        &json!({"where": "delay is null"}),
        &json!({"delay": [null], "distance": [200.0]}),
    );
    // 0/0 is no number: it is neither above nor below anything. -5/0 is an infinity.
    gives(
        &["--where", "distance = 0 and (delay/distance > 0 or delay/distance <= 0)"],
        &json!({"where": "distance = 0 and (delay/distance > 0 or delay/distance <= 0)"}),
        &json!({"delay": [-5.0], "distance": [0.0]}),
    );
    gives(
        &["--where", "delay * -1 >= 0 and delay * -1 <= 0"],
        &json!({"where": "delay * -1 >= 0 and delay * -1 <= 0"}),
        &json!({"delay": [0.0], "distance": [0.0]}),
    );
}

#[test]
fn selected_expressions_are_the_only_columns() {
    gives(
        &[
            "--where",
            "distance < 500 and distance > 50",
            "--select",
            "delay/distance as rate",
            "--select",
            "delay",
        ],
        &json!({"where": "distance < 500 and distance > 50", "select": ["delay/distance as rate", "delay"]}),
        &json!({"rate": [0.1, null, 0.05], "delay": [10.0, null, 20.0]}),
    );
}

#[test]
fn a_whole_query_gives_what_sql_says() {
    let query =
        "select delay, delay/distance as rate from source where delay > 0 and distance between 100 and 500";
    gives(&["--sql", query], &json!({"sql": query}), &json!({"delay": [10.0, 20.0], "rate": [0.1, 0.05]}));
    let query = "with near as (select * from Source where distance < 500 and distance > 50) \
                 select count(*) as n, sum(coalesce(delay, 0)) as total from near";
    gives(&["--sql", query], &json!({"sql": query}), &json!({"n": [3.0], "total": [30.0]}));
}

#[test]
fn infinities_are_values_of_a_condition() {
    let place = Place::new();
    let file = &every_format(&place)[0];
    let response = place.response(file, &["--where", "delay > 1e300"]);
    let column = &response["gpu_processing"]["columns"]["delay"];
    assert_eq!((&column["infinite"], &column["count"]), (&json!(1), &json!(0)));
}

#[test]
fn many_rows_keep_their_order_over_blocks() {
    let place = Place::new();
    let rows: String = (0..200_000).map(|i| format!("{i},{}\n", i % 7)).collect();
    let file = place.file("many.csv", format!("i,rest\n{rows}"));
    let response = place.response(
        &file,
        &[
            "--where",
            "rest = 3",
            "--select",
            "i",
            "--normalize",
            "none",
            "--output-format",
            "json",
            "--pipeline",
            "both",
        ],
    );
    let expected: Vec<f64> = (0..200_000).filter(|i| i % 7 == 3).map(f64::from).collect();
    assert_eq!(stored(&place, &response), json!({"i": expected}));
}

#[test]
fn names_are_found_whatever_their_case_and_quoted_where_they_are_no_words() {
    assert_eq!(columns(&["--where", "temp > 5 and DELAY > 0", "--select", "temp"]), json!({"Temp": [6.0]}));
    assert_eq!(
        columns(&["--select", "\"dotted.name\" * 2", "--select", "-delay as a"]),
        json!({"\"dotted.name\" * 2": [2.0, 4.0], "a": [-1.0, -2.0]})
    );
}

#[test]
fn functions_of_one_row_compute_and_give_null_where_there_is_no_number() {
    let place = Place::new();
    let file = place.file("in.csv", "x\n-4\n9\nNA\n");
    let arguments = [
        "--select",
        "sqrt(x) as root",
        "--select",
        "power(abs(x), 2) as squared",
        "--select",
        "sign(x) as s",
        "--select",
        "coalesce(sqrt(x), 1 - 1) as filled",
        "--select",
        "case when x > 0 then 1 else 2 end as c",
        "--normalize",
        "none",
        "--pipeline",
        "both",
    ];
    let response = place.response(&file, &arguments);
    let expected = json!({
        "root": [null, 3.0, null], "squared": [16.0, 81.0, null], "s": [-1.0, 1.0, null],
        "filled": [0.0, 3.0, 0.0], "c": [2.0, 1.0, 2.0]
    });
    assert_eq!(stored(&place, &response), expected);
}

#[test]
fn what_is_no_number_is_skipped_and_told() {
    let response = run(&["--format", "json", "--select", "delay", "--select", "delay > 1 as late"]).json();
    let skipped = &response["processing_summary"]["skipped_columns"];
    assert_eq!(
        *skipped,
        json!([{"name": "late", "data_type": "Boolean", "reason": "booleans are not numbers"}])
    );
    run(&["--select", "delay > 1 as late"]).fails(65, "/select: there is no numeric column");
    let response = run(&["--format", "json", "--where", "delay > 1"]).json();
    assert_eq!(response["processing_summary"]["skipped_columns"][0]["name"], "date");
}

#[test]
fn a_column_that_is_not_there_is_told_with_what_is() {
    run(&["--where", "dellay > 0"]).fails(
        65,
        "/where: no column \"dellay\"; did you mean \"delay\"? The columns are \"delay\", \"distance\", \"Temp\", \"dotted.name\"",
    );
    run(&["--select", "delay", "--select", "date"]).fails(
        65,
        "/select/1: the column \"date\" (text) is not available: it holds text, such as \"2001-01-01\"; \
         the numeric columns are \"delay\", \"distance\"",
    );
    run(&["--column", "delay", "--where", "distance > 1"]).fails(65, "not available: it was not named");
    run(&["--where", "dotted.name > 1"]).fails(65, "must stand in double quotes");
    run(&["--sql", "select a from source"]).fails(65, "/sql: no column \"a\"");
}

#[test]
fn every_wrong_text_is_told_at_once() {
    let place = Place::new();
    let body = inline(&json!({"where": "delay >", "select": ["delay +", "nosuch(delay)", "far", "delay"]}));
    let problem = place.server().post("/process", body).json();
    let errors = if problem["errors"].is_array() { &problem["errors"] } else { &problem["error"]["errors"] };
    let places: Vec<_> = errors.as_array().expect("errors").iter().map(|e| e["pointer"].clone()).collect();
    let mut told: Vec<_> = places.iter().map(|p| p.as_str().expect("a pointer")).collect();
    told.sort_unstable();
    assert_eq!(told, ["/select/0", "/select/1", "/select/2", "/where"], "{problem}");
}

#[test]
fn what_is_wrong_with_a_text_is_a_fault_of_the_request() {
    for (arguments, said) in [
        (vec!["--where", "delay > 0)"], "/where: this is not SQL: expected the end, found )"),
        (vec!["--where", "delay > 0; drop table source"], "/where: this is not SQL: expected the end"),
        (vec!["--where", "delay > 0 union select 1"], "/where: this is not SQL"),
        (vec!["--where", "'abc"], "/where: this is not SQL"),
        (vec!["--where", ""], "/where: expected SQL such as"),
        (vec!["--where", "delay"], "/where: "),
        (vec!["--where", "nosuch(delay) > 0"], "/where: "),
        (vec!["--where", "delay > '2001-01-01'"], "/where: "),
        (vec!["--select", "delay / (1 / 0)"], "/select: Divide by zero"),
        (vec!["--select", "delay as x", "--select", "distance as x"], "/select: "),
        (vec!["--sql", "select delay from flights"], "/sql: no table flights; the only one is source"),
        (vec!["--sql", "select * from range(10)"], "/sql: no table range(10)"),
        (vec!["--sql", "select * from 'in.csv'"], "/sql: "),
        (vec!["--sql", "select a.* from information_schema.tables a"], "/sql: no table"),
    ] {
        run(&arguments).fails(2, said);
    }
}

#[test]
fn only_one_select_that_reads_is_run() {
    for statement in [
        "drop table source",
        "delete from source",
        "insert into source values (1)",
        "update source set delay = 1",
        "create table t as select * from source",
        "create external table t stored as csv location '/etc/passwd'",
        "copy source to '/tmp/caudal-never.csv'",
        "copy (select * from source) to '/tmp/caudal-never.csv'",
        "set datafusion.execution.batch_size = 1",
        "explain select * from source",
        "show tables",
        "select delay into t from source",
        "select 1; select 2",
        "with t as (delete from source returning *) select * from t",
        "with recursive t as (select 1 as n union all select n + 1 from t) select * from t",
        "prepare p as select 1",
        ";",
    ] {
        let run = run(&["--sql", statement]);
        assert_eq!(run.code(), 2, "{statement}: {}", run.stderr());
        run.fails(2, "/sql: ");
    }
}

#[test]
fn a_query_excludes_conditions_and_expressions() {
    let place = Place::new();
    let body = inline(&json!({"sql": "select delay from source", "where": "delay > 0"}));
    let problem = place.server().post("/process", body).problem(422, "invalid-request");
    assert_eq!(problem["errors"][0]["pointer"], "/sql");
    run(&["--sql", "select delay from source", "--where", "delay > 0"]).fails(2, "--where");
}

#[test]
fn no_row_that_meets_the_condition_is_told() {
    run(&["--where", "delay > 100"]).fails(65, "/where: no row meets the condition, of 2 that were read");
    run(&["--sql", "select delay from source where delay > 100"])
        .fails(65, "/sql: no row meets the condition");
}

#[test]
fn long_and_deep_texts_are_answered_and_nothing_falls() {
    let sum = format!("delay > {}0", "1 + ".repeat(900));
    run(&["--where", &sum]).fails(65, "no row meets the condition");
    let all = vec!["delay > 0"; 490].join(" and ");
    assert_eq!(run(&["--where", &all]).code(), 0);
    let longer = vec!["delay > 0"; 2_000].join(" and ");
    run(&["--where", &longer]).fails(2, "expected at most 2000 words and signs");
    let deep = format!("{}delay{} > 0", "(".repeat(900), ")".repeat(900));
    run(&["--where", &deep]).fails(2, "nested too deeply");
    let not = format!("{} delay > 0", "not ".repeat(900));
    run(&["--where", &not]).fails(2, "/where: ");
    let unions = vec!["select delay from source"; 300].join(" union all ");
    assert_eq!(run(&["--sql", &unions]).code(), 0);
}

#[test]
fn what_is_derived_stays_within_the_memory_that_is_allowed() {
    let place = Place::new();
    let rows: String = (0..20_000).map(|i| format!("{i}\n")).collect();
    let file = place.file("many.csv", format!("i\n{rows}"));
    let file = file.to_str().expect("UTF-8");
    let pairs = "select a.i from source a cross join source b";
    let little = ["--memory-limit", "20MB", "--spill-limit", "40MB"];
    place.process(&[&[file, "--sql", pairs][..], &little].concat()).fails(71, "40.0 MB are allowed");
    let groups = "select count(*) as n from (select distinct a.i * 20000 + b.i as k from source a, source b)";
    place.process(&[file, "--sql", groups, "--memory-limit", "20MB"]).fails(71, "memory");
}
