//! EMR Serverless: one job run for each attempt, made once by its client token.

use std::sync::Arc;

use async_trait::async_trait;
use caudal_aws::{AwsClient, Call, Refusal, Service as AwsService};
use caudal_core::request::SparkConfig;
use caudal_core::results::SparkBill;
use caudal_core::{Error, ErrorKind, Result};
use caudal_storage::{Applications, Attempt, Note};
use chrono::{DateTime, Utc};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Look, Order, Service, Stage, steps_size};
use crate::sizing::Sizing;

/// Cores of a worker, and the GB that it has at least and at most (EMR Serverless, "Worker configurations").
const WORKERS: [(u32, u64, u64); 5] = [(1, 2, 8), (2, 4, 16), (4, 8, 30), (8, 16, 60), (16, 32, 120)];

/// What Spark puts on top of an executor's memory, of 10.
const OVERHEAD_TENTHS: u64 = 11;

const MB_PER_GB: u64 = 1024;

/// Where job runs are made.
#[derive(Clone, Debug)]
pub struct ServerlessPlace {
    pub application: String,
    /// The role that they have.
    pub role: String,
    /// After which they are ended.
    pub minutes: u32,
    /// Dollars for an hour of a core, of a GB of memory and of a GB of disk.
    pub prices: [f64; 3],
}

/// Job runs of one application.
pub struct EmrServerless {
    client: Arc<AwsClient>,
    applications: Applications,
    place: ServerlessPlace,
}

/// By which a job run is known.
#[derive(Debug, Serialize, Deserialize)]
struct Started {
    run: String,
}

impl EmrServerless {
    pub fn new(client: Arc<AwsClient>, applications: Applications, place: ServerlessPlace) -> Self {
        EmrServerless { client, applications, place }
    }

    fn path(&self, run: &str) -> String {
        format!("/applications/{}/jobruns{run}", self.place.application)
    }

    /// The same order gives the same request, and so the same run.
    fn request(&self, order: &Order) -> Value {
        let mut parameters = vec![
            "--class caudal.Job".to_owned(),
            conf("spark.driver.cores", "1"),
            conf("spark.driver.memory", &order.driver_memory),
            conf("spark.driver.extraJavaOptions", &order.java_options),
        ];
        parameters.extend(order.conf.iter().map(|(name, value)| conf(name, value)));
        json!({
            "clientToken": order.name,
            "name": order.name,
            "executionRoleArn": self.place.role,
            "executionTimeoutMinutes": self.place.minutes,
            "jobDriver": {"sparkSubmit": {
                "entryPoint": order.jar,
                "entryPointArguments": [order.spec],
                "sparkSubmitParameters": parameters.join(" "),
            }},
            "configurationOverrides": {"monitoringConfiguration": {
                "s3MonitoringConfiguration": {"logUri": order.logs},
            }},
        })
    }

    async fn submit(&self, order: &Order) -> Result<String> {
        let call = Call::json(AwsService::EMR_SERVERLESS, Method::POST, self.path(""), &self.request(order));
        let answer = self.client.call(&call).await.and_then(|answer| answer.json());
        let answer = answer.map_err(|e| unavailable(&e, "the job run cannot be started"))?;
        let run = text(&answer["jobRunId"]).ok_or_else(|| odd("started no job run"))?;
        self.applications.keep(Note::Started, order.attempt, &Started { run: run.clone() }).await?;
        Ok(run)
    }

    async fn run_of(&self, attempt: Attempt) -> Result<String> {
        if let Some(Started { run }) = self.applications.kept(Note::Started, attempt).await? {
            return Ok(run);
        }
        let order = self.applications.ordered(attempt).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("job {} has started no job run", attempt.job))
        })?;
        self.submit(&order).await
    }

    fn seen(&self, run: &Value) -> Look {
        let stage = match run["state"].as_str() {
            Some("SUCCESS") => Stage::Succeeded,
            Some("FAILED" | "CANCELLED") => Stage::Failed,
            _ => Stage::Running,
        };
        let ended =
            (stage != Stage::Running).then(|| moment(&run["endedAt"]).or_else(|| moment(&run["updatedAt"])));
        Look {
            stage,
            told: text(&run["stateDetails"]).filter(|told| !told.is_empty()),
            ended_at: ended.flatten(),
            logs: text(&run["jobRunId"])
                .map(|id| format!("applications/{}/jobs/{id}/SPARK_DRIVER", self.place.application)),
            bill: self.bill(&run["billedResourceUtilization"]),
        }
    }

    fn bill(&self, billed: &Value) -> Option<SparkBill> {
        let [cores, memory, disk] = self.place.prices;
        let hours = |name: &str| billed[name].as_f64();
        let (vcpu_hours, memory_gb_hours) = (hours("vCPUHour")?, hours("memoryGBHour")?);
        let storage_gb_hours = hours("storageGBHour").unwrap_or(0.0);
        Some(SparkBill {
            vcpu_hours,
            memory_gb_hours,
            storage_gb_hours,
            usd: vcpu_hours * cores + memory_gb_hours * memory + storage_gb_hours * disk,
        })
    }
}

