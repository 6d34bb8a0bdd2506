//! Jobs and buckets for tests.

use std::path::Path;
use std::sync::Arc;

use caudal_core::job::{ColumnDescription, JobRecord, LOCAL_OWNER};
use caudal_core::journal::{JournalEntry, Transition};
use caudal_core::ports::{CancelToken, ProgressSink, StageInput};
use caudal_core::request::{JobRequest, Source, SourceFormat};
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};
use caudal_storage::{Bucket, Column, Datasets, S3Location, SourceOptions, SpillOptions, Table};
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use uuid::Uuid;

/// A moment, in minutes after a fixed one.
pub fn minute(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minutes)
}

pub fn record(number: u128, created_at: DateTime<Utc>) -> JobRecord {
    JobRecord {
        job_id: JobId(Uuid::from_u128(number)),
        owner: LOCAL_OWNER.into(),
        created_at,
        request: JobRequest::default(),
        inline: false,
    }
}

pub fn entry(writer: u128, at: DateTime<Utc>, states: &[JobState]) -> JournalEntry {
    JournalEntry {
        entry_id: Uuid::now_v7(),
        writer: Uuid::from_u128(writer),
        attempt: 1,
        at,
        transitions: states.iter().copied().map(Transition::from).collect(),
        began: Vec::new(),
    }
}

pub fn stage(record: JobRecord) -> StageInput {
    StageInput {
        record: Arc::new(record),
        attempt: 1,
        cancel: CancelToken::default(),
        progress: ProgressSink::silent(),
    }
}

/// Every backend that a bucket can have; the folder is gone with the third part. S3 is among them where
/// `CAUDAL_TEST_S3` names the address of a server, as `.ci/s3` does.
pub fn buckets() -> Vec<(&'static str, Bucket, Option<TempDir>)> {
    let folder = TempDir::new().unwrap();
    let mut buckets = vec![
        ("folder", Bucket::open_folder(folder.path()).unwrap(), Some(folder)),
        ("memory", Bucket::memory(), None),
    ];
    if let Some(endpoint) = server("CAUDAL_TEST_S3") {
        buckets.push(("S3", Bucket::open_s3(on_server(&endpoint)).unwrap(), None));
    }
    buckets
}

/// The address of a server that was started for these tests.
pub fn server(variable: &str) -> Option<String> {
    let endpoint = std::env::var(variable).ok();
    if endpoint.is_none() {
        println!("skipped: {variable} is not set, so S3 was not tried; see .ci/s3");
    }
    endpoint
}

/// An empty place of a test's own on a server.
pub fn on_server(endpoint: &str) -> S3Location {
    let own = format!("s3://caudal/{}", Uuid::now_v7());
    let variable = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    S3Location {
        variables: vec![
            variable(("AWS_ACCESS_KEY_ID", "test")),
            variable(("AWS_SECRET_ACCESS_KEY", "testtest")),
            variable(("AWS_REGION", "us-east-1")),
        ],
        endpoint: Some(endpoint.to_owned()),
        allow_http: true,
        ..S3Location::parse(&own).unwrap()
    }
}

/// The data of a job whose source is a file, and the stage that reads it.
fn job(
    path: &Path,
    format: SourceFormat,
    columns: Option<&[&str]>,
    memory_limit: u64,
    spill: SpillOptions,
) -> (Datasets, StageInput) {
    let source = Source {
        uri: format!("file:{}", path.display()),
        format: Some(format),
        columns: columns.map(|names| names.iter().map(|n| (*n).to_owned()).collect()),
    };
    let mut record = record(1, minute(0));
    record.request.source = Some(source);
    let allowed_roots = vec![path.parent().unwrap().canonicalize().unwrap()];
    let options = SourceOptions { allowed_roots, memory_limit, spill, ..SourceOptions::default() };
    (Datasets::new(Bucket::memory(), options), stage(record))
}

/// Opens a file as a job's source.
pub async fn open(
    path: &Path,
    format: SourceFormat,
    columns: Option<&[&str]>,
) -> Result<Arc<caudal_storage::Source>> {
    let (data, stage) = job(path, format, columns, 1 << 30, SpillOptions::default());
    data.source(&stage).await
}

/// Opens a file as a job's source within so much memory, and so many bytes of its folder's disk.
pub async fn open_within(
    path: &Path,
    format: SourceFormat,
    columns: Option<&[&str]>,
    memory: u64,
    disk: u64,
) -> Result<Arc<caudal_storage::Source>> {
    let spill = SpillOptions { folder: path.parent().unwrap().to_owned(), limit: disk };
    let (data, stage) = job(path, format, columns, memory, spill);
    data.source(&stage).await
}

/// Reads a file as a job's source.
pub async fn read(path: &Path, format: SourceFormat, columns: Option<&[&str]>) -> Result<Arc<Table>> {
    table_of(&*open(path, format, columns).await?).map(Arc::new)
}

/// More than this, which a damaged file may claim to hold, is not read into memory.
const MOST_VALUES: u64 = 1 << 27;

/// Every column of a source, through its readers.
pub fn table_of(source: &caudal_storage::Source) -> Result<Table> {
    let description = source.describe();
    if description.cells() > MOST_VALUES {
        return Err(Error::new(ErrorKind::InsufficientMemory, "too many values for a test"));
    }
    let column = |(i, described): (usize, ColumnDescription)| {
        let mut reader = source.reader(i, 0..source.rows())?;
        let mut values = vec![0.0; source.rows() as usize];
        reader.fill(&mut values)?;
        let inexact_integers = reader.inexact_integers();
        Ok(Column { name: described.name, data_type: described.data_type, values, inexact_integers })
    };
    let columns: Result<Vec<Column>> = description.columns.into_iter().enumerate().map(column).collect();
    Ok(Table {
        rows: source.rows() as usize,
        columns: columns?,
        skipped: description.skipped,
        format: description.format,
        bytes_read: description.bytes_read,
    })
}

/// Writes a file and reads it as a job's source.
pub async fn read_bytes(
    content: &[u8],
    format: SourceFormat,
    columns: Option<&[&str]>,
) -> Result<Arc<Table>> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("source");
    std::fs::write(&path, content).unwrap();
    read(&path, format, columns).await
}
