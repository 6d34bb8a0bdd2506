//! The normalised data of a job: written once, read back by whoever proves it, handed out in any form.
//!
//! Up to 1,000,000 values asked for as JSON are one document, `data.json`. Everything else is parts of
//! some rows and a manifest: parts are written under the attempt, copied into place, and count
//! from the moment on at which the manifest, put if absent, names them.

mod addresses;
mod buffers;
pub(crate) mod encode;
mod export;
mod parquet_part;
mod part_file;
mod read_back;
mod text;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use caudal_core::cell::Cell;
use caudal_core::ports::StageInput;
use caudal_core::request::{MAX_INLINE_ELEMENTS, OutputFormat};
use caudal_core::{Error, ErrorKind, JobId, Result};
use caudal_kernels::huge_column;
use futures::{StreamExt, TryStreamExt, stream};
use indexmap::IndexMap;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

pub(crate) use self::buffers::Buffers;
use self::encode::Slice;
use self::parquet_part::Sink;
use self::part_file::PartFile;
pub(crate) use self::read_back::opener;
pub use self::text::json_array;
use crate::bucket::failed;
use crate::datasets::Datasets;
use crate::keys;
use crate::source::BLOCK_ROWS;
use crate::spark::WrittenFile;
use crate::table::{Column, Table};

/// Rows of one part, and cells, at most.
const PART_ROWS: u64 = 1 << 20;
const PART_CELLS: u64 = 1 << 21;

/// The stage whose attempts write here.
const STAGE: &str = "normalizing";

/// Makes the rows of a column, by its number, one after the other: into each slice that it is given as many as it holds,
/// NaN for missing, infinities as they were. The same rows are the same bits whenever they are asked for.
pub type FillRows = dyn Fn(usize, Range<u64>) -> Result<Box<Filler>> + Send + Sync;

/// Fills a slice with the next rows.
pub type Filler = dyn FnMut(&mut [f64]) -> Result<()>;

/// `normalized_data/{job_id}/manifest.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Manifest {
    format: OutputFormat,
    rows: u64,
    columns: Vec<String>,
    /// The attempt whose parts these are.
    attempt: u32,
    parts: Vec<Part>,
}

impl Manifest {
    fn of(format: OutputFormat, columns: Vec<String>, attempt: u32, parts: Vec<Part>) -> Manifest {
        Manifest { format, rows: parts.iter().map(|part| part.rows).sum(), columns, attempt, parts }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    name: String,
    rows: u64,
    bytes: u64,
}

/// `normalized_data/{job_id}/data.json`.
#[derive(Deserialize)]
struct Document {
    columns: IndexMap<String, Vec<Cell>>,
}

impl Datasets {
    /// Publishes the normalised columns, `rows` rows of each name, as `fill` gives them; doing it again leaves the
    /// same objects. As many parts as there are cores are in memory at a time.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing; `Cancelled`; those of `fill`.
    pub async fn put_normalized(
        &self,
        input: &StageInput,
        format: OutputFormat,
        names: &[String],
        rows: u64,
        fill: Arc<FillRows>,
    ) -> Result<()> {
        let names: Arc<[String]> = names.into();
        if format == OutputFormat::Json && rows.saturating_mul(names.len() as u64) <= MAX_INLINE_ELEMENTS {
            let content = encoded(move || {
                let columns = filled(&*fill, names.len(), 0..rows)?;
                Ok(text::json_document(&slices(&names, &columns)))
            });
            // Somebody who was here before has written the same bytes.
            let key = keys::normalized_json(input.job_id());
            return self.bucket.create(&key, content.await?).await.map(drop);
        }
        let (part_rows, buffers) = (part_rows(names.len(), rows), Buffers::default());
        let parts: Vec<Part> = stream::iter(0..rows.div_ceil(part_rows))
            .map(|number| {
                let part = number * part_rows..rows.min((number + 1) * part_rows);
                let making = Making { format, names: names.clone(), fill: fill.clone(), rows: part };
                self.put_part(input, making, buffers.clone(), number as usize)
            })
            .buffered(rayon::current_num_threads())
            .try_collect()
            .await?;
        let manifest = Manifest { format, rows, columns: names.to_vec(), attempt: input.attempt, parts };
        self.publish(input, &manifest).await
    }