#[async_trait]
impl Service for EmrServerless {
    fn name(&self) -> String {
        format!("spark on EMR Serverless {}", self.place.application)
    }

    fn size(&self, asked: Option<&SparkConfig>, bytes: u64) -> Sizing {
        serverless_size(asked, bytes)
    }

    async fn begin(&self, order: &Order) -> Result<()> {
        match self.applications.kept::<Started>(Note::Started, order.attempt).await? {
            Some(_) => Ok(()),
            None => self.submit(order).await.map(drop),
        }
    }

    async fn look(&self, attempt: Attempt) -> Result<Look> {
        let run = self.run_of(attempt).await?;
        let path = self.path(&format!("/{run}"));
        let call = Call::json(AwsService::EMR_SERVERLESS, Method::GET, path, &Value::Null);
        let answer = self.client.call(&call).await.and_then(|answer| answer.json());
        let answer = answer.map_err(|e| unavailable(&e, "the job run cannot be looked at"))?;
        Ok(self.seen(&answer["jobRun"]))
    }

    async fn cancel(&self, attempt: Attempt) -> Result<()> {
        let run = self.run_of(attempt).await?;
        let path = self.path(&format!("/{run}"));
        let call = Call::json(AwsService::EMR_SERVERLESS, Method::DELETE, path, &Value::Null);
        match self.client.call(&call).await {
            Ok(_) => Ok(()),
            // It has ended already.
            Err(refusal) if refusal.code() == "ValidationException" => Ok(()),
            Err(refusal) => Err(unavailable(&refusal, "the job run cannot be cancelled")),
        }
    }
}

/// The size of an application there.
pub fn serverless_size(asked: Option<&SparkConfig>, bytes: u64) -> Sizing {
    let mut sizing = steps_size(asked, bytes);
    fit(&mut sizing);
    sizing
}

/// An option of spark-submit, as a shell would be told it.
fn conf(name: &str, value: &str) -> String {
    match value.contains(' ') {
        true => format!("--conf \"{name}={value}\""),
        false => format!("--conf {name}={value}"),
    }
}

/// Workers come in sizes: cores are rounded up to one, and memory is kept within what that may have.
fn fit(sizing: &mut Sizing) {
    let found = |sizing: &Sizing, name: &str| {
        sizing.conf.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
    };
    let asked_cores = found(sizing, "spark.executor.cores").and_then(|cores| cores.parse().ok()).unwrap_or(4);
    let asked_mb: u64 = found(sizing, "spark.executor.memory")
        .and_then(|memory| memory.strip_suffix('m')?.parse().ok())
        .unwrap_or(0);
    let (cores, least, most) = WORKERS.into_iter().find(|(c, ..)| *c >= asked_cores).unwrap_or(WORKERS[4]);
    let without_overhead = |gb: u64| gb * MB_PER_GB * 10 / OVERHEAD_TENTHS;
    let memory = asked_mb.clamp(without_overhead(least), without_overhead(most));
    for (key, value) in &mut sizing.conf {
        match *key {
            "spark.executor.cores" => *value = cores.to_string(),
            "spark.executor.memory" => *value = format!("{memory}m"),
            _ => {}
        }
    }
    if (cores, memory) != (asked_cores, asked_mb) {
        sizing.reasons.push(format!(
            "workers of {cores} cores with {memory} MB: EMR Serverless has {least} to {most} GB for {cores}, overhead included"
        ));
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// AWS's JSON has seconds since 1970.
pub(super) fn moment(value: &Value) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis((value.as_f64()? * 1e3) as i64)
}

pub(super) fn unavailable(refusal: &Refusal, what: &str) -> Error {
    refusal.explain(ErrorKind::UnavailableEngine, what)
}

pub(super) fn odd(what: &str) -> Error {
    Error::new(ErrorKind::UnavailableEngine, format!("AWS {what} and did not say why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_get_a_size_that_the_service_has() {
        for (cores, memory, expected) in
            [(1, "1g", (1, 1861)), (3, "2g", (4, 7447)), (2, "32g", (2, 14894)), (8, "16g", (8, 16384))]
        {
            let asked = SparkConfig {
                executor_cores: Some(cores),
                executor_memory: Some(memory.into()),
                ..SparkConfig::default()
            };
            let sizing = serverless_size(Some(&asked), 0);
            let value = |name| sizing.conf.iter().find(|(key, _)| *key == name).unwrap().1.clone();
            assert_eq!(value("spark.executor.cores"), expected.0.to_string());
            assert_eq!(value("spark.executor.memory"), format!("{}m", expected.1));
        }
    }
}
