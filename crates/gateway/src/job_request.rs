//! A job request as the OpenAPI document shows it. These types are schemas alone: orchestration reads the
//! bytes itself, so that it can tell every fault at once.

use caudal_core::request::{
    DeviceChoice, EngineChoice, Normalization, OutputFormat, PipelineType, Source, SparkConfig,
    StatisticsLevel,
};
use indexmap::IndexMap;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

/// A job: exactly one of `data` and `source`, and settings that all have defaults. A field that is not listed is
/// refused by name.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum JobRequest {
    Inline(InlineJob),
    Source(SourceJob),
}

/// Numbers that come with the request.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"data": [1, 2, 3]}))]
pub struct InlineJob {
    pub data: InlineData,
    #[serde(flatten)]
    pub settings: JobSettings,
}

/// Numbers that lie somewhere.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"source": {"uri": "file:examples/flights.parquet"}}))]
pub struct SourceJob {
    pub source: Source,
    #[serde(flatten)]
    pub settings: JobSettings,
}

/// An array, which becomes the column `value`, or an object of equally long named arrays; at most 1,000,000
/// elements in all. `null` is a missing value.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum InlineData {
    Array(Vec<Option<f64>>),
    Columns(IndexMap<String, Vec<Option<f64>>>),
}

/// How the job is done.
#[derive(Default, Serialize, ToSchema)]
pub struct JobSettings {
    /// A condition in SQL over the numeric columns of the source: only rows for which it holds are processed. What is
    /// missing is NULL.
    #[serde(rename = "where")]
    #[schema(example = "delay > 0")]
    pub condition: Option<String>,
    /// Expressions in SQL over the numeric columns of the source: with them, nothing else is processed.
    #[schema(min_items = 1, example = json!(["delay / distance as rate"]))]
    pub select: Option<Vec<String>>,
    /// A whole query over the table `source`, instead of `where` and `select`.
    #[schema(example = "select delay, delay / distance as rate from source where delay > 0")]
    pub sql: Option<String>,
    /// `zscore` when it is not given.
    pub normalization: Option<Normalization>,
    /// `auto` when it is not given.
    pub pipeline_type: Option<PipelineType>,
    /// `auto` when it is not given.
    pub engine: Option<EngineChoice>,
    /// `full` when it is not given.
    pub statistics: Option<StatisticsLevel>,
    /// `auto` when it is not given: the quicker device by what was measured on the host.
    pub device: Option<DeviceChoice>,
    /// Whether the normalisation stage is timed on CPU and GPU, for `gpu_vs_cpu_speedup`; `false` when it is not given.
    pub compare_devices: Option<bool>,
    pub spark_config: Option<SparkConfig>,
    /// `json` up to 1,000,000 elements and `parquet` beyond, when it is not given.
    pub output_format: Option<OutputFormat>,
    /// US dollars, 0 or more.
    #[schema(minimum = 0.0)]
    pub max_cost_usd: Option<f64>,
    /// Called when the job has ended, with a signed message; refused where the server has no key to sign with.
    #[schema(format = "uri")]
    pub webhook_url: Option<String>,
    /// Seconds within which the job has to end; it fails where it does not. As the server allows when it is not given.
    #[schema(exclusive_minimum = 0.0, maximum = 2_592_000.0)]
    pub deadline_seconds: Option<f64>,
}

/// The settings as query parameters, where the body is data. With a request as JSON they stand in it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "a schema alone, as the others here")]
pub struct DataQuery {
    /// Names of the columns to process; repeat it for more.
    #[param(example = json!(["height"]))]
    columns: Option<Vec<String>>,
    /// A condition in SQL.
    #[param(rename = "where", example = "height > 1.5")]
    condition: Option<String>,
    /// An expression in SQL; repeat it for more.
    select: Option<Vec<String>>,
    /// A whole query over the table `source`.
    sql: Option<String>,
    #[param(example = "robust")]
    normalization: Option<Normalization>,
    pipeline_type: Option<PipelineType>,
    engine: Option<EngineChoice>,
    statistics: Option<StatisticsLevel>,
    device: Option<DeviceChoice>,
    /// Whether the normalisation stage is timed on CPU and GPU.
    compare_devices: Option<bool>,
    /// The settings of Spark as an object of JSON.
    #[param(value_type = Option<String>, example = "{\"executor_instances\":2}")]
    spark_config: Option<SparkConfig>,
    output_format: Option<OutputFormat>,
    /// US dollars, 0 or more.
    #[param(minimum = 0.0)]
    max_cost_usd: Option<f64>,
    /// Called when the job has ended, with a signed message.
    #[param(format = "uri")]
    webhook_url: Option<String>,
    /// Seconds within which the job has to end.
    #[param(exclusive_minimum = 0.0, maximum = 2_592_000.0)]
    deadline_seconds: Option<f64>,
}
