//! Sources that memory has no room for: the same values from a file that nobody sees, or a clear refusal.

use std::fmt::Write;

use arrow::array::{Float64Array, RecordBatch};
use caudal_core::request::SourceFormat::{self, Arrow, Csv, Json, Ndjson};
use caudal_core::{Error, ErrorKind};
use caudal_storage::Table;
use tempfile::TempDir;

use crate::support::{open_within, read, table_of};

const ROWS: usize = 50_000;

/// Memory for a tenth of two columns.
const LITTLE: u64 = 160_000;

fn csv(rows: usize) -> String {
    (0..rows).fold("a,b\n".into(), |mut text, i| {
        writeln!(text, "{},{}", i as f64 / 3.0, i % 7).unwrap();
        text
    })
}

fn place(content: impl AsRef<[u8]>) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("source");
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// The columns of a table with every NaN the same.
fn bits(table: &Table) -> Vec<(String, u64, Vec<u64>)> {
    let bits = |x: &f64| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() };
    let column = |c: &caudal_storage::Column| {
        (c.name.clone(), c.inexact_integers, c.values.iter().map(bits).collect())
    };
    table.columns.iter().map(column).collect()
}

/// Reads with plenty of memory and with little; both must say the same. Returns it.
async fn both(content: impl AsRef<[u8]>, format: SourceFormat) -> Result<Table, Error> {
    let (folder, path) = place(content);
    let plenty = read(&path, format, None).await;
    let little = open_within(&path, format, None, LITTLE, u64::MAX).await;
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing but the source has a name: {names:?}");
    match (plenty, little) {
        (Ok(plenty), Ok(little)) => {
            assert!(little.slice(0, 0..1).is_none(), "it was not spilled");
            let little = table_of(&little)?;
            assert!(bits(&plenty) == bits(&little));
            assert_eq!(plenty.skipped, little.skipped);
            Ok(little)
        }
        (Err(plenty), Err(little)) => {
            assert_eq!(plenty.faults, little.faults);
            assert_eq!(plenty.full_text(), little.full_text());
            Err(little)
        }
        (plenty, little) => panic!("{plenty:?} {:?}", little.map(|s| s.describe())),
    }
}

fn told(error: Result<Table, Error>) -> Vec<String> {
    error.unwrap_err().faults.first.iter().map(|f| format!("{}: {}", f.pointer, f.detail)).collect()
}

#[tokio::test]
async fn a_fault_far_down_keeps_its_row_and_column() {
    let text = csv(ROWS).replace("\n12345,", "\noops,");
    assert_eq!(told(both(&text, Csv).await), ["row 37036, column a: expected a number, found \"oops\""]);
    let lines = |last: &str| {
        let line = |i: usize| if i == 40_000 { last.to_owned() } else { format!("{{\"a\":{i},\"b\":0.5}}") };
        (0..ROWS).map(line).collect::<Vec<_>>()
    };
    let repeated = lines("{\"a\":1,\"a\":2,\"b\":3}");
    let fault = ["line 40001, column a: the key stands twice in its row"];
    assert_eq!(told(both(repeated.join("\n"), Ndjson).await), fault);
    let fault = ["/40000/a: the key stands twice in its row"];
    assert_eq!(told(both(format!("[{}]", repeated.join(",\n")), Json).await), fault);
    let beyond = lines("{\"a\":1e999,\"b\":3}");
    let faults = told(both(format!("[{}]", beyond.join(",\n")), Json).await);
    assert!(faults[0].starts_with("/40000/a: expected a number within"), "{faults:?}");
    let broken = lines("{\"a\":1 \"b\":3}");
    let faults = told(both(format!("[{}]", broken.join(",\n")), Json).await);
    assert_eq!(faults, ["line 40001: the text stops being JSON: expected `,` or `}` at column 8"]);
    let twice = told(both(format!("[{}]\n [1]", lines("null").join(",\n")), Json).await);
    assert!(twice[0].starts_with("line 50001: the document has ended"), "{twice:?}");
}

