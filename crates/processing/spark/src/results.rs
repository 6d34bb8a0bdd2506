//! What the Spark job leaves as `results.json`, as the stages of a job leave it.

use caudal_core::job::{ColumnDescription, SkippedColumn, SourceDescription};
use caudal_core::results::{GpuProcessing, PipelineResult, SparkApplication, SparkWork};
use caudal_core::spark::SparkOutcome;
use caudal_core::{Error, ErrorKind, Result};
use caudal_storage::{Converted, ReadBy, WrittenFile};
use serde::Deserialize;

/// See `spark/README.md`.
#[derive(Debug, Deserialize)]
pub struct JobResults {
    rows: u64,
    #[serde(default)]
    bytes_read: u64,
    columns: Vec<ColumnDescription>,
    #[serde(default)]
    skipped_columns: Vec<SkippedColumn>,
    gpu_processing: GpuProcessing,
    rdd_results: PipelineResult,
    dataframe_results: PipelineResult,
    output: Written,
    spark: Application,
    #[serde(default)]
    rdd_metrics: Option<SparkWork>,
    #[serde(default)]
    dataframe_metrics: Option<SparkWork>,
    #[serde(default)]
    normalization_metrics: Option<SparkWork>,
    #[serde(default)]
    reasons: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Written {
    files: Vec<WrittenFile>,
}

#[derive(Debug, Deserialize)]
struct Application {
    application_id: String,
    version: String,
    master: String,
    cores: u32,
    #[serde(default)]
    executors: u32,
    #[serde(flatten)]
    work: SparkWork,
}

impl JobResults {
    /// # Errors
    /// `EngineFailed` where it is not what the job writes.
    pub fn read(content: &[u8]) -> Result<JobResults> {
        serde_json::from_slice(content).map_err(|e| {
            Error::new(ErrorKind::EngineFailed, "the results of the Spark job cannot be read").cause(e)
        })
    }

    pub fn files(&self) -> &[WrittenFile] {
        &self.output.files
    }

    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// The outcome of an attempt. Where Spark got a converted source, what this machine knows of it is put in.
    pub fn outcome(self, attempt: u32, log: String, read_by: ReadBy) -> SparkOutcome {
        let application = SparkApplication {
            application_id: self.spark.application_id,
            version: self.spark.version,
            master: self.spark.master,
            cores: self.spark.cores,
            executors: self.spark.executors,
            attempt,
            work: self.spark.work,
            rdd: self.rdd_metrics,
            dataframe: self.dataframe_metrics,
            normalization: self.normalization_metrics,
            reasons: self.reasons,
            log,
            bill: None,
        };
        let source = SourceDescription {
            format: None,
            rows: self.rows,
            bytes_read: self.bytes_read,
            columns: self.columns,
            skipped: self.skipped_columns,
        };
        let mut outcome = SparkOutcome {
            source,
            normalization: self.gpu_processing,
            rdd: self.rdd_results,
            dataframe: self.dataframe_results,
            application,
        };
        match read_by {
            ReadBy::Spark(format) => outcome.source.format = Some(format),
            ReadBy::Us(converted) => put_in(&mut outcome, converted),
        }
        outcome
    }
}

fn put_in(outcome: &mut SparkOutcome, converted: Converted) {
    let names: Vec<&String> = converted.description.columns.iter().map(|column| &column.name).collect();
    for result in [&mut outcome.rdd, &mut outcome.dataframe] {
        let PipelineResult::Completed { columns, .. } = result else { continue };
        for (name, count) in names.iter().zip(&converted.inexact_integers) {
            if let Some(column) = columns.get_mut(*name) {
                column.inexact_integers = *count;
            }
        }
    }
    outcome.source = converted.description;
}
