//! `caudal process`: one job for each file, through the same actors as the server.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use caudal_app::settings::Overrides;
use caudal_app::{App, Settings, file_uri, is_s3};
use caudal_core::job::LOCAL_OWNER;
use caudal_core::request::{
    DeviceChoice, EngineChoice, JobRequest, Normalization, OutputFormat, PipelineType, Source, SourceFormat,
    SparkConfig, StatisticsLevel,
};
use caudal_core::results::FinalResponse;
use caudal_core::{Error, ErrorKind, Result};
use caudal_orchestration::{JobHandle, JobResult, Submission, SubmissionBody};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::memory::MemoryArguments;
use super::{progress, report};

#[derive(Args)]
pub struct ProcessArguments {
    /// CSV, JSON, NDJSON, Arrow IPC or Parquet: files, folders of files, s3://bucket/key or s3://bucket/folder/; one job
    /// for each.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A column to process; repeat it for more. All numeric columns when none is named.
    #[arg(long = "column", value_name = "NAME")]
    columns: Vec<String>,
    /// A condition in SQL, such as "delay > 0": only rows for which it holds are processed.
    #[arg(long = "where", value_name = "CONDITION", allow_hyphen_values = true)]
    condition: Option<String>,
    /// An expression in SQL, such as "delay/distance as rate"; repeat it for more. Only what is selected is processed.
    #[arg(long, value_name = "EXPRESSION", allow_hyphen_values = true)]
    select: Vec<String>,
    /// A whole query, such as "select delay from source where distance < 500".
    #[arg(long, value_name = "QUERY", conflicts_with_all = ["condition", "select"])]
    sql: Option<String>,
    /// The form of the files, where their names and first bytes do not tell it.
    #[arg(long, value_parser = names::<SourceFormat>(SourceFormat::NAMES), value_name = "FORMAT")]
    input_format: Option<SourceFormat>,
    /// How columns are normalised.
    #[arg(long, value_parser = names::<Normalization>(Normalization::NAMES), default_value = "zscore", value_name = "METHOD")]
    normalize: Normalization,
    /// Which pipeline computes the statistics; auto takes the quicker as measured on this machine.
    #[arg(long, value_parser = names::<PipelineType>(PipelineType::NAMES), default_value = "auto")]
    pipeline: PipelineType,
    /// `core` leaves the number of distinct values out.
    #[arg(long, value_parser = names::<StatisticsLevel>(StatisticsLevel::NAMES), default_value = "full")]
    statistics: StatisticsLevel,
    #[arg(long, value_parser = names::<EngineChoice>(EngineChoice::NAMES), default_value = "auto")]
    engine: EngineChoice,
    /// Where a job on Spark runs: local[*], spark://host:7077, yarn, k8s://https://host:port.
    #[arg(long, value_name = "URL")]
    master: Option<String>,
    #[command(flatten)]
    spark: SparkConfigArguments,
    /// Which device normalises; auto takes the quicker as measured on this machine.
    #[arg(long, value_parser = names::<DeviceChoice>(DeviceChoice::NAMES), default_value = "auto")]
    device: DeviceChoice,
    /// Time the normalisation on CPU and GPU, for gpu_vs_cpu_speedup.
    #[arg(long)]
    compare_devices: bool,
    /// The form of the stored normalised data; JSON up to 1,000,000 cells, Parquet beyond, when it is not given.
    #[arg(long, value_parser = names::<OutputFormat>(OutputFormat::NAMES), value_name = "FORMAT")]
    output_format: Option<OutputFormat>,
    /// What is printed: tables for people, or the final response as JSON, one line for each file.
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
    /// Where everything is stored: a folder, or s3://bucket/prefix.
    #[arg(long, value_name = "PLACE")]
    storage: Option<PathBuf>,
    #[command(flatten)]
    memory: MemoryArguments,
    /// A settings file; ./caudal.toml where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How large a job on Spark is to be; what is not asked for is chosen.
#[derive(Args)]
struct SparkConfigArguments {
    /// Executors of a job on Spark.
    #[arg(long, value_name = "NUMBER")]
    executor_instances: Option<u32>,
    /// Memory of each, such as 2g.
    #[arg(long, value_name = "SIZE")]
    executor_memory: Option<String>,
    /// Cores of each.
    #[arg(long, value_name = "NUMBER")]
    executor_cores: Option<u32>,
    /// Partitions of a shuffle on Spark.
    #[arg(long, value_name = "NUMBER")]
    shuffle_partitions: Option<u32>,
}

impl SparkConfigArguments {
    /// `None` where nothing was asked for.
    fn config(&self) -> Option<SparkConfig> {
        let config = SparkConfig {
            executor_instances: self.executor_instances,
            executor_memory: self.executor_memory.clone(),
            executor_cores: self.executor_cores,
            shuffle_partitions: self.shuffle_partitions,
        };
        (config != SparkConfig::default()).then_some(config)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Table,
    Json,
}

/// The field's own names as the values that clap offers.
fn names<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: std::str::FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse::<T>())
}

