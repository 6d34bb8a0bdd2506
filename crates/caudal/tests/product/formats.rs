//! The same numbers in every format give the same answer, and come back in every format.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use serde_json::{Value, json};

use crate::support::{Place, Run, binary, example};

const X: [Option<f64>; 6] = [Some(1.5), None, Some(-2.25), Some(0.0), Some(1.5), Some(1e6)];
const N: [i64; 6] = [3, 1, 4, 1, 5, 9];

fn batch() -> RecordBatch {
    let x: Float64Array = X.into_iter().collect();
    RecordBatch::try_from_iter_with_nullable([
        ("x", Arc::new(x) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from(N.to_vec())) as ArrayRef, false),
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e", "f"])) as ArrayRef, false),
    ])
    .expect("a batch")
}

fn every_format(place: &Place) -> Vec<PathBuf> {
    let batch = batch();
    let text = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
    let names = ["a", "b", "c", "d", "e", "f"];
    let csv: String = (0..6).map(|i| format!("{},{},{}\n", text(X[i]), N[i], names[i])).collect();
    let rows: Vec<Value> = (0..6).map(|i| json!({"x": X[i], "n": N[i], "name": names[i]})).collect();
    let ndjson: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let mut arrow_file =
        arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    arrow_file.write(&batch).expect("written");
    let mut stream =
        arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    stream.write(&batch).expect("written");
    let mut parquet =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    parquet.write(&batch).expect("written");
    vec![
        place.file("in.csv", format!("x,n,name\n{csv}")),
        place.file("in.json", json!(rows).to_string()),
        place.file("in.ndjson", ndjson),
        place.file("in.arrow", arrow_file.into_inner().expect("finished")),
        place.file("in.arrows", stream.into_inner().expect("finished")),
        place.file("in.parquet", parquet.into_inner().expect("finished")),
    ]
}

#[test]
fn every_format_gives_the_same_statistics_and_skips_the_text() {
    let place = Place::new();
    let mut first: Option<Value> = None;
    for file in every_format(&place) {
        let response = place.response(&file, &["--pipeline", "both"]);
        let columns = response["spark_processing"]["rdd_results"]["columns"].clone();
        assert_eq!(columns.as_object().expect("columns").len(), 2, "{}", file.display());
        assert_eq!(columns["x"]["missing"], 1);
        assert_eq!(
            response["processing_summary"]["skipped_columns"][0]["name"],
            "name",
            "{}",
            file.display()
        );
        assert_eq!(response["spark_processing"]["agreement"], true);
        match &first {
            None => first = Some(columns),
            Some(known) => assert_eq!(*known, columns, "{}", file.display()),
        }
    }
}

#[test]
fn an_array_of_numbers_is_the_column_value() {
    let place = Place::new();
    let response = place.response(&place.file("numbers.json", "[1, null, 3]"), &[]);
    let column = &response["gpu_processing"]["columns"]["value"];
    assert_eq!((&column["count"], &column["missing"]), (&json!(2), &json!(1)));
}

#[test]
fn named_columns_are_the_only_ones_that_are_processed() {
    let response =
        Place::new().response(&example("seattle-weather.csv"), &["--column", "wind", "--column", "temp_max"]);
    let names: Vec<_> = response["gpu_processing"]["columns"].as_object().expect("columns").keys().collect();
    assert_eq!(names, ["temp_max", "wind"], "in source order");
}

