//! The normalised data of a job: written once, read back by whoever proves it, handed out in any form.
//!
//! Up to 1,000,000 values asked for as JSON are one document, `data.json`. Everything else is parts of
//! [`PART_ROWS`] rows and a manifest: parts are written under the attempt, copied into place, and count
//! from the moment on at which the manifest, put if absent, names them.

mod encode;
mod export;
mod text;

use std::sync::Arc;

use bytes::Bytes;
use caudal_core::cell::Cell;
use caudal_core::ports::StageInput;
use caudal_core::request::{MAX_INLINE_ELEMENTS, OutputFormat};
use caudal_core::{Error, ErrorKind, JobId, Result};
use futures::{StreamExt, TryStreamExt, stream};
use indexmap::IndexMap;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use self::encode::Slice;
use crate::bucket::failed;
use crate::datasets::Datasets;
use crate::keys;
use crate::table::{Column, Table};

/// Rows of one part.
pub(crate) const PART_ROWS: usize = 1 << 20;

/// The stage whose attempts write here.
const STAGE: &str = "normalizing";

/// One normalised column: NaN for missing, infinities as they were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormalizedColumnData {
    pub name: String,
    pub values: Vec<f64>,
}

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
    /// Publishes the normalised columns; doing it again leaves the same objects.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing; `Cancelled`.
    pub async fn put_normalized(
        &self,
        input: &StageInput,
        format: OutputFormat,
        columns: Vec<NormalizedColumnData>,
    ) -> Result<()> {
        let columns = Arc::new(columns);
        let cells: u64 = columns.iter().map(|c| c.values.len() as u64).sum();
        if format == OutputFormat::Json && cells <= MAX_INLINE_ELEMENTS {
            let content = encoded(move || Ok(text::json_document(&rows(&columns, 0, usize::MAX)))).await?;
            // Somebody who was here before has written the same bytes.
            return self.bucket.create(&keys::normalized_json(input.job_id()), content).await.map(drop);
        }
        let count = columns.first().map_or(0, |c| c.values.len());
        let numbers = 0..count.div_ceil(PART_ROWS);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let parts: Vec<Part> = stream::iter(numbers)
            .map(|number| self.put_part(input, format, columns.clone(), number))
            .buffered(threads)
            .try_collect()
            .await?;
        let manifest = Manifest {
            format,
            rows: count as u64,
            columns: columns.iter().map(|c| c.name.clone()).collect(),
            attempt: input.attempt,
            parts,
        };
        self.publish(input, &manifest).await
    }

    async fn put_part(
        &self,
        input: &StageInput,
        format: OutputFormat,
        columns: Arc<Vec<NormalizedColumnData>>,
        number: usize,
    ) -> Result<Part> {
        input.cancel.check()?;
        let from = number * PART_ROWS;
        let rows_here = columns.first().map_or(0, |c| c.values.len().saturating_sub(from).min(PART_ROWS));
        let content = encoded(move || encode::part(format, &rows(&columns, from, PART_ROWS))).await?;
        let place = keys::normalized_part(input.job_id(), number, keys::part_extension(format));
        let name = place.filename().unwrap_or_default().to_owned();
        let part = Part { name: name.clone(), rows: rows_here as u64, bytes: content.len() as u64 };
        let attempt = keys::attempt(input.job_id(), STAGE, input.attempt).join(name);
        self.bucket.put(&attempt, content).await?;
        self.bucket.store().copy(&attempt, &place).await.map_err(|e| failed("copy", &place, e))?;
        Ok(part)
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

    /// Reads the stored normalised data back, in source order.
    ///
    /// # Errors
    /// `NotFound` where there is none, `StorageUnavailable` where it is damaged.
    pub async fn normalized(&self, job: JobId) -> Result<Table> {
        match self.stored(job).await? {
            Stored::Document(content) => encoded(move || read_document(&content)).await,
            Stored::Parts(manifest) => {
                let names = manifest.columns.iter();
                let mut columns: Vec<Column> = names
                    .map(|name| Column {
                        name: name.clone(),
                        data_type: "Float64".into(),
                        ..Column::default()
                    })
                    .collect();
                let mut bytes_read = 0;
                for part in &manifest.parts {
                    bytes_read += part.bytes;
                    for (column, values) in columns.iter_mut().zip(self.part(job, &manifest, part).await?) {
                        column.values.extend(values);
                    }
                }
                Ok(Table { rows: manifest.rows as usize, columns, bytes_read, ..Table::default() })
            }
        }
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

/// Up to `count` rows of every column, from row `from` on.
fn rows(columns: &[NormalizedColumnData], from: usize, count: usize) -> Vec<Slice<'_>> {
    let slice =
        |c: &NormalizedColumnData| from.min(c.values.len())..c.values.len().min(from.saturating_add(count));
    columns.iter().map(|c| (c.name.as_str(), &c.values[slice(c)])).collect()
}

/// Encoding and decoding keep a thread busy, and not the one that answers requests.
async fn encoded<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::new(ErrorKind::Internal, "encoding the normalised data stopped").cause(e))?
}
