//! Sources in, normalised data out: what a job reads is read once and kept until the job is released.

mod arrow_arrays;
mod arrow_batch;
mod arrow_ipc;
mod arrow_messages;
mod cells;
mod columns;
mod csv;
mod csv_bytes;
mod derived;
mod folder;
mod form;
mod json;
mod json_columns;
mod json_text;
mod located;
mod objects;
mod parquet;
mod source_path;
mod uri;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use caudal_core::job::{SkippedColumn, SourceDescription};
use caudal_core::ports::{Sources, StageInput};
use caudal_core::request::{self, EngineChoice, SourceFormat};
use caudal_core::{Error, ErrorKind, JobId, Result};
use object_store::ObjectStore;
use tokio::sync::OnceCell;

pub(crate) use self::arrow_arrays::convert;
pub(crate) use self::cells::{Number, number};
pub use self::columns::{listed, unknown_column};
pub use self::derived::Gathering;
use self::form::Form;
use self::located::{Item, Located};
pub(crate) use self::parquet::metadata as parquet_metadata;
use self::uri::Named;
pub(crate) use self::uri::encoded;
pub use self::uri::file_uri;
use crate::bucket::Bucket;
use crate::keys;
use crate::s3::S3Location;
use crate::source::pieces::Pieces;
use crate::source::{Budget, Growing, Keeper, Room, Source, SpillOptions};
use crate::spark::Reach;

/// What reading sources is bound by.
#[derive(Clone, Debug, Default)]
pub struct SourceOptions {
    /// `file:` sources must lie below one of these folders.
    pub allowed_roots: Vec<PathBuf>,
    /// `s3:` sources must lie below one of these places.
    pub allowed_s3: Vec<S3Location>,
    /// Bytes that the columns of one job may take.
    pub memory_limit: u64,
    /// Where columns go that memory has no room for.
    pub spill: SpillOptions,
}

impl SourceOptions {
    fn room(&self, memory: u64, budget: &Arc<Budget>) -> Room {
        Room { memory: memory / 2, budget: Some(budget.clone()), spill: self.spill.clone() }
    }
}

/// The data of jobs. Cheap to clone.
#[derive(Clone)]
pub struct Datasets {
    pub(crate) bucket: Bucket,
    options: Arc<SourceOptions>,
    /// What the sources of all jobs may take in memory together.
    budget: Arc<Budget>,
    opened: Arc<Mutex<HashMap<JobId, Opened>>>,
    /// Of what lies in remote stores.
    pub(crate) pieces: Pieces,
    /// By the names of the buckets that sources are read from.
    stores: Arc<Mutex<HashMap<String, Arc<dyn ObjectStore>>>>,
}

/// Files and objects that Spark can read itself.
pub(crate) struct SparkFiles {
    /// In byte order.
    pub uris: Vec<String>,
    /// The path or URI of the source where it is a folder.
    pub folder: Option<String>,
    pub format: SourceFormat,
    pub bytes: u64,
}

/// The share of a job's memory in which pieces of remote objects are kept.
const PIECES_SHARE: u64 = 8;

/// A source that is opened when it is first wanted.
type Opened = Arc<OnceCell<Arc<Source>>>;

