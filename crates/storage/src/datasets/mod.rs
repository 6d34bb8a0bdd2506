//! Sources in, normalised data out: what a job reads is read once and kept until the job is released.

mod arrow_arrays;
mod arrow_ipc;
mod cells;
mod columns;
mod csv;
mod json;
mod json_columns;
mod parquet;
mod source_path;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use caudal_core::job::SourceDescription;
use caudal_core::ports::{Sources, StageInput};
use caudal_core::{Error, ErrorKind, JobId, Result};
use tokio::sync::OnceCell;

pub(crate) use self::arrow_arrays::convert;
pub(crate) use self::cells::{Number, number};
use self::source_path::Form;
use crate::bucket::Bucket;
use crate::keys;
use crate::table::Table;

/// What reading sources is bound by.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// `file:` sources must lie below one of these folders.
    pub allowed_roots: Vec<PathBuf>,
    /// Bytes that the columns of one job may take.
    pub memory_limit: u64,
}

/// The data of jobs. Cheap to clone.
#[derive(Clone)]
pub struct Datasets {
    pub(crate) bucket: Bucket,
    options: Arc<SourceOptions>,
    opened: Arc<Mutex<HashMap<JobId, Opened>>>,
}

/// A table that is read when it is first wanted.
type Opened = Arc<OnceCell<Arc<Table>>>;

impl Datasets {
    pub fn new(bucket: Bucket, options: SourceOptions) -> Self {
        Datasets { bucket, options: Arc::new(options), opened: Arc::default() }
    }

    /// The job's source, read once and shared until the job is released.
    ///
    /// # Errors
    /// `SourceUnavailable`, `InvalidData` with every fault, `InsufficientMemory`, `Cancelled`.
    pub async fn table(&self, input: &StageInput) -> Result<Arc<Table>> {
        let cell = {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.entry(input.job_id()).or_default().clone()
        };
        cell.get_or_try_init(|| self.read(input)).await.cloned()
    }

    async fn read(&self, input: &StageInput) -> Result<Arc<Table>> {
        let (input, options) = (input.clone(), self.options.clone());
        let inline = match input.record.inline {
            true => Some(self.inline(input.job_id()).await?),
            false => None,
        };
        let read = tokio::task::spawn_blocking(move || match inline {
            Some(content) => crate::inline::decode(&content),
            None => read_source(&input, &options),
        });
        let table = read.await.map_err(|e| {
            // A decoder that panics has met bytes that it was not made for.
            Error::new(ErrorKind::InvalidData, "the source cannot be decoded: it is damaged").cause(e)
        })??;
        if table.rows == 0 {
            return Err(no_rows());
        }
        Ok(Arc::new(table))
    }

    async fn inline(&self, job: JobId) -> Result<bytes::Bytes> {
        let missing =
            || Error::new(ErrorKind::StorageUnavailable, format!("the numbers of job {job} are gone"));
        self.bucket.get(&keys::inline_data(job)).await?.ok_or_else(missing)
    }
}

#[async_trait]
impl Sources for Datasets {
    async fn open(&self, input: &StageInput) -> Result<SourceDescription> {
        Ok(self.table(input).await?.describe())
    }

    fn release(&self, job: JobId) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }
}

fn read_source(input: &StageInput, options: &SourceOptions) -> Result<Table> {
    let missing = || Error::new(ErrorKind::Internal, "the job has neither data nor a source");
    let source = input.record.request.source.as_ref().ok_or_else(missing)?;
    let (mut file, path) = source_path::open(&source.uri, &options.allowed_roots)?;
    let size = file.metadata().map_err(|e| unreadable(&e))?.len();
    let form = source_path::form_of(&mut file, &path, source.format)?;
    let reading =
        Reading { input, columns: source.columns.as_deref(), size, memory_limit: options.memory_limit };
    match form {
        Form::Csv => csv::read(file, &reading),
        Form::Json => json::read_document(file, &reading),
        Form::Ndjson => json::read_lines(file, &reading),
        Form::ArrowFile => arrow_ipc::read_file(file, &reading),
        Form::ArrowStream => arrow_ipc::read_stream(file, &reading),
        Form::Parquet => parquet::read(file, &reading),
    }
}

/// One reading of a source: what is wanted of it, and what it may take.
pub(crate) struct Reading<'a> {
    input: &'a StageInput,
    /// Names of the wanted columns; every numeric one when `None`.
    columns: Option<&'a [String]>,
    /// Bytes of the file.
    size: u64,
    memory_limit: u64,
}

impl Reading<'_> {
    /// Looks up from the reading: is it still wanted, does it still fit, how far is it?
    fn look_up(&self, bytes_read: u64, bytes_held: u64) -> Result<()> {
        self.input.cancel.check()?;
        self.input.progress.report("reading", bytes_read, self.size);
        self.fits(bytes_held)
    }

    fn fits(&self, bytes: u64) -> Result<()> {
        if bytes <= self.memory_limit {
            return Ok(());
        }
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let detail = format!(
            "the columns take {:.1} MB or more of memory, and {:.1} MB are allowed",
            megabytes(bytes),
            megabytes(self.memory_limit)
        );
        Err(Error::new(ErrorKind::InsufficientMemory, detail)
            .hint("name fewer columns, or raise --memory-limit"))
    }
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::SourceUnavailable, format!("the source cannot be read: {error}"))
}

fn no_rows() -> Error {
    Error::new(ErrorKind::InvalidData, "the source holds no rows")
}
