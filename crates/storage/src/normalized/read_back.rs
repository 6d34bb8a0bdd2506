//! Stored normalised data as a source, so that it is scanned as any other.

use std::sync::Arc;

use caudal_core::job::{ColumnDescription, SourceDescription};
use caudal_core::request::OutputFormat;
use caudal_core::{Error, ErrorKind, JobId, Result};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::{Manifest, Part, Stored, encode, encoded, read_document};
use crate::bucket::{Bucket, failed};
use crate::datasets::{Datasets, parquet_metadata};
use crate::keys;
use crate::source::parquet::{ParquetFile, ParquetLayout, ParquetRows, Place};
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
                let (bucket, handle) = (self.bucket.clone(), Handle::current());
                let folder = keys::normalized_folder(job);
                encoded(move || parquet_source(&bucket, &handle, &folder, &manifest)).await?
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
        let (bucket, handle, folder) = (self.bucket.clone(), Handle::current(), folder.clone());
        encoded(move || parquet_source(&bucket, &handle, &folder, &manifest)).await.map(Arc::new)
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
            let (bucket, handle) = (self.bucket.clone(), Handle::current());
            let object =
                Object { bucket, handle, key: folder.clone().join(file.name.as_str()), size: file.bytes };
            let rows = match file.rows {
                Some(rows) => rows,
                None => encoded(move || rows_in(&object, format)).await?,
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

/// Parquet parts that lie in a folder of the bucket.
fn parquet_source(bucket: &Bucket, handle: &Handle, folder: &Path, manifest: &Manifest) -> Result<Source> {
    let files = manifest.parts.iter().map(|part| {
        let object = Object {
            bucket: bucket.clone(),
            handle: handle.clone(),
            key: folder.clone().join(part.name.as_str()),
            size: part.bytes,
        };
        let metadata = parquet_metadata(object.open()?)?;
        let places = (0..manifest.columns.len()).map(|root| Place::of(&metadata, root)).collect();
        Ok(ParquetFile { open: Box::new(move || object.open()), metadata, places })
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
fn rows_in(object: &Object, format: OutputFormat) -> Result<u64> {
    let bytes = object.open()?;
    if format == OutputFormat::Parquet {
        let rows = parquet_metadata(bytes)?.metadata().file_metadata().num_rows();
        return u64::try_from(rows).map_err(|_| encode::damaged(&"a negative number of rows"));
    }
    let (mut at, mut lines, mut buffer) = (0, 0, vec![0; CHUNK]);
    while at < bytes.size() {
        let length = (bytes.size() - at).min(CHUNK as u64) as usize;
        bytes.read_exact_at(&mut buffer[..length], at).map_err(|e| object.unreadable(&e))?;
        lines += buffer[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
        at += length as u64;
    }
    Ok(lines.saturating_sub(u64::from(format == OutputFormat::Csv)))
}

/// One stored part: a file where the bucket is a folder, and otherwise ranges of an object.
struct Object {
    bucket: Bucket,
    handle: Handle,
    key: Path,
    size: u64,
}

impl Object {
    fn open(&self) -> Result<Arc<dyn ReadAt>> {
        match self.bucket.file(&self.key) {
            Some(path) => {
                let file =
                    std::fs::File::open(path).and_then(FileAt::new).map_err(|e| self.unreadable(&e))?;
                Ok(Arc::new(file))
            }
            None => {
                let (bucket, handle) = (self.bucket.clone(), self.handle.clone());
                Ok(Arc::new(ObjectAt { bucket, handle, key: self.key.clone(), size: self.size }))
            }
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> Error {
        Error::new(ErrorKind::StorageUnavailable, format!("the bucket cannot read {}", self.key)).cause(error)
    }
}

/// An object that is read range by range, from threads that may wait for it.
struct ObjectAt {
    bucket: Bucket,
    handle: Handle,
    key: Path,
    size: u64,
}

impl ReadAt for ObjectAt {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<()> {
        let range = position..position.saturating_add(buffer.len() as u64).min(self.size);
        // A query reads on threads of a runtime, which must be told that they are going to wait.
        let wait = || self.handle.block_on(self.bucket.store().get_range(&self.key, range));
        let read = tokio::task::block_in_place(wait);
        let found = read.map_err(|e| std::io::Error::other(failed("read", &self.key, e)))?;
        match found.len() == buffer.len() {
            true => buffer.copy_from_slice(&found),
            false => return Err(std::io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }
}
