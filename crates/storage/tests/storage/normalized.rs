//! Normalised data: the same bytes however often it is written, and the same numbers in whatever form.

use std::ops::Range;
use std::sync::Arc;

use caudal_core::export::{ExportFormat, NormalizedData};
use caudal_core::ports::StageInput;
use caudal_core::request::OutputFormat;
use caudal_core::{ErrorKind, JobId};
use caudal_storage::{Bucket, Datasets, Filler, SourceOptions, SpillOptions};
use futures::TryStreamExt;

use crate::support::{buckets, minute, record, stage};

const FORMATS: [OutputFormat; 4] =
    [OutputFormat::Json, OutputFormat::Parquet, OutputFormat::Arrow, OutputFormat::Csv];

fn columns(rows: usize) -> Vec<(String, Vec<f64>)> {
    let hard = [0.1, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, -f64::MAX, 1.0 / 3.0];
    vec![
        ("plain".into(), (0..rows).map(|i| (i as f64 - 3.0) / 7.0).collect()),
        ("a \"hard\", one\n".into(), (0..rows).map(|i| hard[i % hard.len()]).collect()),
    ]
}

fn plenty() -> SourceOptions {
    SourceOptions { memory_limit: 1 << 30, ..SourceOptions::default() }
}

async fn put(data: &Datasets, input: &StageInput, format: OutputFormat, columns: Vec<(String, Vec<f64>)>) {
    let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
    let rows = columns[0].1.len() as u64;
    let columns = Arc::new(columns);
    let fill = move |column: usize, rows: Range<u64>| {
        let (columns, mut at) = (columns.clone(), rows.start as usize);
        let next = move |out: &mut [f64]| {
            out.copy_from_slice(&columns[column].1[at..at + out.len()]);
            at += out.len();
            Ok(())
        };
        Ok(Box::new(next) as Box<Filler>)
    };
    data.put_normalized(input, format, &names, rows, Arc::new(fill)).await.unwrap();
}

/// The names and values of stored normalised data.
async fn read_back(data: &Datasets, job: JobId) -> Vec<(String, Vec<f64>)> {
    let source = data.normalized_source(job).await.unwrap();
    let read = move || {
        let column = |i: usize| {
            let mut values = vec![0.0; source.rows() as usize];
            let filled = source.reader(i, 0..source.rows()).unwrap().fill(&mut values).unwrap();
            assert_eq!(filled, values.len());
            (source.name(i).to_owned(), values)
        };
        (0..source.columns()).map(column).collect()
    };
    // Stored data is read by threads that may wait.
    tokio::task::spawn_blocking(read).await.unwrap()
}

fn bits(values: &[f64]) -> Vec<u64> {
    // Every NaN is the same missing value.
    values.iter().map(|x| if x.is_nan() { f64::NAN.to_bits() } else { x.to_bits() }).collect()
}

async fn exported(data: &Datasets, job: JobId, format: Option<ExportFormat>) -> Vec<u8> {
    let export = data.export(job, format).await.unwrap();
    let (length, stored) = (export.length, export.stored.clone());
    let content = export.body.try_fold(Vec::new(), |mut all, piece| async move {
        all.extend_from_slice(&piece);
        Ok(all)
    });
    let content = content.await.unwrap();
    assert!(length.is_none_or(|length| length == content.len() as u64), "{format:?}");
    if let Some(object) = stored {
        let half = object.size / 2;
        let first = data.read_range(&object, 0..half).await.unwrap();
        let second = data.read_range(&object, half..object.size).await.unwrap();
        assert_eq!([first.to_vec(), second.to_vec()].concat(), content, "{format:?}");
    }
    content
}

#[tokio::test]
async fn what_was_written_is_read_back_bit_by_bit_in_every_format() {
    for (backend, bucket, _folder) in buckets() {
        for (number, format) in FORMATS.into_iter().enumerate() {
            let input = stage(record(number as u128, minute(0)));
            let data = Datasets::new(bucket.clone(), plenty());
            put(&data, &input, format, columns(1000)).await;
            let stored = read_back(&data, input.job_id()).await;
            assert_eq!(stored.len(), 2, "{backend} {format}");
            for (found, written) in stored.iter().zip(columns(1000)) {
                assert_eq!(found.0, written.0, "{backend} {format}");
                assert_eq!(bits(&found.1), bits(&written.1), "{backend} {format}");
            }
        }
    }
}

