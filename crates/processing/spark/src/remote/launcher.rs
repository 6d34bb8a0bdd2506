//! The launcher over a service: puts into the bucket what the application needs, and reads there what it said.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::ports::Clock;
use caudal_core::request::SparkConfig;
use caudal_core::results::SparkBill;
use caudal_core::spark::SparkSurvey;
use caudal_core::{Error, ErrorKind, Result};
use caudal_storage::{Applications, Attempt};
use flate2::read::GzDecoder;

use super::order::attempt_of;
use super::{Look, Order, Service, Stage};
use crate::events::Event;
use crate::jar;
use crate::launcher::{Failure, Launcher, Phase, Status, Submission};
use crate::sizing::Sizing;

/// Bytes of a log that are kept, and the most that one is unpacked to.
const LOG_KEPT: usize = 4 << 20;
const LOG_READ: u64 = 256 << 20;

/// What services call a driver's output.
const STDOUT: &str = "stdout.gz";
const STDERR: &str = "stderr.gz";

#[derive(Clone, Copy, Debug)]
pub struct RemoteOptions {
    /// How old a look may be until the service is asked again.
    pub look: Duration,
    /// How long a failed application's log is waited for; the reason is in it.
    pub log: Duration,
    /// Whether somebody wakes the job when its application ends, so that nobody need wait for it.
    pub wakes: bool,
}

/// Applications on a service.
pub struct Remote {
    service: Arc<dyn Service>,
    applications: Applications,
    clock: Arc<dyn Clock>,
    options: RemoteOptions,
    /// When each application was looked at, and what was seen.
    looks: Mutex<HashMap<Attempt, (Duration, Look)>>,
}

impl Remote {
    pub fn new(
        service: Arc<dyn Service>,
        applications: Applications,
        clock: Arc<dyn Clock>,
        options: RemoteOptions,
    ) -> Remote {
        Remote { service, applications, clock, options, looks: Mutex::default() }
    }

    fn looks(&self) -> MutexGuard<'_, HashMap<Attempt, (Duration, Look)>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look that is new enough. What was ordered and never begun is begun now.
    async fn look(&self, attempt: Attempt) -> Result<Look> {
        let seen = self.looks().get(&attempt).cloned();
        if let Some((at, look)) = seen
            && (self.clock.monotonic().saturating_sub(at) < self.options.look || look.stage != Stage::Running)
        {
            return Ok(look);
        }
        let look = match self.service.look(attempt).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                let order: Order = self.applications.ordered(attempt).await?.ok_or(error)?;
                self.service.begin(&order).await?;
                Look::running()
            }
            looked => looked?,
        };
        self.looks().insert(attempt, (self.clock.monotonic(), look.clone()));
        Ok(look)
    }

    /// One of the logs, unpacked.
    async fn unpacked(&self, look: &Look, name: &str) -> Result<Option<Vec<u8>>> {
        let Some(folder) = &look.logs else { return Ok(None) };
        let Some(packed) = self.applications.log(folder, name).await? else { return Ok(None) };
        let mut content = Vec::new();
        // One that breaks off is read as far as it goes.
        let _ = GzDecoder::new(&*packed).take(LOG_READ).read_to_end(&mut content);
        Ok(Some(content))
    }

    /// Why an application failed; `None` while its log may still come.
    async fn failure(&self, look: &Look) -> Result<Option<Failure>> {
        let said = self.unpacked(look, STDOUT).await?;
        let late = look.ended_at.is_none_or(|at| {
            self.clock.now().signed_duration_since(at).to_std().is_ok_and(|since| since >= self.options.log)
        });
        if said.is_none() && !late {
            return Ok(None);
        }
        let mut failure = Failure { told: look.told.clone(), ..Failure::default() };
        for line in String::from_utf8_lossy(&said.unwrap_or_default()).lines() {
            match Event::of(line) {
                Some(Event::Fault(fault)) => failure.fault = Some(fault),
                Some(Event::ExecutorLost { reason }) => failure.lost.push(reason),
                _ => {}
            }
        }
        Ok(Some(failure))
    }
}

#[async_trait]
impl Launcher for Remote {
    async fn survey(&self, asked: Option<&SparkConfig>) -> Result<SparkSurvey> {
        let sizing = self.service.size(asked, 0);
        Ok(SparkSurvey { name: self.service.name(), cores: sizing.cores, local: false })
    }

    async fn size(&self, asked: Option<&SparkConfig>, bytes: u64) -> Result<Sizing> {
        Ok(self.service.size(asked, bytes))
    }

    async fn start(&self, submission: &Submission) -> Result<()> {
        let attempt = attempt_of(&submission.name)?;
        let order = match self.applications.ordered(attempt).await? {
            Some(order) => order,
            None => {
                let (hash, content) = jar::embedded();
                let jar = self.applications.jar(&hash, content).await?;
                let spec = serde_json::to_vec_pretty(&submission.spec)
                    .map_err(|e| Error::new(ErrorKind::Internal, "the job cannot be described").cause(e))?;
                let spec = self.applications.put_spec(attempt, spec).await?;
                let order = Order::new(submission, attempt, jar, spec, self.applications.logs_uri());
                self.applications.order(attempt, order).await?
            }
        };
        match self.service.begin(&order).await {
            // It is ordered, and every look begins it that finds it not begun.
            Err(error) if error.kind.is_retryable() => {
                tracing::warn!(name = order.name, %error, cause = error.cause, "the application begins later");
                Ok(())
            }
            begun => begun,
        }
    }

    async fn status(&self, name: &str) -> Result<Status> {
        let look = self.look(attempt_of(name)?).await?;
        let phase = match look.stage {
            Stage::Running => Phase::Running,
            Stage::Succeeded => Phase::Succeeded,
            Stage::Failed => self.failure(&look).await?.map_or(Phase::Running, Phase::Failed),
        };
        Ok(Status { phase, progress: None })
    }

    async fn cancel(&self, name: &str) -> Result<()> {
        let attempt = attempt_of(name)?;
        self.looks().remove(&attempt);
        self.service.cancel(attempt).await
    }

    async fn log(&self, name: &str) -> Vec<u8> {
        let Ok(attempt) = attempt_of(name) else { return Vec::new() };
        let Ok(look) = self.look(attempt).await else { return Vec::new() };
        let mut log = Vec::new();
        for part in [STDERR, STDOUT] {
            // What is not there, or not yet, is no reason to fail a job.
            log.append(&mut self.unpacked(&look, part).await.ok().flatten().unwrap_or_default());
        }
        log.split_off(log.len().saturating_sub(LOG_KEPT))
    }

    /// What it left in the bucket goes with its job; only that it is known goes now.
    async fn forget(&self, name: &str) {
        let Ok(attempt) = attempt_of(name) else { return };
        self.looks().remove(&attempt);
        if let Err(error) = self.applications.forget(attempt).await {
            tracing::warn!(name, %error, cause = error.cause, "an ended application is still known");
        }
    }

    async fn knows(&self, name: &str) -> Result<bool> {
        let ordered: Option<Order> = self.applications.ordered(attempt_of(name)?).await?;
        Ok(ordered.is_some())
    }

    fn reaches(&self, uri: &str) -> bool {
        self.applications.reaches(uri)
    }

    fn wakes(&self) -> bool {
        self.options.wakes
    }

    async fn bill(&self, name: &str) -> Option<SparkBill> {
        self.look(attempt_of(name).ok()?).await.ok()?.bill
    }
}