    async fn put_part(
        &self,
        input: &StageInput,
        making: Making,
        buffers: Buffers,
        number: usize,
    ) -> Result<Part> {
        input.cancel.check()?;
        let (format, rows) = (making.format, making.rows.end - making.rows.start);
        let place = keys::normalized_part(input.job_id(), number, keys::part_extension(format));
        let name = place.filename().unwrap_or_default().to_owned();
        let attempt = keys::attempt(input.job_id(), STAGE, input.attempt).join(name.as_str());
        let bytes = match self.bucket.file(&attempt).filter(|_| format == OutputFormat::Parquet) {
            Some(file) => {
                self.bucket.is_there()?;
                let key = attempt.clone();
                encoded(move || making.into_file(&file, key)).await?
            }
            None => {
                let content = encoded(move || making.content(&buffers)).await?;
                let bytes = content.len() as u64;
                self.bucket.put(&attempt, content).await?;
                bytes
            }
        };
        self.bucket.store().copy(&attempt, &place).await.map_err(|e| failed("copy", &place, e))?;
        Ok(Part { name, rows, bytes })
    }

    /// Makes files that lie in a folder of the bucket the normalised data: one document, or parts in order.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing or a file is gone.
    pub(crate) async fn adopt_normalized(
        &self,
        input: &StageInput,
        format: OutputFormat,
        folder: &Path,
        columns: Vec<String>,
        files: &[WrittenFile],
    ) -> Result<()> {
        let job = input.job_id();
        if self.stored(job).await.is_ok() {
            // An attempt that died after this has decided what counts.
            return Ok(());
        }
        let document = keys::normalized_json(job);
        for file in files {
            let from = folder.clone().join(file.name.as_str());
            let place = match document.filename() == Some(file.name.as_str()) {
                true => document.clone(),
                false => keys::normalized_folder(job).join(file.name.as_str()),
            };
            self.bucket.store().copy(&from, &place).await.map_err(|e| failed("copy", &from, e))?;
        }
        if files.iter().any(|file| document.filename() == Some(file.name.as_str())) {
            return Ok(());
        }
        let parts = self.parts_in(folder, format, files).await?;
        self.publish(input, &Manifest::of(format, columns, input.attempt, parts)).await
    }

    async fn publish(&self, input: &StageInput, manifest: &Manifest) -> Result<()> {
        let key = keys::normalized_manifest(input.job_id());
        let content = serde_json::to_vec_pretty(manifest).map_err(|e| encode::unwritable(&e))?;
        self.bucket.create(&key, content).await?;
        let attempt = keys::attempt(input.job_id(), STAGE, input.attempt);
        for part in &manifest.parts {
            self.bucket.delete(&attempt.clone().join(part.name.as_str())).await?;
        }
        Ok(())
    }

    async fn stored(&self, job: JobId) -> Result<Stored> {
        if let Some(content) = self.bucket.get(&keys::normalized_json(job)).await? {
            return Ok(Stored::Document(content));
        }
        match self.bucket.get_json(&keys::normalized_manifest(job)).await? {
            Some(manifest) => Ok(Stored::Parts(manifest)),
            None => Err(Error::new(ErrorKind::NotFound, format!("job {job} has no normalised data"))),
        }
    }

