//! Getting stored normalised data out again, in the form that a client asks for.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;

use crate::error::Result;
use crate::job::JobId;

/// A form in which normalised data is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    Json,
    Ndjson,
    Csv,
    /// Arrow IPC stream.
    Arrow,
    Parquet,
}

impl ExportFormat {
    pub const ALL: [ExportFormat; 5] = [
        ExportFormat::Json,
        ExportFormat::Ndjson,
        ExportFormat::Csv,
        ExportFormat::Arrow,
        ExportFormat::Parquet,
    ];

    /// As registered with IANA.
    pub fn media_type(self) -> &'static str {
        match self {
            ExportFormat::Json => "application/json",
            ExportFormat::Ndjson => "application/x-ndjson",
            ExportFormat::Csv => "text/csv",
            ExportFormat::Arrow => "application/vnd.apache.arrow.stream",
            ExportFormat::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// What the name of a file in this form ends with.
    pub fn extension(self) -> &'static str {
        match self {
            ExportFormat::Json => "json",
            ExportFormat::Ndjson => "ndjson",
            ExportFormat::Csv => "csv",
            ExportFormat::Arrow => "arrow",
            ExportFormat::Parquet => "parquet",
        }
    }
}

/// One answer: its bytes, and the stored object when it is exactly that.
pub struct Export {
    pub format: ExportFormat,
    /// Bytes, where they are known beforehand.
    pub length: Option<u64>,
    /// Set when the answer is one stored object as it lies there, so that ranges can be served.
    pub stored: Option<StoredObject>,
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// An object in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// Hands out the normalised data of finished jobs.
#[async_trait]
pub trait NormalizedData: Send + Sync {
    /// The data in one format, or as it is stored when none is asked for.
    ///
    /// # Errors
    /// `NotFound` where the job has no normalised data.
    async fn export(&self, job: JobId, format: Option<ExportFormat>) -> Result<Export>;

    /// Bytes `range.start..range.end` of a stored object; the range lies within its size.
    async fn read_range(&self, object: &StoredObject, range: Range<u64>) -> Result<Bytes>;

    /// The store's own addresses, where it gives any.
    fn addresses(&self) -> Option<&dyn Addresses> {
        None
    }
}

/// Addresses of a store itself, good for a while and without credentials.
#[async_trait]
pub trait Addresses: Send + Sync {
    /// Of an answer; one that is not a stored object becomes one.
    ///
    /// # Errors
    /// `StorageUnavailable` when the store takes nothing, and what the answer's body says.
    async fn of_data(&self, job: JobId, export: Export) -> Result<String>;

    /// Of the final response of a job that has completed.
    ///
    /// # Errors
    /// `StorageUnavailable` where there are no credentials to sign with.
    async fn of_result(&self, job: JobId) -> Result<String>;
}
