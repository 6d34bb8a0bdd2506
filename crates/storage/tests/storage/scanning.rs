//! Scans: the same blocks bit for bit, however the rows lie in their files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float32Array, Float64Array, Int64Array, RecordBatch, UInt8Array,
};
use caudal_core::ErrorKind;
use caudal_core::request::SourceFormat;
use caudal_storage::{BLOCK_ROWS, BatchReader, ScanControl, Source, scan};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::{WriterProperties, WriterVersion};
use tempfile::TempDir;

use crate::support::{open, open_within};

const ROWS: usize = 2 * BLOCK_ROWS as usize + 4_321;

const NAMES: [&str; 5] = ["double", "full", "long", "small", "money"];

/// Nulls, infinities and -0.0; no null at all; integers beyond 2^53; a narrow type; a type that goes
/// through Arrow.
fn batch(rows: usize) -> RecordBatch {
    let hard = [Some(0.1), None, Some(f64::INFINITY), Some(-0.0), Some(5e-324), Some(f64::NEG_INFINITY)];
    let doubles: Float64Array =
        (0..rows).map(|i| if i % 7 == 0 { hard[i / 7 % hard.len()] } else { Some(i as f64 / 3.0) }).collect();
    let full = Float32Array::from_iter_values((0..rows).map(|i| i as f32 / 8.0));
    let longs: Int64Array = (0..rows).map(|i| (i % 11 != 0).then_some((1 << 53) + i as i64)).collect();
    let small: UInt8Array = (0..rows).map(|i| (i % 5 != 4).then_some((i % 256) as u8)).collect();
    let money = Decimal128Array::from_iter_values((0..rows).map(|i| i as i128 - 50))
        .with_precision_and_scale(20, 2)
        .unwrap();
    let columns: [ArrayRef; 5] =
        [Arc::new(doubles), Arc::new(full), Arc::new(longs), Arc::new(small), Arc::new(money)];
    RecordBatch::try_from_iter(NAMES.into_iter().zip(columns)).unwrap()
}

fn parquet_file(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.into_inner().unwrap()
}

fn arrow_file(batch: &RecordBatch, rows_of_a_batch: usize) -> Vec<u8> {
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    for from in (0..batch.num_rows()).step_by(rows_of_a_batch) {
        writer.write(&batch.slice(from, rows_of_a_batch.min(batch.num_rows() - from))).unwrap();
    }
    writer.into_inner().unwrap()
}

/// One column of another source as text: an empty cell in CSV, `null` in NDJSON.
fn text(blocks: &Blocks, columns: usize, missing: &str, write: impl Fn(&[String]) -> String) -> String {
    let column = |c: usize| {
        let cells = blocks.range((c, 0)..(c + 1, 0)).flat_map(|(_, rows)| rows);
        cells.map(|bits| f64::from_bits(*bits)).map(|x| match x.is_nan() {
            true => missing.to_owned(),
            false => format!("{x:?}"),
        })
    };
    let columns: Vec<Vec<String>> = (0..columns).map(|c| column(c).collect()).collect();
    (0..columns[0].len())
        .map(|row| write(&columns.iter().map(|c| c[row].clone()).collect::<Vec<_>>()))
        .collect()
}

type Blocks = BTreeMap<(usize, u64), Vec<u64>>;

/// Every NaN is the same missing value.
fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }).collect()
}

fn blocks(source: &Source, columns: &[usize], threads: usize) -> Blocks {
    let control = ScanControl { threads, ..ScanControl::silent() };
    let states = scan(source, columns, &control, Blocks::new, |seen, position, block, rows| {
        assert!(seen.insert((position, block), bits(rows)).is_none(), "a block was seen twice");
        Ok(())
    });
    let states = states.unwrap();
    let seen: usize = states.iter().map(BTreeMap::len).sum();
    let all: Blocks = states.into_iter().flatten().collect();
    assert_eq!(seen, all.len(), "each block once");
    all
}