#[test]
fn integers_decimals_and_floats_are_widened_and_inexact_integers_are_counted() {
    let place = Place::new();
    let decimal =
        Decimal128Array::from(vec![10, 25, -333]).with_precision_and_scale(10, 2).expect("a decimal");
    let batch = RecordBatch::try_from_iter([
        ("big", Arc::new(Int64Array::from(vec![9_007_199_254_740_993, 2, 3])) as ArrayRef),
        ("decimal", Arc::new(decimal) as ArrayRef),
        ("float32", Arc::new(Float32Array::from(vec![0.1f32, 0.2, 0.3])) as ArrayRef),
        ("flag", Arc::new(BooleanArray::from(vec![true, false, true])) as ArrayRef),
    ])
    .expect("a batch");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    let file = place.file("types.parquet", writer.into_inner().expect("finished"));
    let response = place.response(&file, &["--pipeline", "both"]);
    let columns = &response["spark_processing"]["rdd_results"]["columns"];
    assert_eq!(columns["big"]["inexact_integers"], 1);
    assert_eq!(columns["big"]["max"], 9_007_199_254_740_992.0);
    assert_eq!((&columns["decimal"]["min"], &columns["decimal"]["max"]), (&json!(-3.33), &json!(0.25)));
    assert_eq!(columns["float32"]["max"], f64::from(0.3f32));
    assert!(columns.get("flag").is_none(), "booleans are skipped");
    place.process(&[file.to_str().expect("UTF-8"), "--column", "flag"]).fails(65, "flag");
}

#[test]
fn any_number_of_threads_gives_the_same_answer_and_the_same_stored_bytes() {
    let place = Place::new();
    let line = |i: u64| format!("{},{}\n", (i * 2_654_435_761) % 1_000_003, (i % 997) as f64 / 7.0);
    let input = place.file("in.csv", "x,y\n".to_owned() + &(0..400_000).map(line).collect::<String>());
    let answer = |threads: &str| {
        let mut command = binary();
        command.env("CAUDAL__PROCESSING__THREADS", threads).arg("process").arg(&input);
        command.args(["--pipeline", "both", "--output-format", "parquet", "--format", "json", "--storage"]);
        let response = Run(command.arg(place.bucket()).output().expect("the binary runs")).json();
        let job = response["job_id"].as_str().expect("an id").to_owned();
        let folder = place.bucket().join("normalized_data").join(job);
        let part = |name: &str| std::fs::read(folder.join(name)).expect("a part");
        let results = &response["spark_processing"];
        let columns = ["rdd_results", "dataframe_results"].map(|of| results[of]["columns"].clone());
        (columns, part("part-00000.parquet"), part("part-00001.parquet"))
    };
    let one = answer("1");
    assert_eq!(one.0[0], one.0[1]);
    for threads in ["2", "5"] {
        assert!(answer(threads) == one, "{threads} threads differ from one");
    }
}

#[test]
fn the_normalised_data_is_stored_in_the_form_that_was_asked_for() {
    let place = Place::new();
    let input = place.file("in.csv", "x\n1\nNA\n3\ninf\n");
    for (format, name) in [
        ("json", "data.json"),
        ("csv", "part-00000.csv"),
        ("parquet", "part-00000.parquet"),
        ("arrow", "part-00000.arrow"),
    ] {
        let response = place.response(&input, &["--output-format", format, "--pipeline", "rdd"]);
        let folder = place.bucket().join("normalized_data").join(response["job_id"].as_str().expect("an id"));
        assert!(folder.join(name).is_file(), "{} has no {name}", folder.display());
        assert_eq!(folder.join("manifest.json").is_file(), format != "json");
        let first = &response["gpu_processing"]["columns"]["x"]["normalized_data"];
        assert_eq!(*first, json!([-1.0, null, 1.0, "Infinity"]), "{format}");
        let normalized = &response["spark_processing"]["rdd_results"]["columns"]["x"]["normalized"];
        let expected = json!({"count": 2, "mean": 0.0, "std_dev": 1.0, "min": -1.0, "max": 1.0});
        assert_eq!(*normalized, expected, "{format}");
    }
}

#[test]
fn stored_json_keeps_missing_and_infinite_values_in_their_places() {
    let place = Place::new();
    let response =
        place.response(&place.file("in.csv", "x,y\n1,-inf\nNA,5\n3,5\n"), &["--output-format", "json"]);
    let path = place
        .bucket()
        .join(format!("normalized_data/{}/data.json", response["job_id"].as_str().expect("an id")));
    let stored: Value = serde_json::from_slice(&std::fs::read(path).expect("data.json")).expect("JSON");
    assert_eq!(stored, json!({"columns": {"x": [-1.0, null, 1.0], "y": ["-Infinity", 0.0, 0.0]}}));
}
