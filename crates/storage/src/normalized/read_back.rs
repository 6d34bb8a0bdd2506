//! Stored normalised data as a source, so that it is scanned as any other.

use std::sync::Arc;

use caudal_core::job::{ColumnDescription, SourceDescription};
use caudal_core::request::OutputFormat;
use caudal_core::{Error, ErrorKind, JobId, Result};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::runtime::Handle;

use super::{Manifest, Stored, encode, encoded, part_key, read_document};
use crate::bucket::{Bucket, failed};
use crate::datasets::{Datasets, parquet_metadata};
use crate::source::parquet::{ParquetFile, ParquetLayout, ParquetRows, Place};
use crate::source::{FileAt, Growing, Keeper, ReadAt, Source};

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
                encoded(move || parquet_source(&bucket, &handle, job, &manifest)).await?
            }
            Stored::Parts(manifest) => self.gathered(job, &manifest).await?,
        };
        Ok(Arc::new(source))
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

fn parquet_source(bucket: &Bucket, handle: &Handle, job: JobId, manifest: &Manifest) -> Result<Source> {
    let files = manifest.parts.iter().map(|part| {
        let object = Object {
            bucket: bucket.clone(),
            handle: handle.clone(),
            key: part_key(job, part),
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
