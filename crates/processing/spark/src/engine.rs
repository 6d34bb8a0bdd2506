//! The engine as orchestration sees it: prepare the source, start the application, follow it, collect its results.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::job::Plan;
use caudal_core::ports::StageInput;
use caudal_core::request::{MAX_INLINE_ELEMENTS, OutputFormat, SparkConfig};
use caudal_core::results::SparkBill;
use caudal_core::spark::{SparkEngine, SparkOutcome, SparkSurvey};
use caudal_core::{Error, ErrorKind, JobId, Result};
use caudal_storage::{Datasets, SparkInput, SparkPlaces};

use crate::failure::explain;
use crate::launcher::{Failure, JobSpec, Launcher, Phase, SpecOutput, SpecSource, Status, Submission};
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
        Ok(Submission { name: name_of(input.job_id(), input.attempt), spec, sizing })
    }

    /// Waits for the end, where anybody has to.
    async fn follow(&self, input: &StageInput, name: &str) -> Result<Followed> {
        let mut reported = None;
        let mut cancelled = false;
        loop {
            let status = self.status(name).await?;
            match status.phase {
                Phase::Succeeded => return Ok(Followed::Succeeded),
                Phase::Failed(failure) => return Ok(Followed::Failed(failure)),
                Phase::Running => {}
            }
            if let Some(progress) = status.progress.filter(|now| reported.as_ref() != Some(now)) {
                input.progress.report(&progress.step, progress.done, progress.total);
                reported = Some(progress);
            }
            if input.cancel.is_cancelled() && !cancelled {
                self.launcher.cancel(name).await?;
                cancelled = true;
            }
            if self.launcher.wakes() {
                return Ok(Followed::RunsOn);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// How an application is; one that cannot be looked at now runs on, as far as anybody knows.
    async fn status(&self, name: &str) -> Result<Status> {
        match self.launcher.status(name).await {
            Err(error) if error.kind.is_retryable() => {
                tracing::warn!(name, %error, cause = error.cause, "an application of Spark cannot be looked at now");
                Ok(Status { phase: Phase::Running, progress: None })
            }
            looked => looked,
        }
    }

    /// The newest attempt that has an application whose end nobody has seen; an earlier process may have started it.
    async fn begun(&self, input: &StageInput) -> Result<Option<u32>> {
        for attempt in (1..=input.attempt).rev() {
            if self.launcher.knows(&name_of(input.job_id(), attempt)).await? {
                return Ok(Some(attempt));
            }
        }
        Ok(None)
    }

    /// Follows an application to its end, one of this attempt where there is none yet, and keeps its log.
    async fn attempt(&self, input: &StageInput, plan: &Plan, begun: Option<u32>) -> Result<Attempted> {
        let places = self.datasets.spark_places(input);
        if !self.launcher.reaches(&places.data) {
            let detail = format!("Spark does not reach the bucket, {}", places.data);
            return Err(Error::new(ErrorKind::UnavailableEngine, detail)
                .hint("Spark on this machine needs a folder as the bucket (--storage), EMR one on S3"));
        }
        let (mut folder, mut reasons) = (None, Vec::new());
        let attempt = match begun {
            Some(attempt) => attempt,
            None => {
                let reach = |uri: &str| self.launcher.reaches(uri);
                let source = self.datasets.spark_input(input, &reach).await?;
                let submission = self.submission(input, plan, &places, &source).await?;
                input.cancel.check()?;
                input.progress.report("starting Spark", 0, 0);
                self.launcher.start(&submission).await?;
                (folder, reasons) = (source.folder, submission.sizing.reasons);
                input.attempt
            }
        };
        let name = name_of(input.job_id(), attempt);
        let ended = self.follow(input, &name).await;
        if matches!(ended, Ok(Followed::RunsOn)) {
            return Ok(Attempted::RunsOn);
        }
        let log = self.launcher.log(&name).await;
        let text = String::from_utf8_lossy(&log).into_owned();
        if let Err(error) = self.datasets.put_spark_log(input, log).await {
            tracing::warn!(%error, cause = error.cause, "the log of a Spark application could not be kept");
        }
        let bill = self.launcher.bill(&name).await;
        self.launcher.forget(&name).await;
        match ended? {
            Followed::Failed(_) if input.cancel.is_cancelled() => Err(cancelled()),
            Followed::Failed(failure) => Err(explain(&failure, folder.as_deref(), &text, &places.log)),
            Followed::Succeeded | Followed::RunsOn => Ok(Attempted::Ended { reasons, bill }),
        }
    }

    /// The results of the newest attempt that has any.
    async fn collect(&self, input: &StageInput, plan: &Plan) -> Result<Option<SparkOutcome>> {
        let found = self.datasets.spark_results(input.job_id(), input.attempt).await?;
        let Some((attempt, content)) = found else { return Ok(None) };
        let results = JobResults::read(&content)?;
        let format = plan.output_format;
        self.datasets.publish_spark(input, attempt, format, results.names(), results.files()).await?;
        let reach = |uri: &str| self.launcher.reaches(uri);
        let read_by = self.datasets.reader_for_spark(input, &reach).await?;
        let log = self.datasets.spark_places(input).log;
        Ok(Some(results.outcome(attempt, log, read_by)))
    }
}

#[async_trait]
impl SparkEngine for SparkJobs {
    async fn survey(&self, asked: Option<&SparkConfig>) -> Result<SparkSurvey> {
        self.launcher.survey(asked).await
    }

    async fn run(&self, input: &StageInput, plan: &Plan) -> Result<Option<SparkOutcome>> {
        let begun = self.begun(input).await?;
        if begun.is_none()
            && let Some(finished) = self.collect(input, plan).await?
        {
            return Ok(Some(finished));
        }
        let Attempted::Ended { mut reasons, bill } = self.attempt(input, plan, begun).await? else {
            return Ok(None);
        };
        let mut outcome = self.collect(input, plan).await?.ok_or_else(|| {
            Error::new(ErrorKind::EngineFailed, "the Spark application ended well and left no results")
        })?;
        reasons.append(&mut outcome.application.reasons);
        outcome.application.reasons = reasons;
        outcome.application.bill = bill;
        Ok(Some(outcome))
    }

    async fn is_waiting(&self, job: JobId) -> Result<bool> {
        if !self.launcher.wakes() {
            return Ok(false);
        }
        let Some(attempt) = self.datasets.newest_spark_attempt(job).await? else { return Ok(false) };
        let name = name_of(job, attempt);
        Ok(self.launcher.knows(&name).await? && self.status(&name).await?.phase == Phase::Running)
    }

    async fn end(&self, job: JobId) -> Result<()> {
        let newest = self.datasets.newest_spark_attempt(job).await?.unwrap_or(0);
        for attempt in (1..=newest).rev() {
            let name = name_of(job, attempt);
            if self.launcher.knows(&name).await? {
                self.launcher.cancel(&name).await?;
            }
        }
        Ok(())
    }
}

/// How an application was followed.
enum Followed {
    Succeeded,
    Failed(Failure),
    /// Whoever is told of its end comes back.
    RunsOn,
}

/// What came of an attempt.
enum Attempted {
    Ended { reasons: Vec<String>, bill: Option<SparkBill> },
    RunsOn,
}

/// By which an application is found again.
fn name_of(job: JobId, attempt: u32) -> String {
    format!("caudal-{job}-spark-{attempt}")
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
