//! What an application of Apache Spark reads and leaves in the bucket, and how that becomes the job's.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use caudal_core::job::SourceDescription;
use caudal_core::ports::StageInput;
use caudal_core::request::{OutputFormat, SourceFormat};
use caudal_core::{JobId, Result};

use crate::datasets::{Datasets, SparkFiles};
use crate::keys;
use crate::normalized::{Buffers, Filler, Making, encoded, part_rows};
use crate::source::Source;

/// What Spark is to read.
#[derive(Debug)]
pub struct SparkInput {
    /// Parquet, CSV or NDJSON.
    pub format: SourceFormat,
    pub uris: Vec<String>,
    /// The folder whose files they are, where the source is one.
    pub folder: Option<String>,
    /// Bytes of all of it.
    pub bytes: u64,
}

/// Who reads a source that Spark works on.
#[derive(Debug)]
pub enum ReadBy {
    Spark(SourceFormat),
    /// This machine has read it, and Spark gets the processed columns as Parquet.
    Us(Converted),
}

/// What that Parquet does not tell of the source.
#[derive(Debug)]
pub struct Converted {
    pub description: SourceDescription,
    /// Integers of each column that the conversion to f64 changed.
    pub inexact_integers: Vec<u64>,
}

/// Where an attempt writes, as URIs.
#[derive(Clone, Debug)]
pub struct SparkPlaces {
    pub data: String,
    pub results: String,
    pub log: String,
}

/// A file of the normalised data, in the order of its rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct WrittenFile {
    pub name: String,
    /// Counted here where Spark does not say.
    #[serde(default)]
    pub rows: Option<u64>,
    pub bytes: u64,
}

/// Whether Spark reaches what a URI names.
pub type Reach<'r> = &'r (dyn Fn(&str) -> bool + Sync);

impl Datasets {
    /// The source as Spark reads it, where it reaches that. What it does not reach, Arrow, JSON documents, inline numbers and what was derived are written as Parquet
    /// below the attempt first.
    ///
    /// # Errors
    /// Those of opening a source; `StorageUnavailable` when the bucket takes nothing.
    pub async fn spark_input(&self, input: &StageInput, reach: Reach<'_>) -> Result<SparkInput> {
        if let Some(found) = self.files_for_spark(input, reach).await? {
            let SparkFiles { uris, folder, format, bytes } = found;
            return Ok(SparkInput { format, uris, folder, bytes });
        }
        let source = self.source(input).await?;
        let (rows, columns) = (source.rows(), source.columns());
        let step = part_rows(columns, rows);
        let (mut uris, mut bytes) = (Vec::new(), 0);
        for number in 0..rows.div_ceil(step) {
            input.cancel.check()?;
            let part = number * step..rows.min((number + 1) * step);
            let read = source.clone();
            let content = encoded(move || {
                let names = read.names().map(str::to_owned).collect();
                let format = OutputFormat::Parquet;
                Making { format, names, fill: Arc::new(read_rows(read)), rows: part }
                    .content(&Buffers::default())
            });
            let key = keys::spark_input(input.job_id(), input.attempt, number);
            let content = content.await?;
            bytes += content.len() as u64;
            self.bucket.put(&key, content).await?;
            uris.push(self.bucket.uri(&key));
            input.progress.report("converting", number + 1, rows.div_ceil(step));
        }
        Ok(SparkInput { format: SourceFormat::Parquet, uris, folder: None, bytes })
    }

    /// Who reads a source, and what is known of it for that.
    ///
    /// # Errors
    /// Those of opening a source.
    pub async fn reader_for_spark(&self, input: &StageInput, reach: Reach<'_>) -> Result<ReadBy> {
        match self.files_for_spark(input, reach).await? {
            Some(found) => Ok(ReadBy::Spark(found.format)),
            None => Ok(ReadBy::Us(Converted::of(self.source(input).await?.as_ref()))),
        }
    }

    /// Where an attempt writes.
    pub fn spark_places(&self, input: &StageInput) -> SparkPlaces {
        let (job, attempt) = (input.job_id(), input.attempt);
        let uri = |key| self.bucket.uri(&key);
        SparkPlaces {
            data: uri(keys::spark_data(job, attempt)),
            results: uri(keys::spark_results(job, attempt)),
            log: uri(keys::spark_log(job, attempt)),
        }
    }

    /// The newest attempt that began an application.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn newest_spark_attempt(&self, job: JobId) -> Result<Option<u32>> {
        let names = self.bucket.list_names(&keys::spark_attempts(job)).await?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).max())
    }

    /// The newest attempt up to this one that has left its results, and what it found.
    pub async fn spark_results(&self, job: JobId, newest: u32) -> Result<Option<(u32, Bytes)>> {
        for attempt in (1..=newest).rev() {
            if let Some(found) = self.bucket.get(&keys::spark_results(job, attempt)).await? {
                return Ok(Some((attempt, found)));
            }
        }
        Ok(None)
    }

    /// Makes what an attempt of Spark wrote the job's normalised data. Spark writes no Arrow: that is made of its
    /// Parquet here.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing or the files are gone; `Cancelled`.
    pub async fn publish_spark(
        &self,
        input: &StageInput,
        attempt: u32,
        format: OutputFormat,
        names: Vec<String>,
        files: &[WrittenFile],
    ) -> Result<()> {
        let folder = keys::spark_data(input.job_id(), attempt);
        if format != OutputFormat::Arrow {
            return self.adopt_normalized(input, format, &folder, names, files).await;
        }
        let source = self.parquet_in(&folder, names.clone(), files).await?;
        let rows = source.rows();
        self.put_normalized(input, format, &names, rows, Arc::new(read_rows(source))).await
    }

    /// # Errors
    /// `StorageUnavailable` when the bucket takes nothing.
    pub async fn put_spark_log(&self, input: &StageInput, content: Vec<u8>) -> Result<()> {
        self.bucket.put(&keys::spark_log(input.job_id(), input.attempt), content).await
    }
}

/// The rows of a source as they are.
fn read_rows(source: Arc<Source>) -> impl Fn(usize, Range<u64>) -> Result<Box<Filler>> {
    move |column, rows| {
        let mut reader = source.reader(column, rows)?;
        Ok(Box::new(move |out: &mut [f64]| reader.fill(out).map(drop)))
    }
}

impl Converted {
    fn of(source: &Source) -> Converted {
        let inexact = |column| source.inexact_integers(column).unwrap_or(0);
        Converted {
            description: source.describe(),
            inexact_integers: (0..source.columns()).map(inexact).collect(),
        }
    }
}
