//! Every fixture through the whole product: both pipelines give what exact rational arithmetic gives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use serde_json::Value;

use crate::support::{Place, example, root};

/// Writes each column of a fixture as an Arrow file of its own, since they differ in length; Arrow carries
/// infinities as they are.
fn arrow_files<'f>(place: &Place, case: &'f Value) -> Vec<(&'f str, PathBuf)> {
    let columns = case["input"].as_object().expect("columns").iter();
    columns.map(|(name, values)| (name.as_str(), arrow_file(place, name, values))).collect()
}

fn arrow_file(place: &Place, name: &str, values: &Value) -> PathBuf {
    let numbers = values.as_array().expect("an array").iter().map(|value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.replace("Infinity", "inf").parse().expect("an infinity")),
        number => Some(number.as_f64().expect("a number")),
    });
    let column = Arc::new(numbers.collect::<Float64Array>()) as ArrayRef;
    let batch = RecordBatch::try_from_iter_with_nullable([(name, column, true)]).expect("a batch");
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    writer.write(&batch).expect("written");
    place.file(&format!("{name}.arrow"), writer.into_inner().expect("finished"))
}

/// Collects every way in which `found` is not `expected`.
struct Comparison {
    case: String,
    wrong: Vec<String>,
}

impl Comparison {
    fn equal(&mut self, what: &str, found: &Value, expected: &Value) {
        let same = match (found.as_f64(), expected.as_f64()) {
            (Some(a), Some(b)) => a == b,
            _ => found == expected,
        };
        if !same {
            self.wrong.push(format!("{}.{what}: expected {expected}, found {found}", self.case));
        }
    }

    fn within(&mut self, what: &str, found: &Value, expected: &Value, bound: f64) {
        match (found.as_f64(), expected.as_f64()) {
            (Some(a), Some(b)) if a == b || (a - b).abs() <= bound => {}
            (None, None) => {}
            _ => self
                .wrong
                .push(format!("{}.{what}: expected {expected} ± {bound:e}, found {found}", self.case)),
        }
    }

    /// Compares every statistic that is expected: within its tolerance where it has one, exactly where not.
    fn column(&mut self, found: &Value, expected: &Value, tolerance: &Value) {
        for (name, value) in expected.as_object().expect("statistics") {
            match (name.as_str(), tolerance[name].as_f64()) {
                (_, Some(bound)) => self.within(name, &found[name], value, bound),
                ("zscore_outliers", None) => {
                    let borderline = expected["zscore_borderline"].as_f64().unwrap_or(0.0);
                    self.within(name, &found[name], value, borderline);
                }
                ("histogram", None) => self.histogram(&found[name], value),
                (_, None) => match value.as_object() {
                    Some(parts) => {
                        for (part, value) in parts {
                            self.equal(&format!("{name}.{part}"), &found[name][part], value);
                        }
                    }
                    None => self.equal(name, &found[name], value),
                },
            }
        }
    }

    fn histogram(&mut self, found: &Value, expected: &Value) {
        let edges = |v: &Value| -> Vec<f64> {
            v["edges"].as_array().expect("edges").iter().map(|e| e.as_f64().expect("an edge")).collect()
        };
        if edges(found) != edges(expected) || found["counts"] != expected["counts"] {
            self.wrong.push(format!("{}.histogram: expected {expected}, found {found}", self.case));
        }
    }
}

fn load(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a fixture")).expect("JSON")
}

