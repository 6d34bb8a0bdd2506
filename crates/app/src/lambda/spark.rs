//! The function `spark_launcher`, which alone may speak to EMR; and how the orchestrator calls it.
//!
//! Only an attempt's identity travels. What is ordered lies in the bucket before the function is called, and what it saw
//! lies there when it has answered.

use std::sync::Arc;

use async_trait::async_trait;
use caudal_core::request::SparkConfig;
use caudal_core::{Error, ErrorKind, Result};
use caudal_spark::{Look, Order, Service, Sizing};
use caudal_storage::{Applications, Attempt, Note};
use lambda_runtime::{LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

#[cfg(feature = "lambda-http")]
use super::client::FunctionClient;
use super::metrics::{Metrics, Outcome};
use crate::settings::{Overrides, Settings};
use crate::{emr, store};

/// Has the function do one thing about an application.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SparkEvent {
    attempt: Attempt,
    #[serde(rename = "do")]
    act: Act,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Act {
    Begin,
    Look,
    Cancel,
}

/// What came of it, as it lies in the bucket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Seen {
    Application(Look),
    Failed(Error),
}

/// Serves invocations until AWS ends the process.
///
/// # Errors
/// What keeps it from starting: a setting, or a bucket that is no place.
pub async fn spark_launcher() -> std::result::Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let settings = Settings::load(&Overrides::default())?;
    let bucket = store::open(&settings)?;
    let service = emr::service(&settings, &bucket)?.ok_or("emr.on names no service")?;
    let metrics = Metrics::new(settings.functions.service.clone(), settings.prices.clone());
    let desk = Arc::new(Desk { service, applications: Applications::new(bucket), metrics });
    let handle = move |event: LambdaEvent<SparkEvent>| {
        let desk = desk.clone();
        async move { desk.invoked(event).await.map_err(lambda_runtime::Error::from) }
    };
    lambda_runtime::run(service_fn(handle)).await
}

struct Desk {
    service: Arc<dyn Service>,
    applications: Applications,
    metrics: Metrics,
}

impl Desk {
    /// An error is answered only where what was seen could not be stored.
    async fn invoked(&self, event: LambdaEvent<SparkEvent>) -> Result<()> {
        let begun = self.metrics.now();
        let SparkEvent { attempt, act } = event.payload;
        let seen = match self.act(attempt, act).await {
            Ok(look) => Seen::Application(look),
            Err(error) => {
                tracing::warn!(job = %attempt.job, ?act, %error, cause = error.cause, "EMR did not do it");
                Seen::Failed(error)
            }
        };
        let failed = matches!(&seen, Seen::Failed(error) if error.kind != ErrorKind::NotFound);
        let kept = self.applications.keep(Note::Look, attempt, &seen).await;
        self.metrics.tell(&event.context, begun, &Outcome { failed: failed || kept.is_err(), ended: None });
        kept
    }

    async fn act(&self, attempt: Attempt, act: Act) -> Result<Look> {
        match act {
            Act::Begin => {
                let order: Option<Order> = self.applications.ordered(attempt).await?;
                let none =
                    || Error::new(ErrorKind::NotFound, "the job has ordered nothing").of_job(attempt.job);
                self.service.begin(&order.ok_or_else(none)?).await?;
                Ok(Look::running())
            }
            Act::Look => self.service.look(attempt).await,
            Act::Cancel => {
                self.service.cancel(attempt).await?;
                Ok(Look::running())
            }
        }
    }
}

/// The function, where orchestration sees a service.
#[cfg(feature = "lambda-http")]
pub(crate) struct LauncherFunction {
    client: FunctionClient,
    function: String,
    applications: Applications,
    on: String,
}

#[cfg(feature = "lambda-http")]
impl LauncherFunction {
    /// The function that the settings name, if any.
    ///
    /// # Errors
    /// `InvalidRequest` where the environment names no region or its variables do not go together.
    pub fn named(settings: &Settings, applications: &Applications) -> Result<Option<LauncherFunction>> {
        let function = settings.functions.spark_launcher.clone();
        if function.is_empty() {
            return Ok(None);
        }
        Ok(Some(LauncherFunction {
            client: FunctionClient::new(&settings.aws)?,
            function,
            applications: applications.clone(),
            on: settings.emr.on.clone(),
        }))
    }

    async fn ask(&self, attempt: Attempt, act: Act) -> Result<Look> {
        self.client.ask(&self.function, &SparkEvent { attempt, act }).await?;
        let unseen = || {
            let detail = format!("the function {} left no word of the application", self.function);
            Error::new(ErrorKind::Overloaded, detail).of_job(attempt.job)
        };
        match self.applications.kept(Note::Look, attempt).await?.ok_or_else(unseen)? {
            Seen::Application(look) => Ok(look),
            Seen::Failed(error) => Err(error),
        }
    }
}

#[cfg(feature = "lambda-http")]
#[async_trait]
impl Service for LauncherFunction {
    fn name(&self) -> String {
        match self.on.as_str() {
            "serverless" => "spark on EMR Serverless".into(),
            _ => "spark on EMR".into(),
        }
    }

    fn size(&self, asked: Option<&SparkConfig>, bytes: u64) -> Sizing {
        match self.on.as_str() {
            "serverless" => caudal_spark::serverless_size(asked, bytes),
            _ => caudal_spark::steps_size(asked, bytes),
        }
    }

    async fn begin(&self, order: &Order) -> Result<()> {
        self.ask(order.attempt, Act::Begin).await.map(drop)
    }

    async fn look(&self, attempt: Attempt) -> Result<Look> {
        self.ask(attempt, Act::Look).await
    }

    async fn cancel(&self, attempt: Attempt) -> Result<()> {
        self.ask(attempt, Act::Cancel).await.map(drop)
    }
}
