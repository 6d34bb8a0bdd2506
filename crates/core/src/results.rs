//! What a job leaves behind: statistics, stage results and the final response, as stored and answered.
//!
//! Field names, units and definitions are those of `docs/contract.md`. A number that was not measured
//! or does not exist is `None`, which is `null` in JSON; no field ever holds NaN or an infinity.

use chrono::{DateTime, Utc};
use indexmap::IndexMap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::job::{JobId, SkippedColumn};
use crate::request::Normalization;
use crate::state::JobState;

/// Columns by name, in source order. Fields spell the type out, since the schema of the API is drawn from it.
pub type Columns<T> = IndexMap<String, T>;

macro_rules! record {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name { $($(#[$fdoc])* pub $field: $ty),* }
    };
}

record! {
    /// The statistics of one column, over its finite values, in original units.
    ColumnStatistics {
        rows: u64,
        missing: u64,
        infinite: u64,
        positive_infinite: u64,
        negative_infinite: u64,
        count: u64,
        sum: Option<f64>,
        mean: Option<f64>,
        variance: Option<f64>,
        std_dev: Option<f64>,
        variance_sample: Option<f64>,
        std_dev_sample: Option<f64>,
        min: Option<f64>,
        max: Option<f64>,
        range: Option<f64>,
        skewness: Option<f64>,
        kurtosis: Option<f64>,
        percentiles: Percentiles,
        median: Option<f64>,
        quartiles: Quartiles,
        mode: Option<Mode>,
        outliers: Fences,
        zscore_outliers: u64,
        zscore_borderline: u64,
        zeros: u64,
        negatives: u64,
        /// `None` with `statistics: core`.
        distinct: Option<u64>,
        histogram: Histogram,
        /// Integers that the conversion to f64 changed.
        inexact_integers: u64,
        /// Statistics whose true value is beyond f64, and which are therefore null.
        overflowed: Vec<String>,
        /// (rows − missing − infinite − zscore_outliers) / rows.
        quality_score: Option<f64>,
        /// Of the values that were really written, read back from the bucket.
        normalized: Option<NormalizedStatistics>,
        /// `exact`, or the bound of an approximation that a memory limit forced.
        method: String,
    }
}
record! {
    Percentiles {
        p1: Option<f64>, p5: Option<f64>, p25: Option<f64>, p50: Option<f64>,
        p75: Option<f64>, p90: Option<f64>, p95: Option<f64>, p99: Option<f64>,
    }
}
record! { Quartiles { q1: Option<f64>, q3: Option<f64>, iqr: Option<f64> } }
record! { Mode { value: f64, frequency: u64 } }
record! {
    /// Tukey's fences and how many values lie strictly outside them.
    Fences { lower_bound: Option<f64>, upper_bound: Option<f64>, count: u64 }
}
record! {
    /// `counts[j]` values lie in [edges[j], edges[j + 1]), the last bin closed.
    Histogram { edges: Vec<f64>, counts: Vec<u64> }
}
record! {
    NormalizedStatistics {
        count: u64, mean: Option<f64>, std_dev: Option<f64>, min: Option<f64>, max: Option<f64>,
    }
}

record! {
    /// What the normalisation stage did: `gpu_results/{job_id}/results.json`.
    GpuProcessing {
        device: String,
        gpu_used: bool,
        fallback_reason: Option<String>,
        /// Seconds.
        processing_time: f64,
        normalization: Normalization,
        columns: IndexMap<String, NormalizedColumn>,
    }
}
record! {
    NormalizedColumn {
        count: u64,
        missing: u64,
        infinite: u64,
        mean: Option<f64>,
        std_dev: Option<f64>,
        min: Option<f64>,
        max: Option<f64>,
        parameters: ScalerParameters,
        /// The first ten values that were written, as JSON has them: null for missing, "Infinity", "-Infinity".
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<Option<f64>>))]
        normalized_data: Vec<WrittenValue>,
        /// `constant_column`, `zero_iqr`.
        warnings: Vec<String>,
    }
}
record! {
    /// normalised = (x − center) / scale; x = normalised · scale + center.
    ScalerParameters {
        center: f64,
        /// Null where the scale is beyond f64: `half_scale` is then half of it.
        scale: Option<f64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        half_scale: Option<f64>,
    }
}

