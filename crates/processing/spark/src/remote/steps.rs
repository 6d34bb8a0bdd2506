//! EMR on EC2: one step for each attempt, on a running cluster or on one that is started for it.
//!
//! EMR takes no client token, so whoever is about to add a step says so first, by an intent that only one can create. A
//! step whose adder fell silent is looked for by its name before anybody else may add it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use caudal_aws::{AwsClient, Call, Refusal, Service as AwsService};
use caudal_core::ports::{Clock, Ids};
use caudal_core::request::SparkConfig;
use caudal_core::{Error, ErrorKind, Result};
use caudal_storage::{Applications, Attempt, Note};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::order::name_of;
use super::serverless::{moment, odd, unavailable};
use super::{Look, Order, Service, Stage, steps_size};
use crate::sizing::Sizing;

/// How far clocks may differ, for lists that go back to an intent.
const SKEW: chrono::TimeDelta = chrono::TimeDelta::minutes(15);

#[derive(Clone, Debug)]
pub struct StepsPlace {
    pub cluster: ClusterChoice,
    /// How long the one who said that it adds a step is waited for. Longer than a call may take.
    pub intent: Duration,
}

#[derive(Clone, Debug)]
pub enum ClusterChoice {
    Running(String),
    Transient(Box<TransientCluster>),
}

/// A cluster that lives for one application.
#[derive(Clone, Debug)]
pub struct TransientCluster {
    pub release: String,
    pub service_role: String,
    pub instance_profile: String,
    pub subnet: String,
    pub master_type: String,
    pub core_type: String,
    pub core_count: u32,
}

/// Steps on clusters.
pub struct EmrSteps {
    client: Arc<AwsClient>,
    applications: Applications,
    place: StepsPlace,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

/// By which a step is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Started {
    cluster: String,
    step: String,
}