#[test]
fn every_fixture_is_answered_by_both_pipelines_to_the_contracts_bounds() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in std::fs::read_dir(root().join("fixtures/cases")).expect("fixtures") {
        let path = entry.expect("an entry").path();
        let case = load(&path);
        let place = Place::new();
        for (column, file) in arrow_files(&place, &case) {
            let response = place.response(&file, &["--pipeline", "both"]);
            for pipeline in ["rdd_results", "dataframe_results"] {
                let name = format!("{} {pipeline} {column}", case["name"]);
                let mut comparison = Comparison { case: name, wrong: Vec::new() };
                let found = &response["spark_processing"][pipeline]["columns"][column];
                comparison.column(found, &case["expected"][column], &case["tolerance"][column]);
                wrong.extend(comparison.wrong);
            }
            if response["spark_processing"]["agreement"] != true {
                let differing = &response["spark_processing"]["disagreements"];
                wrong.push(format!("{} {column}: {differing}", case["name"]));
            }
        }
        cases += 1;
    }
    assert!(cases >= 15, "only {cases} fixtures were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fixture_is_normalised_with_the_parameters_of_the_contract() {
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root().join("fixtures/cases")).expect("fixtures") {
        let case = load(&entry.expect("an entry").path());
        let place = Place::new();
        for (column, file) in arrow_files(&place, &case) {
            for method in ["zscore", "minmax", "maxabs", "robust"] {
                let response = place.response(&file, &["--pipeline", "rdd", "--normalize", method]);
                let expected = &case["normalization"][column][method];
                let found = &response["gpu_processing"]["columns"][column];
                let mut comparison =
                    Comparison { case: format!("{} {column} {method}", case["name"]), wrong: Vec::new() };
                let spread = case["expected"][column]["std_dev"].as_f64().unwrap_or(0.0);
                for parameter in ["center", "scale"] {
                    let value = &expected[parameter];
                    let bound = 1e-13 * value.as_f64().unwrap_or(0.0).abs().max(spread);
                    comparison.within(parameter, &found["parameters"][parameter], value, bound);
                }
                comparison.equal("warnings", &found["warnings"], &expected["warnings"]);
                wrong.extend(comparison.wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn scikit_learn_and_scipy_agree_on_the_examples() {
    let expected = load(&root().join("fixtures/scikit_learn/expected.json"));
    let mut wrong = Vec::new();
    let mut columns = 0;
    for (file, by_column) in expected["files"].as_object().expect("files") {
        for method in ["zscore", "minmax", "maxabs", "robust"] {
            let response =
                Place::new().response(&example(file), &["--pipeline", "both", "--normalize", method]);
            for (column, theirs) in by_column.as_object().expect("columns") {
                let case = format!("{file} {column} {method}");
                let mut comparison = Comparison { case, wrong: Vec::new() };
                scaler_agrees(
                    &mut comparison,
                    &response["gpu_processing"]["columns"][column],
                    &theirs["scalers"][method],
                );
                let ours = &response["spark_processing"]["rdd_results"]["columns"][column];
                statistics_agree(&mut comparison, ours, theirs);
                wrong.extend(comparison.wrong);
                columns += 1;
            }
        }
    }
    assert!(columns >= 12, "only {columns} comparisons were made");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// NumPy sums pairwise without compensation, so its figures are good to about 1e-12.
const THEIR_ERROR: f64 = 1e-11;

fn scaler_agrees(comparison: &mut Comparison, ours: &Value, theirs: &Value) {
    for parameter in ["center", "scale"] {
        let value = &theirs[parameter];
        let bound = THEIR_ERROR * value.as_f64().unwrap_or(0.0).abs().max(1.0);
        comparison.within(parameter, &ours["parameters"][parameter], value, bound);
    }
    let pairs = ours["normalized_data"]
        .as_array()
        .expect("values")
        .iter()
        .zip(theirs["first"].as_array().expect("values"));
    for (i, (a, b)) in pairs.enumerate() {
        comparison.within(
            &format!("normalized_data[{i}]"),
            a,
            b,
            THEIR_ERROR * b.as_f64().unwrap_or(0.0).abs().max(1.0),
        );
    }
}

fn statistics_agree(comparison: &mut Comparison, ours: &Value, theirs: &Value) {
    for (name, value) in theirs["statistics"].as_object().expect("statistics") {
        let Some(parts) = value.as_object() else {
            let bound = THEIR_ERROR * value.as_f64().unwrap_or(0.0).abs();
            comparison.within(name, &ours[name], value, bound);
            continue;
        };
        for (part, value) in parts {
            // NumPy finds the position between two values in floating point, Caudal in integers.
            let bound = theirs["percentile_tolerances"][part].as_f64().unwrap_or(0.0);
            comparison.within(&format!("{name}.{part}"), &ours[name][part], value, bound);
        }
    }
}
