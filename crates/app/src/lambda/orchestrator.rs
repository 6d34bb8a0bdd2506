//! The function `orchestrator`: the API's router, and the four actors over one job at a time.

use std::sync::Arc;

use caudal_core::{Error, ErrorKind, JobId, Result};
use caudal_orchestration::JobResult;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service};
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde_json::Value;

use super::event::Event;
use super::metrics::{Metrics, Outcome};
use crate::compose::App;
use crate::server::{self, Reach};
use crate::settings::{AuthRequired, Overrides, Settings};

/// Serves invocations until AWS ends the process.
///
/// # Errors
/// What keeps it from starting: a setting, or the bucket.
pub async fn orchestrator() -> std::result::Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let settings = Settings::load(&Overrides::default())?;
    let app = App::start(&settings, false).await?;
    let metrics = Metrics::new(settings.functions.service.clone(), settings.prices.clone());
    let (_open, closing) = tokio::sync::watch::channel(false);
    // Whoever may not call at all the authorizer has turned away; what a caller may do is looked at here.
    let reach =
        Reach { required: settings.auth.required == AuthRequired::Always, own: false, streams: false };
    let function =
        Arc::new(Function { router: server::router(&app, &settings, reach, closing)?, app, metrics });
    let handle = move |event: LambdaEvent<Value>| {
        let function = function.clone();
        async move { function.invoked(event).await.map_err(lambda_runtime::Error::from) }
    };
    lambda_runtime::run(service_fn(handle)).await
}

struct Function {
    app: App,
    router: axum::Router,
    metrics: Metrics,
}

impl Function {
    async fn invoked(&self, event: LambdaEvent<Value>) -> Result<Value> {
        let begun = self.metrics.now();
        let LambdaEvent { payload, context } = event;
        let mut outcome = Outcome::default();
        let answer = self.handle(payload, &context, &mut outcome).await;
        if let Err(error) = &answer {
            tracing::error!(%error, cause = error.cause, "the invocation failed");
        }
        outcome.failed |= answer.is_err();
        self.metrics.tell(&context, begun, &outcome);
        answer
    }

    async fn handle(&self, event: Value, context: &Context, outcome: &mut Outcome) -> Result<Value> {
        match Event::read(&event)? {
            Event::Http => {
                let answer = self.http(event, context.clone()).await?;
                outcome.failed = answer["statusCode"].as_u64().is_some_and(|status| status >= 500);
                Ok(answer)
            }
            Event::Resume(job) => self.resume(job, outcome).await,
            Event::Sweep => self.sweep().await,
        }
    }

    async fn http(&self, event: Value, context: Context) -> Result<Value> {
        let unreadable = |e: serde_json::Error| {
            Error::new(ErrorKind::MalformedRequest, "the event is no request of API Gateway").cause(e)
        };
        let payload: LambdaRequest = serde_json::from_str(&event.to_string()).map_err(unreadable)?;
        let answer = Adapter::from(self.router.clone()).call(LambdaEvent { payload, context }).await;
        // The router answers everything, so this cannot fail.
        let answer = answer.unwrap_or_else(|never| match never {});
        serde_json::to_value(answer)
            .map_err(|e| Error::new(ErrorKind::Internal, "unwritable answer").cause(e))
    }

    async fn resume(&self, job: JobId, outcome: &mut Outcome) -> Result<Value> {
        // What cannot be found out shows itself while the job is carried.
        if self.app.is_waiting(job).await.unwrap_or(false) {
            tracing::info!(%job, "the job waits for its application on Spark");
            return Ok(Value::Null);
        }
        let Some(result) = self.app.orchestrator.carry(job).await? else {
            tracing::info!(%job, "another invocation has the job, it has ended, or it waits for Spark");
            return Ok(Value::Null);
        };
        outcome.ended = Some(job);
        if let JobResult::Ended(status) = &*result {
            outcome.failed = status.error.as_ref().is_some_and(|error| error.kind == ErrorKind::Internal);
        }
        Ok(Value::Null)
    }

    /// Gives every abandoned job an invocation of its own.
    async fn sweep(&self) -> Result<Value> {
        let abandoned = self.app.orchestrator.abandoned().await?;
        for job in &abandoned {
            tracing::warn!(%job, "nobody works on the job");
            self.app.hand_over(*job).await?;
        }
        Ok(serde_json::json!({"taken_up": abandoned.len()}))
    }
}
