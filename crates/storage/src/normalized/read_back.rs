//! Stored normalised data as a source, so that it is scanned as any other.

use std::sync::Arc;

use caudal_core::job::{ColumnDescription, SourceDescription};
use caudal_core::request::OutputFormat;
use caudal_core::{Error, ErrorKind, JobId, Result};
use chrono::DateTime;
use object_store::ObjectMeta;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::{Manifest, Part, Stored, encode, encoded, read_document};
use crate::bucket::{Bucket, failed};
use crate::datasets::{Datasets, parquet_metadata};
use crate::keys;
use crate::source::parquet::{Opener, ParquetFile, ParquetLayout, ParquetRows, Place};
use crate::source::pieces::{Pieces, RemoteObject};
use crate::source::{FileAt, Growing, Keeper, ReadAt, Source};
use crate::spark::WrittenFile;

impl Datasets {
    /// The stored normalised data of a job, in source order.
    ///
    /// # Errors
    /// `NotFound` where there is none, `StorageUnavailable` where it is damaged.
    pub async fn normalized_source(&self, job: JobId) -> Result<Arc<Source>> {
        let source = match self.stored(job).await? {
            Stored::Document(content) => encoded(move || read_document(&content).map(Source::from)).await?,
            Stored::Parts(manifest) if manifest.format == OutputFormat::Parquet => {
                let (datasets, handle) = (self.clone(), Handle::current());
                let folder = keys::normalized_folder(job);
                encoded(move || parquet_source(&datasets, &handle, &folder, &manifest)).await?
            }
            Stored::Parts(manifest) => self.gathered(job, &manifest).await?,
        };
        Ok(Arc::new(source))
    }

    /// Parquet files that lie in a folder of the bucket, as one source.
    ///
    /// # Errors
    /// `StorageUnavailable` where they are gone or damaged.
    pub(crate) async fn parquet_in(
        &self,
        folder: &Path,
        columns: Vec<String>,
        files: &[WrittenFile],
    ) -> Result<Arc<Source>> {
        let parts = self.parts_in(folder, OutputFormat::Parquet, files).await?;
        let manifest = Manifest::of(OutputFormat::Parquet, columns, 0, parts);
        let (datasets, handle, folder) = (self.clone(), Handle::current(), folder.clone());
        encoded(move || parquet_source(&datasets, &handle, &folder, &manifest)).await.map(Arc::new)
    }

    /// Files that lie in a folder of the bucket as parts, with their rows.
    ///
    /// # Errors
    /// `StorageUnavailable` where they are gone or damaged.
    pub(super) async fn parts_in(
        &self,
        folder: &Path,
        format: OutputFormat,
        files: &[WrittenFile],
    ) -> Result<Vec<Part>> {
        let mut parts = Vec::with_capacity(files.len());
        for file in files {
            let key = folder.clone().join(file.name.as_str());
            let open = opener(&self.bucket, &self.pieces, &Handle::current(), key, file.bytes);
            let rows = match file.rows {
                Some(rows) => rows,
                None => encoded(move || rows_in(&open()?, format)).await?,
            };
            parts.push(Part { name: file.name.clone(), rows, bytes: file.bytes });
        }
        Ok(parts)
    }

    /// Parts that cannot be decoded row by row, gathered part by part.
    async fn gathered(&self, job: JobId, manifest: &Manifest) -> Result<Source> {
        let mut columns: Vec<Growing> =
            manifest.columns.iter().map(|name| Growing::new(name, FLOAT)).collect();
        let mut keeper = Keeper::new(self.room(self.memory_limit()));
        let expected = manifest.rows * columns.len() as u64 * 8;
        for part in &manifest.parts {
            for (column, values) in columns.iter_mut().zip(self.part(job, manifest, part).await?) {
                column.extend(values.len()).copy_from_slice(&values);
            }
            if keeper.is_full(columns.iter().map(Growing::bytes).sum()) {
                keeper.relieve(columns.iter_mut(), expected)?;
            }
        }
        keeper.finish(columns, description(manifest))
    }
}

/// The type of every normalised column.
const FLOAT: &str = "Float64";

fn description(manifest: &Manifest) -> SourceDescription {
    let column = |name: &String| ColumnDescription { name: name.clone(), data_type: FLOAT.into() };
    SourceDescription {
        format: None,
        rows: manifest.rows,
        bytes_read: manifest.parts.iter().map(|part| part.bytes).sum(),
        columns: manifest.columns.iter().map(column).collect(),
        skipped: Vec::new(),
    }
}

/// Opens an object of the bucket: the file that it is where the bucket is a folder, and otherwise its pieces.
pub(crate) fn opener(bucket: &Bucket, pieces: &Pieces, handle: &Handle, key: Path, size: u64) -> Opener {
    match bucket.file(&key) {
        Some(path) => Box::new(move || {
            let file = std::fs::File::open(&path).and_then(FileAt::new).map_err(|e| {
                Error::new(ErrorKind::StorageUnavailable, format!("the bucket cannot read {key}")).cause(e)
            })?;
            Ok(Arc::new(file))
        }),
        None => {
            let meta = ObjectMeta {
                location: key,
                last_modified: DateTime::UNIX_EPOCH,
                size,
                e_tag: None,
                version: None,
            };
            let (store, handle) = (bucket.store().clone(), handle.clone());
            let explain = |key: &Path, error| failed("read", key, error);
            let object = RemoteObject::new(store, meta, pieces.clone(), handle, explain);
            Box::new(move || Ok(object.open()))
        }
    }
}

/// Parquet parts that lie in a folder of the bucket.
fn parquet_source(
    datasets: &Datasets,
    handle: &Handle,
    folder: &Path,
    manifest: &Manifest,
) -> Result<Source> {
    let files = manifest.parts.iter().map(|part| {
        let open = opener(
            &datasets.bucket,
            &datasets.pieces,
            handle,
            folder.clone().join(part.name.as_str()),
            part.bytes,
        );
        let bytes = open()?;
        let metadata = parquet_metadata(bytes.clone()).map_err(|e| bytes.failure().unwrap_or(e))?;
        let places = (0..manifest.columns.len()).map(|root| Place::of(&metadata, root)).collect();
        Ok(ParquetFile { open, metadata, places })
    });
    let rows = ParquetRows::new(files.collect::<Result<_>>()?)?;
    if rows.rows() != manifest.rows {
        return Err(encode::damaged(&format!("{} rows of {}", rows.rows(), manifest.rows)));
    }
    Ok(Source::new(description(manifest), Box::new(ParquetLayout(Arc::new(rows)))))
}

/// Bytes of a text that are looked through at a time.
const CHUNK: usize = 1 << 20;

/// Rows of one file: Parquet says it, rows of text are its lines but CSV's header.
fn rows_in(bytes: &Arc<dyn ReadAt>, format: OutputFormat) -> Result<u64> {
    if format == OutputFormat::Parquet {
        let rows = parquet_metadata(bytes.clone())?.metadata().file_metadata().num_rows();
        return u64::try_from(rows).map_err(|_| encode::damaged(&"a negative number of rows"));
    }
    let (mut at, mut lines, mut buffer) = (0, 0, vec![0; CHUNK]);
    while at < bytes.size() {
        let length = (bytes.size() - at).min(CHUNK as u64) as usize;
        bytes.read_exact_at(&mut buffer[..length], at).map_err(|e| {
            let detail = "the bucket cannot read what Spark has written";
            Error::new(ErrorKind::StorageUnavailable, detail).cause(e)
        })?;
        lines += buffer[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        at += length as u64;
    }
    Ok(lines.saturating_sub(u64::from(format == OutputFormat::Csv)))
}
