//! Damaged files of every binary and text form, thousands of each: an error or values, never a crash, never a lie that is
//! believed. The damage is the same in every run; `CAUDAL_MUTATIONS` asks for more of it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Int32Type;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use caudal_core::ErrorKind;
use caudal_core::request::SourceFormat::{self, Arrow, Csv, Json, Ndjson, Parquet};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use crate::support::{open_within, table_of};

/// What a damaged file may take: more than that is an error as well.
const MEMORY: u64 = 64 << 20;

/// Damaged copies of each file.
const COPIES: usize = 400;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }
}

fn batch() -> RecordBatch {
    let x = Float64Array::from_iter((0..200).map(|i| (i % 7 > 0).then_some(f64::from(i) * 0.5)));
    let y = Int32Array::from_iter_values(0..200);
    let text = StringArray::from_iter_values((0..200).map(|i| format!("t{}", i % 3)));
    let values = Float64Array::from(vec![1.5, 2.5, 3.5]);
    let keys = Int32Array::from_iter_values((0..200).map(|i| i % 3));
    let coded = DictionaryArray::<Int32Type>::try_new(keys, Arc::new(values)).unwrap();
    let columns: [(&str, ArrayRef); 4] =
        [("x", Arc::new(x)), ("y", Arc::new(y)), ("text", Arc::new(text)), ("coded", Arc::new(coded))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn arrow_file(compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let batch = batch();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch.slice(10, 20)).unwrap();
    writer.into_inner().unwrap()
}

fn arrow_stream(compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let batch = batch();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.write(&batch.slice(10, 20)).unwrap();
    writer.into_inner().unwrap()
}

fn parquet_file(compression: Compression) -> Vec<u8> {
    let properties =
        WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(120));
    let batch = batch().project(&[0, 1, 2]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Every form that is read, whole.
fn files() -> Vec<(&'static str, SourceFormat, Vec<u8>)> {
    let text = |line: &dyn Fn(u32) -> String| (0..60).map(line).collect::<String>().into_bytes();
    vec![
        ("Arrow file", Arrow, arrow_file(None)),
        ("Arrow file, LZ4", Arrow, arrow_file(Some(CompressionType::LZ4_FRAME))),
        ("Arrow file, zstd", Arrow, arrow_file(Some(CompressionType::ZSTD))),
        ("Arrow stream", Arrow, arrow_stream(None)),
        ("Arrow stream, LZ4", Arrow, arrow_stream(Some(CompressionType::LZ4_FRAME))),
        ("Arrow stream, zstd", Arrow, arrow_stream(Some(CompressionType::ZSTD))),
        ("Parquet", Parquet, parquet_file(Compression::UNCOMPRESSED)),
        ("Parquet, Snappy", Parquet, parquet_file(Compression::SNAPPY)),
        ("Parquet, LZ4", Parquet, parquet_file(Compression::LZ4_RAW)),
        ("Parquet, zstd", Parquet, parquet_file(Compression::ZSTD(Default::default()))),
        ("Parquet, Brotli", Parquet, parquet_file(Compression::BROTLI(Default::default()))),
        ("Parquet, gzip", Parquet, parquet_file(Compression::GZIP(Default::default()))),
        ("CSV", Csv, text(&|i| if i == 0 { "a,b;c\n".into() } else { format!("{i},\"{i}.5\"\n") })),
        ("NDJSON", Ndjson, text(&|i| format!("{{\"a\": {i}, \"b\": [1, \"x\\u00e9\"], \"c\": {i}e-3}}\n"))),
        ("JSON", Json, br#"{"a": [1, 2.5, null, -3e10], "b": [1, 2, 3, 4]}"#.to_vec()),
    ]
}

/// Reads a file through to its last value.
async fn through(folder: &Path, content: &[u8], format: SourceFormat) -> Result<u64, ErrorKind> {
    let path = folder.join("source");
    std::fs::write(&path, content).unwrap();
    let source = open_within(&path, format, None, MEMORY, MEMORY).await.map_err(|e| e.kind)?;
    table_of(&source).map(|table| table.rows as u64).map_err(|e| e.kind)
}

async fn survives(folder: &Path, what: &str, content: &[u8], format: SourceFormat) {
    use ErrorKind::{InsufficientDisk, InsufficientMemory, InvalidData};
    if let Err(kind) = through(folder, content, format).await {
        let told = matches!(kind, InvalidData | InsufficientMemory | InsufficientDisk);
        assert!(told, "{what} ends as {kind:?}");
    }
}

fn damaged(whole: &[u8], random: &mut Random) -> Vec<u8> {
    const LENGTHS: [i64; 10] = [-1, 0, 1, 7, 1 << 20, 1 << 31, 1 << 40, 1 << 50, i64::MAX, i64::MIN];
    let mut bytes = whole.to_vec();
    for _ in 0..=random.below(3) {
        // A step before may have left nothing.
        let at = random.below(bytes.len());
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len()))),
            4 => {
                let piece = bytes[at..(at + random.below(40)).min(bytes.len())].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
            5 if bytes.len() >= at + 8 => {
                bytes[at..at + 8].copy_from_slice(&LENGTHS[random.below(LENGTHS.len())].to_le_bytes());
            }
            _ if bytes.len() >= at + 4 => {
                let length = LENGTHS[random.below(LENGTHS.len())] as i32;
                bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            }
            _ => {}
        }
    }
    bytes
}

