//! The engine as orchestration sees it: prepare the source, start the application, follow it, collect its results.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::job::Plan;
use caudal_core::ports::StageInput;
use caudal_core::request::{MAX_INLINE_ELEMENTS, OutputFormat, SparkConfig};
use caudal_core::spark::{SparkEngine, SparkOutcome, SparkSurvey};
use caudal_core::{Error, ErrorKind, Result};
use caudal_storage::{Datasets, SparkInput, SparkPlaces};

use crate::failure::explain;
use crate::launcher::{Failure, JobSpec, Launcher, Phase, SpecOutput, SpecSource, Submission};
use crate::results::JobResults;

/// How often an application is looked at, and the token of its job.
const LOOK: Duration = Duration::from_millis(50);

/// Jobs on Spark through one launcher.
pub struct SparkJobs {
    datasets: Datasets,
    launcher: Arc<dyn Launcher>,
}

impl SparkJobs {
    pub fn new(datasets: Datasets, launcher: Arc<dyn Launcher>) -> Self {
        SparkJobs { datasets, launcher }
    }

    async fn submission(
        &self,
        input: &StageInput,
        plan: &Plan,
        places: &SparkPlaces,
        source: &SparkInput,
    ) -> Result<Submission> {
        let request = &input.record.request;
        let named = request.source.as_ref().and_then(|source| source.columns.clone());
        let spec = JobSpec {
            job_id: input.job_id().to_string(),
            attempt: input.attempt,
            source: SpecSource { uris: source.uris.clone(), format: source.format.name(), columns: named },
            normalization: plan.normalization.name(),
            statistics: plan.statistics.name(),
            pipelines: plan.pipelines.iter().map(|kind| kind.name()).collect(),
            output: SpecOutput { uri: places.data.clone(), format: written_format(plan.output_format) },
            results_uri: places.results.clone(),
            max_in_memory_json_elements: MAX_INLINE_ELEMENTS,
        };
        let sizing = self.launcher.size(request.spark_config.as_ref(), source.bytes).await?;
        Ok(Submission { name: name_of(input), spec, sizing })
    }

    /// Waits for the end; `None` where it left results.
    async fn follow(&self, input: &StageInput, name: &str) -> Result<Option<Failure>> {
        let mut reported = None;
        loop {
            let status = self.launcher.status(name).await?;
            match status.phase {
                Phase::Succeeded => return Ok(None),
                Phase::Failed(failure) => return Ok(Some(failure)),
                Phase::Running => {}
            }
            if let Some(progress) = status.progress.filter(|now| reported.as_ref() != Some(now)) {
                input.progress.report(&progress.step, progress.done, progress.total);
                reported = Some(progress);
            }
            if input.cancel.is_cancelled() {
                self.launcher.cancel(name).await?;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Runs an attempt to its end and keeps its log.
    async fn attempt(&self, input: &StageInput, plan: &Plan) -> Result<Vec<String>> {
        let places = self.datasets.spark_places(input)?;
        let source = self.datasets.spark_input(input).await?;
        let submission = self.submission(input, plan, &places, &source).await?;
        input.cancel.check()?;
        input.progress.report("starting Spark", 0, 0);
        self.launcher.start(&submission).await?;
        let ended = self.follow(input, &submission.name).await;
        let log = self.launcher.log(&submission.name).await;
        let text = String::from_utf8_lossy(&log).into_owned();
        if let Err(error) = self.datasets.put_spark_log(input, log).await {
            tracing::warn!(%error, cause = error.cause, "the log of a Spark application could not be kept");
        }
        self.launcher.forget(&submission.name).await;
        match ended? {
            None => Ok(submission.sizing.reasons),
            Some(_) if input.cancel.is_cancelled() => Err(cancelled()),
            Some(failure) => Err(explain(&failure, source.folder.as_deref(), &text, &places.log)),
        }
    }

    /// The results of the newest attempt that has any.
    async fn collect(&self, input: &StageInput, plan: &Plan) -> Result<Option<SparkOutcome>> {
        let found = self.datasets.spark_results(input.job_id(), input.attempt).await?;
        let Some((attempt, content)) = found else { return Ok(None) };
        let results = JobResults::read(&content)?;
        let format = plan.output_format;
        self.datasets.publish_spark(input, attempt, format, results.names(), results.files()).await?;
        let read_by = self.datasets.reader_for_spark(input).await?;
        let log = self.datasets.spark_places(input)?.log;
        Ok(Some(results.outcome(attempt, log, read_by)))
    }
}

#[async_trait]
impl SparkEngine for SparkJobs {
    async fn survey(&self, asked: Option<&SparkConfig>) -> Result<SparkSurvey> {
        self.launcher.survey(asked).await
    }

    async fn run(&self, input: &StageInput, plan: &Plan) -> Result<SparkOutcome> {
        if let Some(finished) = self.collect(input, plan).await? {
            return Ok(finished);
        }
        let mut reasons = self.attempt(input, plan).await?;
        let mut outcome = self.collect(input, plan).await?.ok_or_else(|| {
            Error::new(ErrorKind::EngineFailed, "the Spark application ended well and left no results")
        })?;
        reasons.append(&mut outcome.application.reasons);
        outcome.application.reasons = reasons;
        Ok(outcome)
    }
}

/// By which an application is found again.
fn name_of(input: &StageInput) -> String {
    format!("caudal-{}-spark-{}", input.job_id(), input.attempt)
}

/// What Spark writes for a form; it has no Arrow, which is made of its Parquet.
fn written_format(format: OutputFormat) -> &'static str {
    match format {
        OutputFormat::Json => "json",
        OutputFormat::Csv => "csv",
        OutputFormat::Parquet | OutputFormat::Arrow => "parquet",
    }
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the job was cancelled")
}