async fn opened(content: &[u8], format: SourceFormat) -> (Arc<Source>, TempDir) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("source");
    std::fs::write(&path, content).unwrap();
    (open(&path, format, None).await.unwrap(), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_give_the_same_blocks_however_they_were_written() {
    let batch = batch(ROWS);
    let (reference, _folder) = opened(&arrow_file(&batch, ROWS), SourceFormat::Arrow).await;
    let expected = blocks(&reference, &[0, 1, 2, 3, 4], 1);
    assert_eq!(expected.len(), 5 * 3);
    let mut sources =
        vec![("arrow in small batches".to_owned(), arrow_file(&batch, 999), SourceFormat::Arrow)];
    let zstd = Compression::ZSTD(ZstdLevel::default());
    for (group, page, compression, version, dictionary) in [
        (1 << 20, 20_000, Compression::UNCOMPRESSED, WriterVersion::PARQUET_1_0, false),
        (1 << 20, 1_000, zstd, WriterVersion::PARQUET_2_0, true),
        (BLOCK_ROWS as usize, 777, Compression::SNAPPY, WriterVersion::PARQUET_2_0, false),
        (50_000, 1 << 20, Compression::LZ4_RAW, WriterVersion::PARQUET_1_0, true),
        (511, 100, Compression::UNCOMPRESSED, WriterVersion::PARQUET_2_0, true),
    ] {
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(group))
            .set_data_page_row_count_limit(page)
            .set_write_batch_size(page.min(1024))
            .set_compression(compression)
            .set_writer_version(version)
            .set_dictionary_enabled(dictionary)
            .build();
        let what = format!("groups of {group}, pages of {page}, {compression}, dictionary {dictionary}");
        sources.push((what, parquet_file(&batch, properties), SourceFormat::Parquet));
    }
    let csv = NAMES.join(",") + "\n" + &text(&expected, 5, "", |cells| cells.join(",") + "\n");
    sources.push(("csv".into(), csv.into_bytes(), SourceFormat::Csv));
    for (what, content, format) in sources {
        let (source, folder) = opened(&content, format).await;
        check_spilled(folder.path(), format, &expected, &what).await;
        assert_eq!(source.rows(), ROWS as u64, "{what}");
        for threads in [1, 4] {
            assert!(blocks(&source, &[0, 1, 2, 3, 4], threads) == expected, "{what}, {threads} threads");
        }
        if format != SourceFormat::Csv {
            let inexact: Vec<_> = (0..5).map(|c| source.inexact_integers(c).unwrap()).collect();
            let odd = (0..ROWS).filter(|i| i % 11 != 0 && i % 2 == 1).count() as u64;
            assert_eq!(inexact, [0, 0, odd, 0, 0], "{what}");
        }
        check_readers(&source, &expected, &what);
        check_batches(&source, &expected, &what);
    }
}

/// The same file with memory for a tenth of it.
async fn check_spilled(folder: &Path, format: SourceFormat, expected: &Blocks, what: &str) {
    let spilled = open_within(&folder.join("source"), format, None, 1 << 19, u64::MAX).await.unwrap();
    assert!(spilled.slice(0, 0..1).is_none(), "{what}: it was not spilled");
    for threads in [1, 4] {
        assert!(
            blocks(&spilled, &[0, 1, 2, 3, 4], threads) == *expected,
            "{what}, spilled, {threads} threads"
        );
    }
    check_readers(&spilled, expected, what);
    check_batches(&spilled, expected, what);
}

/// Ranges that begin and end anywhere, filled in pieces of any size.
fn check_readers(source: &Source, expected: &Blocks, what: &str) {
    for column in 0..5 {
        let all: Vec<u64> =
            expected.range((column, 0)..(column + 1, 0)).flat_map(|(_, b)| b.clone()).collect();
        for (from, to, piece) in
            [(0, 10, 3), (65_530, 65_540, 4), (511, 1_533, 1_000), (ROWS - 5, ROWS + 5, 99)]
        {
            let mut reader = source.reader(column, from as u64..to as u64).unwrap();
            let (mut found, mut buffer) = (Vec::new(), vec![0.0; piece]);
            loop {
                match reader.fill(&mut buffer).unwrap() {
                    0 => break,
                    count => found.extend(bits(&buffer[..count])),
                }
            }
            assert!(found == all[from..to.min(ROWS)], "{what}: column {column}, rows {from} to {to}");
        }
        let mut reader = source.reader(column, 3..u64::MAX).unwrap();
        for row in [4, 600, 66_000, 66_001, ROWS as u64 - 1] {
            let mut one = [0.0];
            reader.skip_to(row).unwrap();
            assert_eq!(reader.fill(&mut one).unwrap(), 1, "{what}");
            assert_eq!(bits(&one), [all[row as usize]], "{what}: column {column}, row {row}");
        }
    }
}