#[tokio::test]
async fn damaged_files_of_every_form_are_told_or_read_and_nothing_falls_over() {
    let asked = std::env::var("CAUDAL_MUTATIONS").ok().and_then(|text| text.parse().ok());
    let folder = TempDir::new().unwrap();
    for (seed, (name, format, whole)) in files().into_iter().enumerate() {
        assert!(through(folder.path(), &whole, format).await.is_ok(), "{name} is whole");
        let mut random = Random(seed as u64 + 1);
        for i in 0..asked.unwrap_or(COPIES) {
            let bytes = damaged(&whole, &mut random);
            survives(folder.path(), &format!("{name}, copy {i}"), &bytes, format).await;
        }
    }
}

/// Sets every number that a file could hold to what breaks a reader that believes it.
async fn with_every_number(name: &str, format: SourceFormat, whole: &[u8], from: usize) {
    let folder = TempDir::new().unwrap();
    for at in (from / 4 * 4..whole.len().saturating_sub(8)).step_by(4) {
        for length in [-1, i64::MAX, 1 << 50, 1 << 31] {
            let mut bytes = whole.to_vec();
            bytes[at..at + 8].copy_from_slice(&length.to_le_bytes());
            survives(folder.path(), &format!("{name}, {length} at {at}"), &bytes, format).await;
        }
        for length in [-1, i32::MAX, 0, 1 << 24] {
            let mut bytes = whole.to_vec();
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            survives(folder.path(), &format!("{name}, {length} at {at}"), &bytes, format).await;
        }
    }
}

#[tokio::test]
async fn no_number_in_an_arrow_file_is_believed() {
    let whole = arrow_file(Some(CompressionType::ZSTD));
    with_every_number("Arrow file", Arrow, &whole, 0).await;
}

#[tokio::test]
async fn no_number_in_an_arrow_stream_is_believed() {
    let whole = arrow_stream(Some(CompressionType::LZ4_FRAME));
    with_every_number("Arrow stream", Arrow, &whole, 0).await;
}

#[tokio::test]
async fn no_number_in_the_footer_of_parquet_is_believed() {
    let whole = parquet_file(Compression::SNAPPY);
    let footer = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
    with_every_number("Parquet", Parquet, &whole, whole.len() - 8 - footer).await;
}

/// A stream of one column of zeros, compressed, in which every declared length is `times` what it was.
fn inflated(compression: CompressionType, rows: usize, times: u64) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(Some(compression)).unwrap();
    let zeros = Float64Array::from(vec![0.0; rows]);
    let batch = RecordBatch::try_from_iter([("x", Arc::new(zeros) as ArrayRef)]).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    let mut bytes = writer.into_inner().unwrap();
    let declared = (rows as u64 * 8).to_le_bytes();
    let at: Vec<usize> = (0..bytes.len() - 8).filter(|at| bytes[*at..at + 8] == declared).collect();
    assert!(!at.is_empty(), "the length stands in the stream");
    for at in at {
        bytes[at..at + 8].copy_from_slice(&(rows as u64 * 8).saturating_mul(times).to_le_bytes());
    }
    bytes
}

#[tokio::test]
async fn a_compressed_buffer_that_says_it_is_larger_than_memory_is_refused_before_room_is_made() {
    let folder = TempDir::new().unwrap();
    for compression in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
        assert_eq!(through(folder.path(), &inflated(compression, 1000, 1), Arrow).await, Ok(1000));
        let large = inflated(compression, 1000, 1 << 40);
        assert_eq!(through(folder.path(), &large, Arrow).await, Err(ErrorKind::InsufficientMemory));
        let wrong = inflated(compression, 1000, 2);
        assert_eq!(through(folder.path(), &wrong, Arrow).await, Err(ErrorKind::InvalidData));
    }
}

#[tokio::test]
async fn an_lz4_frame_that_becomes_more_than_it_says_is_refused_before_it_does() {
    let folder = TempDir::new().unwrap();
    // 80 MB of zeros in a third of a megabyte, which say that they are 8 bytes.
    let rows = 10_000_000;
    let honest = inflated(CompressionType::LZ4_FRAME, rows, 1);
    assert!(honest.len() < 1_000_000, "{} bytes", honest.len());
    let declared = (rows as u64 * 8).to_le_bytes();
    let mut lying = honest.clone();
    for at in 0..lying.len() - 8 {
        if lying[at..at + 8] == declared {
            lying[at..at + 8].copy_from_slice(&8_u64.to_le_bytes());
        }
    }
    assert_ne!(lying, honest);
    assert_eq!(through(folder.path(), &lying, Arrow).await, Err(ErrorKind::InsufficientMemory));
}