/// That somebody adds the step, and until when that is to be believed.
#[derive(Debug, Serialize, Deserialize)]
struct Intent {
    by: uuid::Uuid,
    at: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl EmrSteps {
    pub fn new(
        client: Arc<AwsClient>,
        applications: Applications,
        place: StepsPlace,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        EmrSteps { client, applications, place, clock, ids }
    }

    async fn call(&self, operation: &str, body: &Value) -> Result<Value, Refusal> {
        self.client.call(&target(operation, body)).await?.json()
    }

    /// The step of an attempt; added where nobody has, unless somebody is about to.
    async fn settle(&self, order: &Order) -> Result<Option<Started>> {
        let attempt = order.attempt;
        loop {
            if let Some(started) = self.applications.kept(Note::Started, attempt).await? {
                return Ok(Some(started));
            }
            let newest = self.applications.intent::<Intent>(attempt).await?;
            let number = match &newest {
                None => 0,
                Some((number, intent)) => {
                    if let Some(found) = self.listed(attempt, intent.at).await? {
                        self.applications.keep(Note::Started, attempt, &found).await?;
                        return Ok(Some(found));
                    }
                    if intent.until > self.clock.now() {
                        return Ok(None);
                    }
                    number + 1
                }
            };
            let at = self.clock.now();
            let mine = Intent { by: self.ids.entry_id(), at, until: at + self.place.intent };
            if self.applications.intend(attempt, number, &mine).await? {
                return self.add(order, at).await;
            }
        }
    }

    /// Adds a step; `None` where nobody knows whether it was added, which the next look will show.
    async fn add(&self, order: &Order, intended: DateTime<Utc>) -> Result<Option<Started>> {
        let added = match &self.place.cluster {
            ClusterChoice::Running(cluster) => self.add_to(cluster, order).await,
            ClusterChoice::Transient(cluster) => self.start_for(cluster, order).await,
        };
        let started = match added {
            Ok(started) => started,
            Err(Refusal::Unclear { cause }) => {
                tracing::warn!(job = %order.attempt.job, cause, "a step may have been added");
                let Some(found) = self.listed(order.attempt, intended).await? else { return Ok(None) };
                found
            }
            Err(refusal) => return Err(unavailable(&refusal, "the step cannot be started")),
        };
        self.applications.keep(Note::Started, order.attempt, &started).await?;
        Ok(Some(started))
    }

    async fn add_to(&self, cluster: &str, order: &Order) -> Result<Started, Refusal> {
        let body = json!({"JobFlowId": cluster, "Steps": [step(order, "CONTINUE")]});
        let answer = self.client.call(&target("AddJobFlowSteps", &body).once()).await?.json()?;
        let step = answer["StepIds"][0].as_str();
        let step = step.ok_or_else(|| Refusal::Unclear { cause: format!("no step in {answer}") })?;
        Ok(Started { cluster: cluster.to_owned(), step: step.to_owned() })
    }

    async fn start_for(&self, cluster: &TransientCluster, order: &Order) -> Result<Started, Refusal> {
        let group = |role: &str, kind: &str, count: u32| json!({"Name": role.to_lowercase(), "InstanceRole": role, "InstanceType": kind, "InstanceCount": count});
        let body = json!({
            "Name": order.name,
            "ReleaseLabel": cluster.release,
            "Applications": [{"Name": "Spark"}],
            "ServiceRole": cluster.service_role,
            "JobFlowRole": cluster.instance_profile,
            "LogUri": order.logs,
            "VisibleToAllUsers": true,
            "Instances": {
                "KeepJobFlowAliveWhenNoSteps": false,
                "Ec2SubnetId": cluster.subnet,
                "InstanceGroups": [
                    group("MASTER", &cluster.master_type, 1),
                    group("CORE", &cluster.core_type, cluster.core_count),
                ],
            },
            "Steps": [step(order, "TERMINATE_CLUSTER")],
            "Tags": [{"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"}],
        });
        let answer = self.client.call(&target("RunJobFlow", &body).once()).await?.json()?;
        let unclear = || Refusal::Unclear { cause: format!("no cluster with a step in {answer}") };
        let started = answer["JobFlowId"].as_str().ok_or_else(unclear)?.to_owned();
        let step =
            self.step_on(&started, &order.name, DateTime::<Utc>::MIN_UTC).await?.ok_or_else(unclear)?;
        Ok(Started { cluster: started, step })
    }

    /// The step of an attempt, found by its name among those since the intent.
    async fn listed(&self, attempt: Attempt, intended: DateTime<Utc>) -> Result<Option<Started>> {
        let (name, since) = (name_of(attempt), intended - SKEW);
        let found = match &self.place.cluster {
            ClusterChoice::Running(cluster) => self
                .step_on(cluster, &name, since)
                .await
                .map(|step| step.map(|step| Started { cluster: cluster.clone(), step })),
            ClusterChoice::Transient(_) => self.on_its_own(&name, since).await,
        };
        found.map_err(|e| unavailable(&e, "the steps of the cluster cannot be listed"))
    }

    async fn step_on(
        &self,
        cluster: &str,
        name: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<String>, Refusal> {
        let body = json!({"ClusterId": cluster});
        self.find("ListSteps", body, "Steps", name, since).await
    }

    async fn on_its_own(&self, name: &str, since: DateTime<Utc>) -> Result<Option<Started>, Refusal> {
        let body = json!({"CreatedAfter": since.timestamp()});
        let Some(cluster) = self.find("ListClusters", body, "Clusters", name, since).await? else {
            return Ok(None);
        };
        let step = self.step_on(&cluster, name, since).await?;
        Ok(step.map(|step| Started { cluster, step }))
    }

    /// The id of what has a name, in a list whose newest come first.
    async fn find(
        &self,
        operation: &str,
        mut body: Value,
        list: &str,
        name: &str,
        since: DateTime<Utc>,
    ) -> Result<Option<String>, Refusal> {
        loop {
            let page = self.call(operation, &body).await?;
            let items = page[list].as_array().cloned().unwrap_or_default();
            let named = items.iter().find(|item| item["Name"] == name);
            if let Some(id) = named.and_then(|item| item["Id"].as_str()) {
                return Ok(Some(id.to_owned()));
            }
            let created = |item: &Value| moment(&item["Status"]["Timeline"]["CreationDateTime"]);
            let older = items.last().and_then(created).is_some_and(|at| at < since);
            if older || page["Marker"].is_null() {
                return Ok(None);
            }
            body["Marker"] = page["Marker"].clone();
        }
    }

    /// What was started for an attempt; `None` while somebody is about to.
    async fn started(&self, attempt: Attempt) -> Result<Option<Started>> {
        let order: Option<Order> = self.applications.ordered(attempt).await?;
        let unknown = || Error::new(ErrorKind::NotFound, format!("job {} has added no step", attempt.job));
        self.settle(&order.ok_or_else(unknown)?).await
    }

    /// Why a cluster ended, where it did before its step.
    async fn end_of(&self, cluster: &str) -> Option<String> {
        let described = self.call("DescribeCluster", &json!({"ClusterId": cluster})).await.ok()?;
        let status = &described["Cluster"]["Status"];
        let ended = status["State"].as_str().is_some_and(|state| state.starts_with("TERMINATED"));
        status["StateChangeReason"]["Message"]
            .as_str()
            .filter(|_| ended)
            .map(|why| format!("its cluster ended: {why}"))
    }
}

#[async_trait]
impl Service for EmrSteps {
    fn name(&self) -> String {
        match &self.place.cluster {
            ClusterChoice::Running(cluster) => format!("spark on the EMR cluster {cluster}"),
            ClusterChoice::Transient(cluster) => {
                format!("spark on an EMR cluster of its own ({} {})", cluster.core_count, cluster.core_type)
            }
        }
    }

    fn size(&self, asked: Option<&SparkConfig>, bytes: u64) -> Sizing {
        steps_size(asked, bytes)
    }

    async fn begin(&self, order: &Order) -> Result<()> {
        self.settle(order).await.map(drop)
    }

    async fn look(&self, attempt: Attempt) -> Result<Look> {
        let Some(started) = self.started(attempt).await? else { return Ok(Look::running()) };
        let body = json!({"ClusterId": started.cluster, "StepId": started.step});
        let described = self.call("DescribeStep", &body).await;
        let described = described.map_err(|e| unavailable(&e, "the step cannot be looked at"))?;
        let status = &described["Step"]["Status"];
        let stage = match status["State"].as_str().ok_or_else(|| odd("described no step"))? {
            "COMPLETED" => Stage::Succeeded,
            "FAILED" | "CANCELLED" | "INTERRUPTED" => Stage::Failed,
            _ => Stage::Running,
        };
        let details = &status["FailureDetails"];
        let said = ["Message", "Reason"].iter().find_map(|name| details[*name].as_str());
        let told = match (stage, said) {
            (Stage::Failed, None) => self.end_of(&started.cluster).await,
            (_, said) => said.map(str::to_owned),
        };
        Ok(Look {
            stage,
            told,
            ended_at: moment(&status["Timeline"]["EndDateTime"]),
            logs: Some(format!("{}/steps/{}", started.cluster, started.step)),
            bill: None,
        })
    }

    async fn cancel(&self, attempt: Attempt) -> Result<()> {
        let what = "the step cannot be cancelled";
        let Some(started) = self.started(attempt).await? else {
            return Err(Error::new(ErrorKind::Overloaded, format!("{what}: it is just being added")));
        };
        let done = match self.place.cluster {
            ClusterChoice::Running(_) => {
                let body = json!({
                    "ClusterId": started.cluster,
                    "StepIds": [started.step],
                    "StepCancellationOption": "TERMINATE_PROCESS",
                });
                self.call("CancelSteps", &body).await
            }
            ClusterChoice::Transient(_) => {
                self.call("TerminateJobFlows", &json!({"JobFlowIds": [started.cluster]})).await
            }
        };
        done.map(drop).map_err(|e| unavailable(&e, what))
    }
}

fn target(operation: &str, body: &Value) -> Call {
    Call::target(AwsService::EMR, &format!("ElasticMapReduce.{operation}"), body)
}

/// The driver runs on the primary node, where the step's log gets what it says.
fn step(order: &Order, on_failure: &str) -> Value {
    let mut arguments: Vec<String> = [
        "spark-submit",
        "--master",
        "yarn",
        "--deploy-mode",
        "client",
        "--name",
        &order.name,
        "--class",
        "caudal.Job",
        "--driver-memory",
        &order.driver_memory,
        "--driver-java-options",
        &order.java_options,
    ]
    .map(str::to_owned)
    .into();
    for (name, value) in &order.conf {
        arguments.extend(["--conf".to_owned(), format!("{name}={value}")]);
    }
    arguments.extend([order.jar.clone(), order.spec.clone()]);
    json!({
        "Name": order.name,
        "ActionOnFailure": on_failure,
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": arguments},
    })
}
