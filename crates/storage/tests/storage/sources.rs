//! Sources: every numeric type widened exactly, and damage told instead of taken for data.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, Float16Array,
    Float32Array, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::datatypes::{Int32Type, i256};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use caudal_core::request::SourceFormat;
use caudal_core::{ErrorKind, Result};
use caudal_storage::Table;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;

use crate::support::read_bytes;

/// A column of each numeric type, and of some that are none.
fn batch(rows: usize) -> RecordBatch {
    let int = |i: usize| i as i64 * 3 - 7;
    let present = |i: usize| !i.is_multiple_of(5);
    let doubles: Float64Array = (0..rows).map(|i| present(i).then(|| int(i) as f64 / 8.0)).collect();
    let floats: Float32Array = (0..rows).map(|i| Some(int(i) as f32 / 3.0)).collect();
    let halves: Float16Array = (0..rows).map(|i| Some(half::f16::from_f64((i % 100) as f64 / 4.0))).collect();
    let bytes: Int8Array = (0..rows).map(|i| present(i).then_some((i % 100) as i8 - 50)).collect();
    let longs: Int64Array = (0..rows).map(|i| Some((1 << 53) + i as i64)).collect();
    let unsigned: UInt64Array = (0..rows).map(|i| Some(u64::MAX - i as u64)).collect();
    let decimals = Decimal128Array::from_iter_values((0..rows).map(|i| int(i) as i128))
        .with_precision_and_scale(20, 2)
        .unwrap();
    let wide = Decimal256Array::from_iter_values((0..rows).map(|i| i256::from_i128(int(i) as i128)))
        .with_precision_and_scale(50, 3)
        .unwrap();
    let keys = (0..rows).map(|i| present(i).then_some((i % 3) as i32)).collect();
    let values = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5]));
    let dictionary = DictionaryArray::<Int32Type>::try_new(keys, values).unwrap();
    let words: StringArray = (0..rows).map(|i| Some(format!("w{i}"))).collect();
    let flags: BooleanArray = (0..rows).map(|i| Some(present(i))).collect();
    let days: Date32Array = (0..rows).map(|i| Some(i as i32)).collect();
    let columns: [(&str, ArrayRef); 12] = [
        ("double", Arc::new(doubles)),
        ("float", Arc::new(floats)),
        ("half", Arc::new(halves)),
        ("byte", Arc::new(bytes)),
        ("long", Arc::new(longs)),
        ("unsigned", Arc::new(unsigned)),
        ("decimal", Arc::new(decimals)),
        ("wide", Arc::new(wide)),
        ("dictionary", Arc::new(dictionary)),
        ("word", Arc::new(words)),
        ("flag", Arc::new(flags)),
        ("day", Arc::new(days)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn arrow_file(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn arrow_stream(batch: &RecordBatch) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn parquet(batch: &RecordBatch, compression: Compression, group: usize) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(group))
        .build();
    let mut content = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut content, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    content
}

fn check_values(table: &Table, rows: usize) {
    assert_eq!(table.rows, rows);
    let value = |name: &str, row: usize| {
        table.columns.iter().find(|c| c.name == name).unwrap_or_else(|| panic!("{name} is gone")).values[row]
    };
    for row in (0..rows).step_by(7) {
        let int = row as f64 * 3.0 - 7.0;
        let missing = row.is_multiple_of(5);
        let expect = |name: &str, expected: f64| {
            let found = value(name, row);
            assert!(found == expected || (found.is_nan() && expected.is_nan()), "{name}[{row}] = {found}");
        };
        expect("double", if missing { f64::NAN } else { int / 8.0 });
        expect("float", f64::from(int as f32 / 3.0));
        expect("half", (row % 100) as f64 / 4.0);
        expect("byte", if missing { f64::NAN } else { (row % 100) as f64 - 50.0 });
        expect("long", ((1_i64 << 53) + row as i64) as f64);
        expect("unsigned", (u64::MAX - row as u64) as f64);
        expect("decimal", int / 100.0);
        expect("wide", int / 1000.0);
        expect("dictionary", if missing { f64::NAN } else { (row % 3) as f64 + 0.5 });
    }
    let inexact = |name: &str| table.columns.iter().find(|c| c.name == name).unwrap().inexact_integers;
    assert_eq!(inexact("long"), rows as u64 / 2, "every odd number beyond 2^53");
    assert_eq!((inexact("byte"), inexact("double")), (0, 0));
    let skipped: Vec<&str> = table.skipped.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(skipped, ["word", "flag", "day"]);
}

#[tokio::test]
async fn every_numeric_type_is_widened_and_the_others_are_skipped() {
    let batch = batch(1000);
    check_values(&read_bytes(&arrow_file(&batch), SourceFormat::Arrow, None).await.unwrap(), 1000);
    check_values(&read_bytes(&arrow_stream(&batch), SourceFormat::Arrow, None).await.unwrap(), 1000);
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(Default::default()),
        Compression::BROTLI(Default::default()),
        Compression::LZ4_RAW,
        Compression::ZSTD(ZstdLevel::default()),
    ] {
        let file = parquet(&batch, compression, 300);
        check_values(&read_bytes(&file, SourceFormat::Parquet, None).await.unwrap(), 1000);
    }
}

