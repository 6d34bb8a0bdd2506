//! The same bits whatever the layout: files, forms, row groups, threads and memory are shuffled, and nothing changes.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{Place, Run, binary};

/// Two whole blocks and a bit.
const ROWS: usize = 140_001;

/// How the rows lie, and with what they are processed.
#[derive(Clone, Debug)]
struct Layout {
    form: &'static str,
    /// Rows before which another file begins.
    cuts: Vec<usize>,
    row_group: usize,
    dictionary: bool,
    threads: usize,
    memory: &'static str,
}

fn layouts() -> impl Strategy<Value = Layout> {
    let form = prop_oneof![3 => Just("parquet"), 1 => Just("csv"), 1 => Just("ndjson"), 1 => Just("arrow")];
    let cuts = proptest::collection::vec(0..=ROWS, 0..7);
    let row_group = prop_oneof![Just(211), Just(5_000), Just(65_536), Just(100_000), Just(ROWS)];
    let memory = prop_oneof![Just("8MB"), Just("64MB"), Just("2GB")];
    (form, cuts, row_group, any::<bool>(), 1..6_usize, memory).prop_map(
        |(form, mut cuts, row_group, dictionary, threads, memory)| {
            cuts.sort_unstable();
            Layout { form, cuts, row_group, dictionary, threads, memory }
        },
    )
}

/// Numbers of every kind: missing, infinite, repeated, of very different sizes; and integers, some beyond 2^53.
fn rows() -> RecordBatch {
    let number = |row: usize| match row % 101 {
        0 => None,
        7 if row.is_multiple_of(3) => Some(f64::INFINITY),
        1..30 => Some((row % 13) as f64 / 4.0),
        _ => Some(((row * 7_919) % 100_003) as f64 * 1e-3 - 40.0),
    };
    let integer = |row: usize| if row % 50_000 == 9 { (1 << 53) + 1 } else { (row as i64 * 37) % 1_009 };
    let numbers: Float64Array = (0..ROWS).map(number).collect();
    let integers: Int64Array = (0..ROWS).map(|row| Some(integer(row))).collect();
    let columns: [(&str, ArrayRef); 2] = [("number", Arc::new(numbers)), ("integer", Arc::new(integers))];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

fn write(path: &Path, batch: &RecordBatch, layout: &Layout) {
    let file = || File::create(path).expect("a file");
    match layout.form {
        "parquet" => {
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(layout.row_group))
                .set_dictionary_enabled(layout.dictionary)
                .build();
            let mut writer =
                ArrowWriter::try_new(file(), batch.schema(), Some(properties)).expect("a writer");
            writer.write(batch).expect("written");
            writer.close().expect("closed");
        }
        "arrow" => {
            let mut writer = FileWriter::try_new(file(), &batch.schema()).expect("a writer");
            // A batch that memory has no room for is refused.
            let step = layout.row_group.min(65_536);
            for from in (0..batch.num_rows()).step_by(step) {
                let rows = step.min(batch.num_rows() - from);
                writer.write(&batch.slice(from, rows)).expect("written");
            }
            writer.finish().expect("finished");
        }
        form => std::fs::write(path, text(batch, form)).expect("written"),
    }
}

fn text(batch: &RecordBatch, form: &str) -> String {
    let numbers: &Float64Array = batch.column(0).as_any().downcast_ref().expect("numbers");
    let integers: &Int64Array = batch.column(1).as_any().downcast_ref().expect("integers");
    let pairs = numbers.iter().zip(integers.iter().flatten());
    match form {
        "csv" => pairs.fold("number,integer\n".to_owned(), |text, (number, integer)| {
            text + &number.map_or_else(String::new, |x| x.to_string()) + &format!(",{integer}\n")
        }),
        _ => pairs.fold(String::new(), |text, (number, integer)| {
            let number = number.map_or_else(|| "null".to_owned(), |x| x.to_string());
            text + &format!("{{\"number\":{number},\"integer\":{integer}}}\n")
        }),
    }
}

/// Everything that is computed and stored, but for times.
#[derive(PartialEq)]
struct Answer {
    rdd: Value,
    dataframe: Value,
    normalization: Value,
    normalized: Vec<u8>,
}

fn answer(layout: &Layout, batch: &RecordBatch) -> Answer {
    let place = Place::new();
    let folder = place.dir.path().join("rows");
    std::fs::create_dir(&folder).expect("a folder");
    let begins = std::iter::once(0).chain(layout.cuts.iter().copied());
    let ends = layout.cuts.iter().copied().chain([ROWS]);
    for (number, (begin, end)) in begins.zip(ends).enumerate() {
        let name = format!("{number}.{}", layout.form);
        write(&folder.join(name), &batch.slice(begin, end - begin), layout);
    }
    let mut command = binary();
    command.env("CAUDAL__PROCESSING__THREADS", layout.threads.to_string());
    command.args(["process", "--pipeline", "both", "--output-format", "csv", "--format", "json"]);
    command.args(["--memory-limit", layout.memory, "--storage"]).arg(place.bucket()).arg(&folder);
    let response = Run(command.output().expect("the binary runs")).json();
    let job = response["job_id"].as_str().expect("an id").to_owned();
    let parts = place.bucket().join("normalized_data").join(job);
    let mut names: Vec<_> =
        std::fs::read_dir(parts).expect("parts").map(|e| e.expect("an entry").path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "csv"));
    names.sort();
    let of = |pipeline: &str| response["spark_processing"][pipeline]["columns"].clone();
    Answer {
        rdd: of("rdd_results"),
        dataframe: of("dataframe_results"),
        normalization: response["gpu_processing"]["columns"].clone(),
        normalized: names.iter().flat_map(|path| std::fs::read(path).expect("a part")).collect(),
    }
}

/// The rows that a form can hold: JSON has no infinity.
fn rows_of(form: &str) -> &'static RecordBatch {
    static ALL: LazyLock<RecordBatch> = LazyLock::new(rows);
    static FINITE: LazyLock<RecordBatch> = LazyLock::new(|| {
        let numbers: &Float64Array = ALL.column(0).as_any().downcast_ref().expect("numbers");
        let finite: Float64Array = numbers.iter().map(|x| x.filter(|x| x.is_finite())).collect();
        RecordBatch::try_new(ALL.schema(), vec![Arc::new(finite), ALL.column(1).clone()]).expect("a batch")
    });
    if form == "ndjson" { &FINITE } else { &ALL }
}

/// One file, one row group, one thread, memory enough.
fn expected(form: &str) -> &'static Answer {
    static ALL: LazyLock<Answer> = LazyLock::new(|| answer(&plain(), rows_of("parquet")));
    static FINITE: LazyLock<Answer> = LazyLock::new(|| answer(&plain(), rows_of("ndjson")));
    if form == "ndjson" { &FINITE } else { &ALL }
}

fn plain() -> Layout {
    Layout { form: "parquet", cuts: vec![], row_group: ROWS, dictionary: false, threads: 1, memory: "2GB" }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_layout_changes_a_bit_of_any_result(layout in layouts()) {
        let (found, expected) = (answer(&layout, rows_of(layout.form)), expected(layout.form));
        prop_assert_eq!(&found.rdd, &expected.rdd);
        prop_assert_eq!(&found.dataframe, &expected.dataframe);
        prop_assert_eq!(&found.normalization, &expected.normalization);
        prop_assert!(found.normalized == expected.normalized, "the stored bytes differ");
    }
}