fn check_batches(source: &Arc<Source>, expected: &Blocks, what: &str) {
    let mut batches = BatchReader::new(source.clone(), &[4, 0, 2], 1..99).unwrap();
    let mut seen = 0;
    while let Some(batch) = batches.next_batch().unwrap() {
        for (column, rows) in [4, 0, 2].into_iter().zip(&batch.columns) {
            assert!(bits(rows) == expected[&(column, batch.block)], "{what}: block {}", batch.block);
        }
        seen += 1;
    }
    assert_eq!(seen, 2, "{what}: all blocks but the first");
}

/// The same file with a footer that says something else.
fn with_footer(file: &[u8], change: impl Fn(ParquetMetaData) -> ParquetMetaData) -> Vec<u8> {
    let content = bytes::Bytes::copy_from_slice(file);
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&content).unwrap();
    let length = u32::from_le_bytes(file[file.len() - 8..file.len() - 4].try_into().unwrap()) as usize;
    let mut lying = file[..file.len() - 8 - length].to_vec();
    ParquetMetaDataWriter::new(&mut lying, &change(metadata)).finish().unwrap();
    lying
}

#[tokio::test]
async fn row_groups_that_lie_about_their_rows_are_a_fault_of_the_data() {
    let file = parquet_file(&batch(1000), WriterProperties::new());
    for lie in [1, 999, 1001, 100_000, i64::MAX, -1] {
        let lying = with_footer(&file, |metadata| {
            let mut builder = metadata.into_builder();
            let groups = builder.take_row_groups().into_iter();
            let lie =
                |g: parquet::file::metadata::RowGroupMetaData| g.into_builder().set_num_rows(lie).build();
            builder.set_row_groups(groups.map(|g| lie(g).unwrap()).collect()).build()
        });
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("source");
        std::fs::write(&path, lying).unwrap();
        for column in 0..5 {
            let outcome = match open(&path, SourceFormat::Parquet, None).await {
                Ok(source) => scan(&source, &[column], &ScanControl::silent(), || (), |_, _, _, _| Ok(())),
                Err(error) => Err(error),
            };
            let error = outcome.expect_err(&format!("{lie} rows, column {column}"));
            assert_eq!(error.kind, ErrorKind::InvalidData, "{lie} rows: {error}");
        }
    }
}

#[tokio::test]
async fn a_scan_stops_at_an_error_and_when_it_is_cancelled() {
    let (source, _folder) = opened(&arrow_file(&batch(ROWS), ROWS), SourceFormat::Arrow).await;
    let failing = |_: &mut (), _: usize, block: u64, _: &[f64]| match block {
        1 => Err(caudal_core::Error::new(ErrorKind::Conflict, "no")),
        _ => Ok(()),
    };
    let error = scan(&source, &[0, 1], &ScanControl::silent(), || (), failing).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    let control = ScanControl::silent();
    control.cancel.cancel();
    let error = scan(&source, &[0], &control, || (), |_, _, _, _| Ok(())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
    assert_eq!(source.reader(9, 0..1).err().map(|e| e.kind), Some(ErrorKind::Internal));
}

#[tokio::test]
async fn a_source_is_opened_without_reading_it_and_read_after_its_name_is_gone() {
    let (source, folder) =
        opened(&parquet_file(&batch(500), WriterProperties::new()), SourceFormat::Parquet).await;
    assert!(Path::exists(folder.path()));
    drop(folder);
    assert_eq!(source.names().collect::<Vec<_>>(), NAMES);
    assert_eq!(blocks(&source, &[0], 1).len(), 1);
}
