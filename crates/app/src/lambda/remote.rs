//! The other functions, as orchestration sees them: who works on a queued job, and who normalises.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::job::Plan;
use caudal_core::ports::{Handover, Normalizer, StageInput};
use caudal_core::results::GpuProcessing;
use caudal_core::{Error, ErrorKind, JobId, Result};
use caudal_storage::{Assignments, Bucket, StageReport};

use super::client::FunctionClient;
use super::event::ResumeEvent;
use super::stage::NormalizeEvent;
use crate::functions::Functions;
use crate::settings::Settings;

/// Between two looks for a stage's report: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// The functions that the settings name.
///
/// # Errors
/// `InvalidRequest` where the environment names no region or no credentials.
pub fn connect(settings: &Settings, bucket: &Bucket) -> Result<Functions> {
    let named = &settings.functions;
    if named.orchestrator.is_empty() && named.gpu_processing.is_empty() {
        return Ok(Functions::default());
    }
    let client = Arc::new(FunctionClient::new(&settings.aws)?);
    let mut functions = Functions::default();
    if !named.orchestrator.is_empty() {
        functions.handover =
            Some(Arc::new(Orchestrator { client: client.clone(), function: named.orchestrator.clone() }));
    }
    if !named.gpu_processing.is_empty() {
        functions.gpu_processing = Some(Arc::new(NormalizingFunction {
            client,
            function: named.gpu_processing.clone(),
            assignments: Assignments::new(bucket.clone()),
            deadline: named.stage_deadline(),
        }));
    }
    Ok(functions)
}

/// Invocations of the orchestrator that work on one job each.
struct Orchestrator {
    client: Arc<FunctionClient>,
    function: String,
}

#[async_trait]
impl Handover for Orchestrator {
    async fn hand_over(&self, job: JobId) -> Result<()> {
        self.client.invoke(&self.function, &ResumeEvent { resume: job }).await
    }
}

/// The function that normalises. Only references travel: the plan, the data and the report are objects.
struct NormalizingFunction {
    client: Arc<FunctionClient>,
    function: String,
    assignments: Assignments,
    deadline: Duration,
}

#[async_trait]
impl Normalizer for NormalizingFunction {
    async fn normalize(&self, input: &StageInput, plan: &Plan) -> Result<GpuProcessing> {
        let (job, attempt) = (input.job_id(), input.attempt);
        self.assignments.assign(job, attempt, plan).await?;
        self.client.invoke(&self.function, &NormalizeEvent { job, attempt }).await?;
        match tokio::time::timeout(self.deadline, self.report(input)).await {
            Ok(Ok(StageReport::Done(result))) => Ok(*result),
            Ok(Ok(StageReport::Failed(error))) => Err(error),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let detail = format!(
                    "the function {} did not report within {} s",
                    self.function,
                    self.deadline.as_secs()
                );
                Err(Error::new(ErrorKind::Overloaded, detail).of_job(job).hint(
                    "its log says whether it was killed at its time-out, ran out of memory or was never started",
                ))
            }
        }
    }
}

impl NormalizingFunction {
    async fn report(&self, input: &StageInput) -> Result<StageReport> {
        let mut pause = FIRST_LOOK;
        loop {
            input.cancel.check()?;
            if let Some(report) = self.assignments.reported(input.job_id(), input.attempt).await? {
                return Ok(report);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }
}