/// A value of the normalised data in JSON: a number, null for NaN, or an infinity by its name.
#[derive(Clone, Copy, Debug)]
pub struct WrittenValue(pub f64);

impl PartialEq for WrittenValue {
    /// Missing values are all the same.
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || (self.0.is_nan() && other.0.is_nan())
    }
}

impl Serialize for WrittenValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x.is_finite() => serializer.serialize_f64(x),
            x if x.is_nan() => serializer.serialize_none(),
            x if x > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for WrittenValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Named(String),
            Missing(()),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(x) => Ok(WrittenValue(x)),
            Written::Missing(()) => Ok(WrittenValue(f64::NAN)),
            Written::Named(name) if name == "Infinity" => Ok(WrittenValue(f64::INFINITY)),
            Written::Named(name) if name == "-Infinity" => Ok(WrittenValue(f64::NEG_INFINITY)),
            Written::Named(name) => Err(D::Error::custom(format!("expected a number, found \"{name}\""))),
        }
    }
}

/// What one pipeline found, or that it was not asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum PipelineResult {
    Completed {
        /// Seconds.
        processing_time: f64,
        columns: IndexMap<String, ColumnStatistics>,
    },
    Skipped,
}

impl PipelineResult {
    pub fn columns(&self) -> Option<&Columns<ColumnStatistics>> {
        match self {
            PipelineResult::Completed { columns, .. } => Some(columns),
            PipelineResult::Skipped => None,
        }
    }

    pub fn processing_time(&self) -> Option<f64> {
        match self {
            PipelineResult::Completed { processing_time, .. } => Some(*processing_time),
            PipelineResult::Skipped => None,
        }
    }
}

/// Both pipelines and their comparison: `spark_results/{job_id}/results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SparkProcessing {
    pub rdd_results: PipelineResult,
    pub dataframe_results: PipelineResult,
    pub rdd_time: Option<f64>,
    pub dataframe_time: Option<f64>,
    /// rdd_time / dataframe_time.
    pub speedup: Option<f64>,
    pub max_relative_difference: Option<f64>,
    pub agreement: Option<bool>,
    /// `column.statistic` of each value that differed, the first twenty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disagreements: Vec<String>,
    /// What Spark measured of itself, where it did the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spark: Option<SparkApplication>,
}

/// One application of Apache Spark, as Spark's own listener saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SparkApplication {
    pub application_id: String,
    pub version: String,
    pub master: String,
    /// Cores that the application had.
    pub cores: u32,
    pub executors: u32,
    /// The attempt at the job whose results these are.
    pub attempt: u32,
    /// All of it; then the part of each pipeline, and of the normalisation.
    pub work: SparkWork,
    pub rdd: Option<SparkWork>,
    pub dataframe: Option<SparkWork>,
    pub normalization: Option<SparkWork>,
    /// Why the application was sized as it was.
    pub reasons: Vec<String>,
    /// Where its log is.
    pub log: String,
    /// What it was billed, where its service says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bill: Option<SparkBill>,
}

/// What a service has billed for an application: hours of cores, of GB of memory and of GB of disk, and what they cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SparkBill {
    pub vcpu_hours: f64,
    pub memory_gb_hours: f64,
    pub storage_gb_hours: f64,
    pub usd: f64,
}