    /// The columns of one part.
    async fn part(&self, job: JobId, manifest: &Manifest, part: &Part) -> Result<Vec<Vec<f64>>> {
        let key = part_key(job, part);
        let content =
            self.bucket.get(&key).await?.ok_or_else(|| encode::damaged(&format!("{key} is gone")))?;
        let (format, columns) = (manifest.format, manifest.columns.len());
        encoded(move || encode::read_part(format, columns, content)).await
    }
}

/// A part that is to be made.
pub(crate) struct Making {
    pub format: OutputFormat,
    pub names: Arc<[String]>,
    pub fill: Arc<FillRows>,
    pub rows: Range<u64>,
}

impl Making {
    /// The part in the form in which it is stored.
    pub fn content(self, buffers: &Buffers) -> Result<Bytes> {
        let Making { format, names, fill, rows } = self;
        let columns = || filled(&*fill, names.len(), rows.clone());
        let content = match format {
            OutputFormat::Json => text::ndjson(&slices(&names, &columns()?)),
            OutputFormat::Csv => text::csv(&slices(&names, &columns()?), true),
            OutputFormat::Arrow => {
                encode::arrow_file(&names, columns()?).map_err(|e| encode::unwritable(&e))?
            }
            OutputFormat::Parquet => {
                let most = parquet_part::most_bytes(names.len(), (rows.end - rows.start) as usize);
                let mut content = buffers.take(most);
                parquet_part::write(&names, rows.clone(), &*fill, &mut content)?;
                return Ok(buffers.lend(content));
            }
        };
        Ok(content.into())
    }

    /// Writes the part, which is Parquet, into a file that is the object `key`; returns how many bytes it has.
    fn into_file(self, file: &std::path::Path, key: Path) -> Result<u64> {
        let mut part = LocalPart { file: PartFile::begin(file).map_err(|e| unwritten(&key, e))?, key };
        let bytes = parquet_part::write(&self.names, self.rows, &*self.fill, &mut part)?;
        let LocalPart { file, key } = part;
        file.finish().map_err(|e| unwritten(&key, e))?;
        Ok(bytes)
    }
}

/// A part in a file, and the object that it is going to be.
struct LocalPart {
    file: PartFile,
    key: Path,
}

impl Sink for LocalPart {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.put(bytes).map_err(|e| unwritten(&self.key, e))
    }
}

fn unwritten(key: &Path, error: std::io::Error) -> Error {
    let error = object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(error) };
    failed("write", key, error)
}

enum Stored {
    Document(Bytes),
    Parts(Manifest),
}

fn part_key(job: JobId, part: &Part) -> Path {
    keys::normalized_folder(job).join(part.name.as_str())
}

fn read_document(content: &[u8]) -> Result<Table> {
    let document: Document = serde_json::from_slice(content).map_err(|e| encode::damaged(&e))?;
    let mut table = Table { bytes_read: content.len() as u64, ..Table::default() };
    for (name, cells) in document.columns {
        let values = cells.into_iter().map(text::stored_number).collect::<Result<Vec<f64>>>()?;
        table.rows = values.len();
        table.columns.push(Column { name, data_type: "Float64".into(), values, inexact_integers: 0 });
    }
    Ok(table)
}

/// Rows of one part: enough to be read quickly, few enough that some parts fit into memory side by side, and at most
/// half of all, so that two can be written at a time.
pub(crate) fn part_rows(columns: usize, all: u64) -> u64 {
    let half = all.div_ceil(2).next_multiple_of(BLOCK_ROWS);
    let rows = (PART_CELLS / columns.max(1) as u64).clamp(1, PART_ROWS).min(half.max(1));
    // Whole blocks, where there are any, spare whoever reads by blocks to begin in the middle of a page.
    if rows > BLOCK_ROWS { rows / BLOCK_ROWS * BLOCK_ROWS } else { rows }
}

fn filled(fill: &FillRows, columns: usize, rows: Range<u64>) -> Result<Vec<Vec<f64>>> {
    let column = |i| {
        let mut values = huge_column((rows.end - rows.start) as usize);
        fill(i, rows.clone())?(&mut values).map(|()| values)
    };
    (0..columns).map(column).collect()
}

fn slices<'c>(names: &'c [String], columns: &'c [Vec<f64>]) -> Vec<Slice<'c>> {
    names.iter().zip(columns).map(|(name, values)| (name.as_str(), values.as_slice())).collect()
}

/// Encoding and decoding keep a thread busy, and not the one that answers requests.
pub(crate) async fn encoded<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::new(ErrorKind::Internal, "encoding the normalised data stopped").cause(e))?
}
