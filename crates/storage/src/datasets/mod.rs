//! Sources in, normalised data out: what a job reads is read once and kept until the job is released.

mod arrow_arrays;
mod arrow_ipc;
mod arrow_messages;
mod cells;
mod columns;
mod csv;
mod csv_bytes;
mod derived;
mod json;
mod json_columns;
mod json_text;
mod parquet;
mod source_path;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use caudal_core::job::{SkippedColumn, SourceDescription};
use caudal_core::ports::{Sources, StageInput};
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, JobId, Result};
use tokio::sync::OnceCell;

pub(crate) use self::arrow_arrays::convert;
pub(crate) use self::cells::{Number, number};
pub use self::columns::{listed, unknown_column};
pub use self::derived::Gathering;
pub(crate) use self::parquet::metadata as parquet_metadata;
use self::source_path::Form;
use crate::bucket::Bucket;
use crate::keys;
use crate::source::{Growing, Keeper, Room, Source, SpillOptions};

/// What reading sources is bound by.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// `file:` sources must lie below one of these folders.
    pub allowed_roots: Vec<PathBuf>,
    /// Bytes that the columns of one job may take.
    pub memory_limit: u64,
    /// Where columns go that memory has no room for.
    pub spill: SpillOptions,
}

impl SourceOptions {
    fn room(&self, memory: u64) -> Room {
        Room { memory: memory / 2, spill: self.spill.clone() }
    }
}

/// The data of jobs. Cheap to clone.
#[derive(Clone)]
pub struct Datasets {
    pub(crate) bucket: Bucket,
    options: Arc<SourceOptions>,
    opened: Arc<Mutex<HashMap<JobId, Opened>>>,
}

/// A source that is opened when it is first wanted.
type Opened = Arc<OnceCell<Arc<Source>>>;

impl Datasets {
    pub fn new(bucket: Bucket, options: SourceOptions) -> Self {
        Datasets { bucket, options: Arc::new(options), opened: Arc::default() }
    }

    /// The job's source, opened once and shared until the job is released.
    ///
    /// # Errors
    /// `SourceUnavailable`, `InvalidData` with every fault, `InsufficientMemory`, `Cancelled`.
    pub async fn source(&self, input: &StageInput) -> Result<Arc<Source>> {
        self.opened(input).get_or_try_init(|| self.open_source(input)).await.cloned()
    }

    /// Puts what was derived from a job's source in its place, until the job is released.
    pub fn replace(&self, job: JobId, source: Source) -> Arc<Source> {
        let source = Arc::new(source);
        let opened = Arc::new(OnceCell::from(source.clone()));
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(job, opened);
        source
    }

    /// Bytes that one job may take.
    pub fn memory_limit(&self) -> u64 {
        self.options.memory_limit
    }

    /// What columns that are gathered may take: in memory a half of `memory` bytes, since the stages take their share
    /// beside them, and more on the disk.
    pub(crate) fn room(&self, memory: u64) -> Room {
        self.options.room(memory)
    }

    fn opened(&self, input: &StageInput) -> Opened {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.entry(input.job_id()).or_default().clone()
    }

    async fn open_source(&self, input: &StageInput) -> Result<Arc<Source>> {
        let (input, options) = (input.clone(), self.options.clone());
        let inline = match input.record.inline {
            true => Some(self.inline(input.job_id()).await?),
            false => None,
        };
        let open = move || match inline {
            Some(content) => crate::inline::decode(&content).map(Source::from),
            None => open_source(&input, &options),
        };
        match in_background(open).await {
            Ok(source) if source.rows() == 0 => Err(at_source(no_rows())),
            Ok(source) => Ok(Arc::new(source)),
            Err(error) => Err(at_source(error)),
        }
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
        Ok(self.source(input).await?.describe())
    }

    fn release(&self, job: JobId) {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).remove(&job);
    }
}

/// Opening keeps a thread busy, and not the one that answers requests.
async fn in_background<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        // A decoder that panics has met bytes that it was not made for.
        Error::new(ErrorKind::InvalidData, "the source cannot be decoded: it is damaged").cause(e)
    })?
}

/// A fault of the whole source has the source as its place.
fn at_source(mut error: Error) -> Error {
    if error.kind == ErrorKind::InvalidData && error.faults.is_empty() {
        error.faults.push(|| "/source".into(), || error.detail.clone());
    }
    error
}

fn open_source(input: &StageInput, options: &SourceOptions) -> Result<Source> {
    let missing = || Error::new(ErrorKind::Internal, "the job has neither data nor a source");
    let source = input.record.request.source.as_ref().ok_or_else(missing)?;
    let (mut file, path) = source_path::open(&source.uri, &options.allowed_roots)?;
    let size = file.metadata().map_err(|e| unreadable(&e))?.len();
    let form = source_path::form_of(&mut file, &path, source.format)?;
    let room = options.room(options.memory_limit);
    let reading = Reading { input, columns: source.columns.as_deref(), size, room };
    match form {
        Form::Csv => csv::read(file, &reading),
        Form::Json => json::read_document(file, &reading),
        Form::Ndjson => json::read_lines(file, &reading),
        Form::ArrowFile => arrow_ipc::read_file(file, &reading),
        Form::ArrowStream => arrow_ipc::read_stream(file, &reading),
        Form::Parquet => parquet::open(file, &reading),
    }
}

/// One reading of a source: what is wanted of it, and what it may take.
pub(crate) struct Reading<'a> {
    input: &'a StageInput,
    /// Names of the wanted columns; every numeric one when `None`.
    columns: Option<&'a [String]>,
    /// Bytes of the file.
    size: u64,
    room: Room,
}

impl Reading<'_> {
    /// Looks up from the reading: is it still wanted, how far is it, does what is held still fit?
    fn look_up<'c, C: Iterator<Item = &'c mut Growing>>(
        &self,
        bytes_read: u64,
        keeper: &mut Keeper,
        held: u64,
        columns: impl FnOnce() -> C,
    ) -> Result<()> {
        self.input.cancel.check()?;
        self.input.progress.report("reading", bytes_read, self.size);
        match keeper.is_full(held) {
            true => keeper.relieve(columns(), self.foreseen(held, bytes_read)),
            false => Ok(()),
        }
    }

    /// What columns will take in all that took so much from the first bytes of the source.
    fn foreseen(&self, held: u64, bytes_read: u64) -> u64 {
        let share = bytes_read.clamp(1, self.size.max(1)) as f64 / self.size.max(1) as f64;
        (held as f64 / share) as u64
    }

    /// Where the columns come from, of so many rows.
    fn origin(&self, format: SourceFormat, rows: u64, skipped: Vec<SkippedColumn>) -> SourceDescription {
        SourceDescription { format: Some(format), rows, bytes_read: self.size, columns: Vec::new(), skipped }
    }
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::SourceUnavailable, format!("the source cannot be read: {error}"))
}

fn no_rows() -> Error {
    Error::new(ErrorKind::InvalidData, "the source holds no rows")
}