impl Datasets {
    pub fn new(bucket: Bucket, options: SourceOptions) -> Self {
        let pieces = Pieces::new(options.memory_limit / PIECES_SHARE);
        Datasets {
            bucket,
            budget: Budget::new(options.memory_limit / 2),
            options: Arc::new(options),
            opened: Arc::default(),
            pieces,
            stores: Arc::default(),
        }
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

    /// Bytes that one job may take now: all that there are, shared with the jobs whose sources are open.
    pub fn memory_limit(&self) -> u64 {
        let open = self.opened.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        self.options.memory_limit / open.max(1)
    }

    /// What columns that are gathered may take: in memory a half of `memory` bytes, since the stages take their share
    /// beside them, and more on the disk.
    pub(crate) fn room(&self, memory: u64) -> Room {
        self.options.room(memory, &self.budget)
    }

    fn opened(&self, input: &StageInput) -> Opened {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.entry(input.job_id()).or_default().clone()
    }

    async fn open_source(&self, input: &StageInput) -> Result<Arc<Source>> {
        let opened = match input.record.inline {
            true => {
                let content = self.inline(input.job_id()).await?;
                in_background(move || crate::inline::decode(&content).map(Source::from)).await
            }
            false => {
                let located = self.locate(input).await?;
                let (input, options, budget) = (input.clone(), self.options.clone(), self.budget.clone());
                in_background(move || open_located(located, &input, &options, &budget)).await
            }
        };
        match opened {
            Ok(source) if source.rows() == 0 => Err(at_source(no_rows())),
            Ok(source) => Ok(Arc::new(source)),
            Err(error) => Err(at_source(error)),
        }
    }

    /// What is known of text that only Spark will read: it may be larger than this machine can hold.
    async fn left_to_spark(&self, input: &StageInput) -> Result<Option<SourceDescription>> {
        if input.record.request.engine != EngineChoice::Spark {
            return Ok(None);
        }
        let found = self.files_for_spark(input, &|_| true).await?;
        let found = found.filter(|found| found.format != SourceFormat::Parquet);
        Ok(found.map(|found| SourceDescription {
            format: Some(found.format),
            rows: 0,
            bytes_read: found.bytes,
            columns: Vec::new(),
            skipped: Vec::new(),
        }))
    }

    /// The files of a job's source, where they are in a form that Spark reads and nothing is derived from them.
    pub(crate) async fn files_for_spark(
        &self,
        input: &StageInput,
        reach: Reach<'_>,
    ) -> Result<Option<SparkFiles>> {
        let request = &input.record.request;
        let derived = request.condition.is_some() || request.select.is_some() || request.sql.is_some();
        let Some(source) = request.source.clone().filter(|_| !derived) else { return Ok(None) };
        let (located, base) = match uri::parse(&source.uri)? {
            Named::Path(path) if reach("file:") => {
                let folder = path.canonicalize().unwrap_or(path);
                (self.locate(input).await?, Base::Folder(folder))
            }
            Named::Object { bucket, key } if reach("s3:") => {
                (self.locate(input).await?, Base::Object(format!("s3://{bucket}/{key}")))
            }
            Named::Objects { bucket, below } if reach("s3:") => {
                (self.locate(input).await?, Base::Objects(format!("s3://{bucket}/{below}")))
            }
            Named::Upload(id) if reach(&self.bucket.place()) => {
                let uri = self.bucket.uri(&keys::upload_data(id));
                (self.locate(input).await?, Base::Object(uri))
            }
            _ => return Ok(None),
        };
        in_background(move || for_spark(located, &base, source.format)).await
    }

    async fn locate(&self, input: &StageInput) -> Result<Located> {
        let uri = &requested(input)?.uri;
        match uri::parse(uri)? {
            Named::Path(path) => {
                let (options, bucket) = (self.options.clone(), self.bucket.clone());
                in_background(move || source_path::locate(&path, &options.allowed_roots, bucket.folder()))
                    .await
            }
            Named::Object { bucket, key } => self.object(&bucket, &key).await,
            Named::Objects { bucket, below } => self.objects(&bucket, &below).await,
            Named::Upload(id) => self.upload(id, &input.record.owner).await,
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
        match self.left_to_spark(input).await? {
            Some(described) => Ok(described),
            None => Ok(self.source(input).await?.describe()),
        }
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

fn requested(input: &StageInput) -> Result<&request::Source> {
    let missing = || Error::new(ErrorKind::Internal, "the job has neither data nor a source");
    input.record.request.source.as_ref().ok_or_else(missing)
}

fn open_located(
    located: Located,
    input: &StageInput,
    options: &SourceOptions,
    budget: &Arc<Budget>,
) -> Result<Source> {
    let source = requested(input)?;
    let size = match &located {
        Located::One(item) => item.size,
        Located::Folder(items) => items.iter().map(|item| item.size).sum(),
    };
    let reading = Reading {
        input,
        format: source.format,
        columns: source.columns.as_deref(),
        size,
        bytes_before: 0,
        bytes_in_all: size,
        room: options.room(options.memory_limit, budget),
    };
    match located {
        Located::One(item) => match form_of(&item, source.format)? {
            Form::Parquet => parquet::open(vec![item], &reading),
            form => open_one(&item, form, &reading),
        },
        Located::Folder(mut items) => {
            // Writers leave an empty file where a task had no rows.
            items.retain(|item| item.size > 0);
            folder::open(items, &reading)
        }
    }
}

fn for_spark(located: Located, base: &Base, asked: Option<SourceFormat>) -> Result<Option<SparkFiles>> {
    let (mut items, folder) = match located {
        Located::One(item) => (vec![item], None),
        Located::Folder(items) => (items, Some(base.shown())),
    };
    if items.len() > 1 {
        items.retain(|item| item.size > 0);
    }
    let Some(first) = items.first() else { return Ok(None) };
    let form = form_of(first, asked)?;
    let format = match form {
        Form::Csv => SourceFormat::Csv,
        Form::Ndjson => SourceFormat::Ndjson,
        Form::Parquet => SourceFormat::Parquet,
        Form::Json | Form::ArrowFile | Form::ArrowStream => return Ok(None),
    };
    for item in &items[1..] {
        folder::check_form(item, first, form, asked).map_err(|error| folder::in_file(error, &item.name))?;
    }
    Ok(Some(SparkFiles {
        uris: items.iter().map(|item| base.uri(item, folder.is_some())).collect(),
        folder,
        format,
        bytes: items.iter().map(|item| item.size).sum(),
    }))
}

/// Where the items of a source are.
enum Base {
    Folder(PathBuf),
    Object(String),
    Objects(String),
}

impl Base {
    fn shown(&self) -> String {
        match self {
            Base::Folder(path) => path.display().to_string(),
            Base::Object(uri) | Base::Objects(uri) => uri.clone(),
        }
    }

    fn uri(&self, item: &Item, is_one_of_many: bool) -> String {
        match self {
            Base::Folder(folder) if is_one_of_many => format!("file://{}", folder.join(&item.name).display()),
            Base::Folder(_) => format!("file://{}", item.name),
            Base::Object(uri) => uri.clone(),
            Base::Objects(below) => format!("{}/{}", below.trim_end_matches('/'), item.name),
        }
    }
}

fn form_of(item: &Item, asked: Option<SourceFormat>) -> Result<Form> {
    let mut stream = item.stream()?;
    let form = form::form_of(&mut stream, &item.name, asked.or(item.format));
    form.map_err(|error| stream.base().failure().unwrap_or(error))
}

/// Gathers the columns of a file.
fn open_one(item: &Item, form: Form, reading: &Reading<'_>) -> Result<Source> {
    let file = item.stream()?;
    let bytes = file.base().clone();
    bytes.expect(0..item.size);
    let gathered = match form {
        Form::Csv => csv::read(file, reading),
        Form::Json => json::read_document(file, reading),
        Form::Ndjson => json::read_lines(file, reading),
        Form::ArrowFile => arrow_ipc::read_file(file, reading),
        Form::ArrowStream => arrow_ipc::read_stream(file, reading),
        Form::Parquet => Err(Error::new(ErrorKind::Internal, "Parquet is not gathered")),
    };
    // What a store does not give is no fault of the file.
    gathered.map_err(|error| bytes.failure().unwrap_or(error))
}

/// One reading of a source: what is wanted of it, and what it may take.
#[derive(Clone)]
pub(crate) struct Reading<'a> {
    input: &'a StageInput,
    /// The form that was asked for.
    format: Option<SourceFormat>,
    /// Names of the wanted columns; every numeric one when `None`.
    columns: Option<&'a [String]>,
    /// Bytes of the file, or of all files together.
    size: u64,
    /// Bytes of the files before this one, and of all of them.
    bytes_before: u64,
    bytes_in_all: u64,
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
        self.input.progress.report("reading", self.bytes_before + bytes_read, self.bytes_in_all);
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