#[tokio::test]
async fn many_row_groups_read_side_by_side_keep_their_places() {
    let batch = batch(20_000);
    let file = parquet(&batch, Compression::ZSTD(ZstdLevel::default()), 117);
    for _ in 0..5 {
        check_values(&read_bytes(&file, SourceFormat::Parquet, None).await.unwrap(), 20_000);
    }
}

/// Reads damaged bytes; anything but an answer or a fault of the data fails the test.
async fn survives(content: &[u8], format: SourceFormat, what: &str) -> Result<Arc<Table>> {
    let outcome = read_bytes(content, format, None).await;
    if let Err(error) = &outcome {
        assert!(
            matches!(error.kind, ErrorKind::InvalidData | ErrorKind::InsufficientMemory),
            "{what}: {error:?}"
        );
    }
    outcome
}

#[tokio::test]
async fn a_file_that_was_cut_off_anywhere_is_a_fault_of_the_data() {
    let batch = batch(500);
    let file = arrow_file(&batch);
    let parquet = parquet(&batch, Compression::SNAPPY, 200);
    for (format, content) in [(SourceFormat::Arrow, file), (SourceFormat::Parquet, parquet)] {
        for cut in (0..content.len() - 1).step_by(content.len() / 97) {
            let what = format!("{format} cut at {cut}");
            let error = survives(&content[..cut], format, &what).await.expect_err(&what);
            assert_eq!(error.kind, ErrorKind::InvalidData, "{what}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_was_cut_off_within_a_batch_is_a_fault_of_the_data() {
    let content = arrow_stream(&batch(500));
    for cut in (content.len() / 2..content.len() - 16).step_by(997) {
        let what = format!("a stream cut at {cut}");
        survives(&content[..cut], SourceFormat::Arrow, &what).await.expect_err(&what);
    }
}

#[tokio::test]
async fn flipped_bits_are_an_answer_or_a_fault_but_never_a_fall() {
    let batch = batch(200);
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for (format, content) in [
        (SourceFormat::Arrow, arrow_file(&batch)),
        (SourceFormat::Arrow, arrow_stream(&batch)),
        (SourceFormat::Parquet, parquet(&batch, Compression::SNAPPY, 100)),
        (SourceFormat::Parquet, parquet(&batch, Compression::ZSTD(ZstdLevel::default()), 100)),
    ] {
        for _ in 0..150 {
            let mut damaged = content.clone();
            let place = random() % damaged.len();
            damaged[place] ^= 1 << (random() % 8);
            let _ = survives(&damaged, format, &format!("{format}, byte {place}")).await;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_are_never_a_fall(
        content in prop::collection::vec(any::<u8>(), 0..400),
        text in "[0-9a-zA-Z,\"\n\r{}\\[\\]:. \\-+eE]{0,300}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for format in
            [SourceFormat::Csv, SourceFormat::Json, SourceFormat::Ndjson, SourceFormat::Arrow, SourceFormat::Parquet]
        {
            for content in [content.as_slice(), text.as_bytes()] {
                let _ = runtime.block_on(survives(content, format, "random bytes"));
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_says_it_is_huge_is_refused_before_room_is_made_for_it() {
    for content in [b"\xFF\xFF\xFF\xFF\x00\x00\x00\x7Fabcdefgh", b"\x00\x00\x00\x7Fabcdefgh0123"] {
        let error = survives(content, SourceFormat::Arrow, "a huge message").await.unwrap_err();
        assert!(error.detail.contains("a message says that it has"), "{}", error.detail);
    }
}