/// Runs the jobs one after the other; the first that fails ends the run.
///
/// # Errors
/// Whatever ended a job; `Cancelled` after Ctrl-C.
pub async fn run(arguments: ProcessArguments) -> Result<()> {
    let overrides = Overrides {
        config: arguments.config.clone(),
        storage: arguments.storage.clone(),
        master: arguments.master.clone(),
        allowed_roots: arguments.files.iter().flat_map(|file| folders_of(file)).collect(),
        ..arguments.memory.overrides()
    };
    let app = App::start(&Settings::load(&overrides)?, false).await?;
    for file in &arguments.files {
        let response = process(&app, file, &arguments).await?;
        print(&response, arguments.format, file)?;
    }
    app.orchestrator.shutdown().await;
    Ok(())
}

/// The folder in which a file is named, and the one in which it lies where a link leads elsewhere; an object itself.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    if on_s3(file).is_some() {
        return vec![file.to_owned()];
    }
    let named = match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let real = file.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
    std::iter::once(named).chain(real).collect()
}

fn on_s3(file: &Path) -> Option<&str> {
    file.to_str().filter(|name| is_s3(name))
}

/// The URI of what the user named.
///
/// # Errors
/// `SourceUnavailable` where there is no such file.
fn uri_of(file: &Path) -> Result<String> {
    if let Some(uri) = on_s3(file) {
        return Ok(uri.to_owned());
    }
    let unavailable = |detail: String| Error::new(ErrorKind::SourceUnavailable, detail);
    let shown = file.display();
    file.metadata().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => unavailable(format!("there is no file {shown}")),
        _ => unavailable(format!("{shown} cannot be read: {e}")),
    })?;
    Ok(file_uri(file))
}

async fn process(app: &App, file: &Path, arguments: &ProcessArguments) -> Result<FinalResponse> {
    let body = SubmissionBody::Parsed { request: Box::new(request(file, arguments)?), inline: None };
    let submission = Submission { owner: LOCAL_OWNER.into(), body };
    let mut handle = app.orchestrator.submit(submission).await?;
    let bar = progress::follow(handle.progress());
    let result = tokio::select! {
        result = handle.finished() => result,
        signal = tokio::signal::ctrl_c() => cancel(app, &mut handle, signal).await,
    };
    bar.finish_and_clear();
    match Arc::unwrap_or_clone(result?) {
        JobResult::Completed(response) => Ok(*response),
        JobResult::Ended(status) => Err(status.error.unwrap_or_else(|| {
            Error::new(ErrorKind::Internal, format!("the job ended as {} without a reason", status.status))
        })),
    }
}

async fn cancel(app: &App, handle: &mut JobHandle, signal: std::io::Result<()>) -> Result<Arc<JobResult>> {
    signal.map_err(|e| Error::new(ErrorKind::Internal, "Ctrl-C cannot be waited for").cause(e))?;
    app.orchestrator.cancel(LOCAL_OWNER, handle.job_id).await?;
    handle.finished().await
}

fn request(file: &Path, arguments: &ProcessArguments) -> Result<JobRequest> {
    let source = Source {
        uri: uri_of(file)?,
        format: arguments.input_format,
        columns: (!arguments.columns.is_empty()).then(|| arguments.columns.clone()),
    };
    Ok(JobRequest {
        source: Some(source),
        condition: arguments.condition.clone(),
        select: (!arguments.select.is_empty()).then(|| arguments.select.clone()),
        sql: arguments.sql.clone(),
        normalization: arguments.normalize,
        pipeline_type: arguments.pipeline,
        engine: arguments.engine,
        statistics: arguments.statistics,
        device: arguments.device,
        spark_config: arguments.spark.config(),
        compare_devices: arguments.compare_devices,
        output_format: arguments.output_format,
        ..JobRequest::default()
    })
}

fn print(response: &FinalResponse, form: Form, file: &Path) -> Result<()> {
    let text = match form {
        Form::Table => report::render(response, &file.display().to_string()),
        Form::Json => serde_json::to_string(response).map(|line| line + "\n").map_err(|e| {
            Error::new(ErrorKind::Internal, "the response cannot be written as JSON").cause(e)
        })?,
    };
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read the output has seen enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written
            .map_err(|e| Error::new(ErrorKind::StorageUnavailable, "standard output takes nothing").cause(e)),
    }
}