/// What stages of Spark did: bytes, seconds, and how many.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct SparkWork {
    pub wall_seconds: f64,
    pub stages: u64,
    pub tasks: u64,
    pub failed_tasks: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub shuffle_read_bytes: u64,
    pub shuffle_write_bytes: u64,
    pub spill_bytes: u64,
    pub executor_cpu_seconds: f64,
    pub executor_run_seconds: f64,
    pub gc_seconds: f64,
    pub peak_execution_memory_bytes: u64,
}

impl SparkApplication {
    /// Executor CPU time / (wall time × cores); `None` where either was not measured.
    pub fn efficiency(&self) -> Option<f64> {
        let offered = self.work.wall_seconds * f64::from(self.cores);
        (offered > 0.0).then(|| self.work.executor_cpu_seconds / offered)
    }
}

impl SparkProcessing {
    /// The statistics that the rest of the response is drawn from: rdd's where both ran.
    pub fn columns(&self) -> Option<&Columns<ColumnStatistics>> {
        self.rdd_results.columns().or_else(|| self.dataframe_results.columns())
    }
}

record! {
    DeviceSummary { device: String, fallback_reason: Option<String> }
}
record! {
    /// Times in seconds.
    ProcessingSummary {
        total_processing_time: f64,
        gpu_processing_time: Option<f64>,
        spark_processing_time: Option<f64>,
        analysis_time: f64,
        queue_time: f64,
        /// Rows × processed columns.
        data_processed: u64,
        columns: u64,
        bytes_read: u64,
        gpu_processing: DeviceSummary,
        engine: String,
        planner: String,
        skipped_columns: Vec<SkippedColumn>,
    }
}
record! {
    PerformanceMetrics {
        gpu_percentage: Option<f64>,
        spark_percentage: Option<f64>,
        dataframe_speedup: Option<f64>,
        rdd_speedup: Option<f64>,
        spark_efficiency: Option<f64>,
        elements_per_second: Option<f64>,
        gpu_vs_cpu_speedup: Option<f64>,
    }
}
record! {
    /// Over all columns.
    DataQuality {
        quality_score: Option<f64>,
        outliers_detected: u64,
        missing_values: u64,
        infinite_values: u64,
        constant_columns: Vec<String>,
    }
}
record! {
    /// US dollars. `*_cost_usd` is what the run was billed; `estimated_usd` is what the same work would
    /// have cost on AWS Lambda and S3.
    CostAnalysis {
        lambda_cost_usd: f64,
        s3_cost_usd: f64,
        emr_cost_usd: f64,
        api_gateway_cost_usd: f64,
        data_transfer_cost_usd: f64,
        gpu_cost_usd: f64,
        total_cost_usd: f64,
        estimated_usd: DollarRange,
        /// The day of the price list.
        prices_as_of: String,
        /// How the estimate was made.
        basis: String,
    }
}
record! { DollarRange { low: f64, high: f64 } }
record! {
    Recommendations { performance: Vec<String>, cost_optimization: Vec<String>, data_quality: Vec<String> }
}
record! {
    /// Where the objects are, as URIs.
    StoredPaths {
        normalized_data: String,
        gpu_results: String,
        spark_results: String,
        final_results: String,
        analysis_results: String,
    }
}

/// What the analysis found: `analysis_results/{job_id}/analysis.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Analysis {
    pub performance_metrics: PerformanceMetrics,
    pub data_quality: DataQuality,
    pub cost_analysis: CostAnalysis,
}

/// The answer to a job: `spark_results/{job_id}/final_results.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FinalResponse {
    pub job_id: JobId,
    pub status: JobState,
    pub timestamp: DateTime<Utc>,
    pub processing_summary: ProcessingSummary,
    pub gpu_processing: GpuProcessing,
    pub spark_processing: SparkProcessing,
    pub performance_metrics: PerformanceMetrics,
    pub data_quality: DataQuality,
    pub cost_analysis: CostAnalysis,
    pub recommendations: Recommendations,
    pub s3_paths: StoredPaths,
    /// What the user should know and did not ask: another output format than expected, skipped columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