#[tokio::test]
async fn writing_twice_leaves_the_same_bytes() {
    for format in FORMATS {
        let mut written = Vec::new();
        for attempt in 1..=2 {
            // The second bucket is written twice, as by a stage that was restarted.
            let bucket = Bucket::memory();
            let data = Datasets::new(bucket, SourceOptions::default());
            let mut input = stage(record(1, minute(0)));
            for n in 1..=attempt {
                input.attempt = n;
                put(&data, &input, format, columns(500)).await;
            }
            written.push(exported(&data, input.job_id(), None).await);
        }
        assert_eq!(written[0], written[1], "{format}");
    }
}

#[tokio::test]
async fn every_form_is_handed_out_of_every_other() {
    for stored in FORMATS {
        let data = Datasets::new(Bucket::memory(), SourceOptions::default());
        let input = stage(record(1, minute(0)));
        put(&data, &input, stored, columns(300)).await;
        for wanted in ExportFormat::ALL {
            let content = exported(&data, input.job_id(), Some(wanted)).await;
            let text = String::from_utf8_lossy(&content);
            match wanted {
                ExportFormat::Json => {
                    let document: serde_json::Value = serde_json::from_slice(&content).unwrap();
                    let column = &document["columns"]["a \"hard\", one\n"];
                    assert_eq!(column[2], serde_json::Value::Null, "{stored}");
                    assert_eq!(column[3], "Infinity", "{stored}");
                    assert_eq!(column[5], 5e-324, "{stored}");
                }
                ExportFormat::Ndjson => assert_eq!(text.lines().count(), 300, "{stored}"),
                ExportFormat::Csv => assert!(text.lines().any(|l| l.ends_with(",-inf")), "{stored}"),
                ExportFormat::Arrow => {
                    let reader = arrow::ipc::reader::StreamReader::try_new(content.as_slice(), None).unwrap();
                    let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
                    assert_eq!(rows, 300, "{stored}");
                }
                ExportFormat::Parquet => assert!(content.ends_with(b"PAR1"), "{stored}"),
            }
        }
    }
}

#[tokio::test]
async fn a_job_without_normalised_data_has_none_to_read() {
    let data = Datasets::new(Bucket::memory(), SourceOptions::default());
    let job = record(1, minute(0)).job_id;
    let found = data.normalized_source(job).await.err();
    assert_eq!(found.map(|e| e.kind), Some(ErrorKind::NotFound));
    assert_eq!(data.export(job, None).await.err().map(|e| e.kind), Some(ErrorKind::NotFound));
}

#[tokio::test]
async fn many_parts_are_read_as_one_source() {
    // 100 columns make parts of 20,971 rows, or half of them where there are fewer.
    let columns: Vec<_> = (0..100_u32)
        .map(|c| (format!("c{c}"), (0..12_000_u32).map(|row| f64::from(row * 7 + c) / 3.0).collect()))
        .collect();
    for (backend, bucket, _folder) in buckets() {
        for (number, format) in FORMATS.into_iter().enumerate() {
            let input = stage(record(number as u128, minute(0)));
            let data = Datasets::new(bucket.clone(), plenty());
            put(&data, &input, format, columns.clone()).await;
            assert!(read_back(&data, input.job_id()).await == columns, "{backend} {format}");
            let spill = SpillOptions { folder: std::env::temp_dir(), limit: u64::MAX };
            let little = SourceOptions { memory_limit: 4 << 20, spill, ..SourceOptions::default() };
            let data = Datasets::new(bucket.clone(), little);
            let source = data.normalized_source(input.job_id()).await.unwrap();
            assert!(source.slice(0, 0..1).is_none(), "{backend} {format} was not spilled");
            assert!(read_back(&data, input.job_id()).await == columns, "{backend} {format}, spilled");
        }
    }
}