#[tokio::test]
async fn keys_that_come_late_go_or_turn_to_text_leave_the_same_columns() {
    let line = |i: usize| match i {
        0..10_000 => format!("{{\"a\":{i}}}"),
        30_000 => "{\"b\":1,\"a\":2,\"text\":\"x\",\"rare\":5}".into(),
        30_001 => "null".into(),
        _ if i.is_multiple_of(20_000) => format!("{{\"b\":{i},\"rare\":{i},\"text\":1}}"),
        _ => format!("{{\"b\":{i},\"text\":{i}}}"),
    };
    let lines: Vec<String> = (0..ROWS).map(line).collect();
    let table = both(lines.join("\n"), Ndjson).await.unwrap();
    let counts = |table: &Table| {
        let present = |c: &caudal_storage::Column| c.values.iter().filter(|x| !x.is_nan()).count();
        table.columns.iter().map(|c| (c.name.clone(), present(c))).collect::<Vec<_>>()
    };
    let expected = [("a".into(), 10_001), ("b".into(), 39_999), ("rare".into(), 3)];
    assert_eq!(counts(&table), expected);
    assert_eq!(table.skipped[0].name, "text");
    let table = both(format!("[{}]", lines.join(",")), Json).await.unwrap();
    assert_eq!(counts(&table), expected);
}

#[tokio::test]
async fn columns_one_after_the_other_are_spilled_too() {
    let column = |name: &str, by: f64| {
        let values: Vec<String> = (0..ROWS).map(|i| format!("{:?}", i as f64 * by)).collect();
        format!("\"{name}\": [{}]", values.join(" ,"))
    };
    let table = both(format!("{{{}, {}}}", column("x", 0.1), column("y", -1e-300)), Json).await.unwrap();
    assert_eq!(table.rows, ROWS);
    let short = format!("{{{}, \"y\": [1]}}", column("x", 0.1));
    assert_eq!(told(both(short, Json).await), ["/y: expected 50000 elements, as in \"x\", found 1"]);
}

#[tokio::test]
async fn what_has_room_nowhere_is_refused_with_what_is_needed() {
    let (_folder, path) = place(csv(ROWS));
    let error = open_within(&path, Csv, None, LITTLE, 300_000).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::InsufficientDisk);
    assert!(error.detail.contains("about 0.8 MB") && error.detail.contains("0.3 MB are allowed"), "{error}");
    assert!(error.full_text().contains("--spill-limit"), "{}", error.full_text());
    assert!(open_within(&path, Csv, Some(&["a"]), LITTLE, 500_000).await.is_ok());
    let header: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
    let (_folder, path) = place(header.join(",") + &format!("\n1{}", ",2".repeat(99)).repeat(5_000));
    let error = open_within(&path, Csv, None, 100_000, u64::MAX).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::InsufficientMemory, "{error}");
    assert!(error.detail.contains("1024 rows of 100 columns"), "{error}");
}

#[tokio::test]
async fn an_arrow_batch_larger_than_memory_is_refused_and_small_ones_are_read() {
    let values = Float64Array::from_iter_values((0..ROWS).map(|i| i as f64 * 0.1));
    let batch = RecordBatch::try_from_iter([("x", std::sync::Arc::new(values) as _)]).unwrap();
    let file = |rows: usize| {
        let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        (0..ROWS).step_by(rows).for_each(|from| writer.write(&batch.slice(from, rows)).unwrap());
        writer.into_inner().unwrap()
    };
    assert_eq!(both(file(5_000), Arrow).await.unwrap().rows, ROWS);
    let (_folder, path) = place(file(ROWS));
    let error = open_within(&path, Arrow, None, LITTLE, u64::MAX).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::InsufficientMemory);
    assert!(error.detail.contains("a record batch takes 0.4 MB"), "{error}");
}

#[tokio::test]
async fn a_line_or_a_value_without_end_is_refused() {
    let long = format!("{{\"a\": \"{}\"}}", "x".repeat(3 << 20));
    for format in [Json, Ndjson] {
        let (_folder, path) = place(&long);
        let error = open_within(&path, format, None, LITTLE, u64::MAX).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::InsufficientMemory, "{error}");
    }
}
