//! The stand-in, places on it, and waits with an end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use caudal_aws::{AwsClient, Call, Refusal, Service as Aws};
use caudal_core::JobId;
use caudal_core::ports::{Clock, Ids};
use caudal_spark::{
    ClusterChoice, EmrServerless, EmrSteps, JobSpec, Launcher, Look, Order, Phase, Remote, RemoteOptions,
    ServerlessPlace, Service, Sizing, SpecOutput, SpecSource, StepsPlace, Submission, TransientCluster,
    serverless_size,
};
use caudal_storage::{Applications, Attempt, Bucket};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Serverless,
    Steps,
    Transient,
}

/// How long an adder of a step is believed to be at it.
const INTENT: Duration = Duration::from_secs(3);

pub struct Stand {
    process: Child,
    folder: TempDir,
    url: String,
}

impl Drop for Stand {
    fn drop(&mut self) {
        // One that has ended by itself is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Stand {
    /// A stand-in whose spark-submit does what the mode says; `None`, and a word about it, where there is no Python.
    pub fn new(mode: &str, options: &[&str]) -> Option<Stand> {
        let python = Command::new("python3").arg("--version").output();
        if !python.is_ok_and(|done| done.status.success()) {
            eprintln!("skipped: python3 is not here, and the stand-in for EMR is written in it");
            return None;
        }
        let folder = TempDir::new().expect("a folder");
        let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"));
        let submit = match mode {
            "by-id" => format!(
                "#!/bin/sh\necho >> {}/starts\nfor last; do :; done\ncase $last in *0/attempts/*) exit 1;; esac\n",
                folder.path().display()
            ),
            mode => format!(
                "#!/bin/sh\nCAUDAL_DOUBLE={mode} CAUDAL_DOUBLE_STARTS={}/starts exec {} \"$@\"\n",
                folder.path().display(),
                root.join("tests/double/spark-submit").display()
            ),
        };
        let mut command = Command::new("python3");
        command.arg(root.join("../../../stands/fake_emr")).args(["--step-seconds", "0.01"]).args(options);
        command.arg("--spark-submit").arg(program(folder.path(), &submit));
        command.arg("--work").arg(folder.path().join("work"));
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the stand-in starts");
        let mut said = String::new();
        BufReader::new(process.stdout.take().expect("a pipe"))
            .read_line(&mut said)
            .expect("it says something");
        let url =
            said.split(' ').find(|word| word.starts_with("http://")).expect("an address").trim().to_owned();
        Some(Stand { process, folder, url })
    }

    fn client(&self) -> AwsClient {
        let variables = [
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_ENDPOINT_URL_EMR", &self.url),
            ("AWS_ENDPOINT_URL_EMR_SERVERLESS", &self.url),
        ];
        let variables: Vec<_> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        AwsClient::new(&variables).expect("a client")
    }

    /// A fresh application, cluster, or neither, with a bucket of its own.
    pub async fn place(&self, kind: Kind) -> Place<'_> {
        let bucket = TempDir::new_in(self.folder.path()).expect("a folder");
        let logs = format!("file://{}/logs/spark/", bucket.path().display());
        let client = self.client();
        let target = match kind {
            Kind::Serverless => {
                let body =
                    json!({"releaseLabel": "emr-6.15.0", "type": "SPARK", "clientToken": Real.entry_id()});
                let call = Call::json(Aws::EMR_SERVERLESS, Method::POST, "/applications", &body);
                called(&client, &call).await["applicationId"].clone()
            }
            Kind::Steps => {
                let instances = json!({"KeepJobFlowAliveWhenNoSteps": true});
                let body =
                    json!({"Name": "c", "LogUri": logs, "Instances": instances, "StepConcurrencyLevel": 8});
                called(&client, &emr("RunJobFlow", &body)).await["JobFlowId"].clone()
            }
            Kind::Transient => Value::Null,
        };
        Place { stand: self, kind, target: target.as_str().unwrap_or_default().into(), bucket }
    }

    /// A place that the stand-in does not have.
    pub fn nowhere(&self, kind: Kind) -> Place<'_> {
        let bucket = TempDir::new_in(self.folder.path()).expect("a folder");
        Place { stand: self, kind, target: "j-none".into(), bucket }
    }
}

pub struct Place<'s> {
    stand: &'s Stand,
    kind: Kind,
    target: String,
    bucket: TempDir,
}

impl Place<'_> {
    fn applications(&self) -> Applications {
        Applications::new(Bucket::open_folder(self.bucket.path()).expect("a bucket"))
    }

    fn service(&self) -> Arc<dyn Service> {
        let (client, applications) = (Arc::new(self.stand.client()), self.applications());
        let real = Arc::new(Real);
        let cluster = match self.kind {
            Kind::Serverless => {
                let place = ServerlessPlace {
                    application: self.target.clone(),
                    role: "arn:aws:iam::123456789012:role/r".into(),
                    minutes: 5,
                    prices: [0.05, 0.006, 0.0001],
                };
                return Arc::new(EmrServerless::new(client, applications, place));
            }
            Kind::Steps => ClusterChoice::Running(self.target.clone()),
            Kind::Transient => ClusterChoice::Transient(Box::new(TransientCluster {
                release: "emr-6.15.0".into(),
                service_role: "service".into(),
                instance_profile: "profile".into(),
                subnet: "subnet-1".into(),
                master_type: "m5.xlarge".into(),
                core_type: "m5.xlarge".into(),
                core_count: 2,
            })),
        };
        Arc::new(EmrSteps::new(
            client,
            applications,
            StepsPlace { cluster, intent: INTENT },
            real.clone(),
            real,
        ))
    }

    /// As another process would have it.
    pub fn launcher(&self) -> Remote {
        self.with(self.service())
    }

    fn with(&self, service: Arc<dyn Service>) -> Remote {
        let options = RemoteOptions { look: Duration::ZERO, log: Duration::from_secs(30), wakes: false };
        Remote::new(service, self.applications(), Arc::new(Real), options)
    }

    /// What a process leaves that dies after it has ordered and before it has begun.
    pub async fn only_ordered(&self, submission: &Submission) {
        self.with(Arc::new(Dead)).start(submission).await.expect("it is ordered");
    }

    /// The names of all applications that the service has for this place.
    pub async fn known(&self) -> Vec<String> {
        let client = self.stand.client();
        let mut names = Vec::new();
        match self.kind {
            Kind::Serverless => {
                let path = format!("/applications/{}/jobruns?maxResults=1000", self.target);
                let call = Call::json(Aws::EMR_SERVERLESS, Method::GET, path, &Value::Null);
                names.extend(named(&called(&client, &call).await["jobRuns"], "name"));
            }
            Kind::Steps => {
                let mut body = json!({"ClusterId": self.target});
                loop {
                    let page = called(&client, &emr("ListSteps", &body)).await;
                    names.extend(named(&page["Steps"], "Name"));
                    if page["Marker"].is_null() {
                        break;
                    }
                    body["Marker"] = page["Marker"].clone();
                }
            }
            Kind::Transient => {
                let page = called(&client, &emr("ListClusters", &json!({}))).await;
                let ours = fs::read_dir(self.bucket.path().join("jobs")).expect("jobs");
                let ours: Vec<String> =
                    ours.flatten().map(|job| job.file_name().to_string_lossy().into_owned()).collect();
                let all = named(&page["Clusters"], "Name");
                names.extend(
                    all.into_iter().filter(|name| ours.iter().any(|job| name.contains(job.as_str()))),
                );
            }
        }
        names
    }

    /// Until spark-submit has been called so often in all.
    pub async fn until_started(&self, times: usize) {
        let starts = || fs::read_to_string(self.stand.folder.path().join("starts")).unwrap_or_default();
        for _ in 0..3000 {
            if starts().lines().count() >= times {
                return;
            }
            moment().await;
        }
        panic!("spark-submit was not called");
    }
}

/// This machine's clock, and new identities.
struct Real;

#[expect(clippy::disallowed_methods, reason = "these are the ports' real ends")]
impl Clock for Real {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.now().timestamp_millis().try_into().map(Duration::from_millis).expect("after 1970")
    }
}

#[expect(clippy::disallowed_methods, reason = "these are the ports' real ends")]
impl Ids for Real {
    fn job_id(&self) -> JobId {
        JobId(uuid::Uuid::now_v7())
    }

    fn entry_id(&self) -> uuid::Uuid {
        uuid::Uuid::now_v7()
    }
}

/// Takes an order and dies over it.
struct Dead;

#[async_trait::async_trait]
impl Service for Dead {
    fn name(&self) -> String {
        "nothing".into()
    }

    fn size(&self, asked: Option<&caudal_core::request::SparkConfig>, bytes: u64) -> Sizing {
        serverless_size(asked, bytes)
    }

    async fn begin(&self, _: &Order) -> caudal_core::Result<()> {
        Err(caudal_core::Error::new(caudal_core::ErrorKind::Overloaded, "the process dies"))
    }

    async fn look(&self, _: Attempt) -> caudal_core::Result<Look> {
        Ok(Look::running())
    }

    async fn cancel(&self, _: Attempt) -> caudal_core::Result<()> {
        Ok(())
    }
}

fn named(list: &Value, field: &str) -> Vec<String> {
    let items = list.as_array().cloned().unwrap_or_default();
    items.iter().filter_map(|item| item[field].as_str().map(str::to_owned)).collect()
}

fn emr(operation: &str, body: &Value) -> Call {
    Call::target(Aws::EMR, &format!("ElasticMapReduce.{operation}"), body)
}

async fn called(client: &AwsClient, call: &Call) -> Value {
    let answer: Result<Value, Refusal> = client.call(call).await.and_then(|answer| answer.json());
    answer.expect("the stand-in answers")
}

fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("spark-submit");
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
    path
}

/// The name of the first attempt of a new job whose id ends with this digit.
pub fn application(digit: usize) -> String {
    let id = Real.entry_id().to_string();
    format!("caudal-{}{digit}-spark-1", &id[..id.len() - 1])
}

/// Whether the stand-in's spark-submit fails for an application, where it goes by the id.
pub fn fails(name: &str) -> bool {
    name.contains("0-spark-")
}

/// What the application is told, with little in it: the double reads only where it is.
pub fn submission(name: &str) -> Submission {
    let (job, attempt) =
        name.strip_prefix("caudal-").and_then(|name| name.split_once("-spark-")).expect("a name");
    let job: JobId = job.parse().expect("an id");
    let spec = JobSpec {
        job_id: job.to_string(),
        attempt: attempt.parse().expect("a number"),
        source: SpecSource { uris: vec!["file:///nowhere".into()], format: "csv", columns: None },
        normalization: "zscore",
        statistics: "full",
        pipelines: vec!["rdd"],
        output: SpecOutput { uri: "file:///nowhere".into(), format: "parquet" },
        results_uri: "file:///nowhere/results.json".into(),
        max_in_memory_json_elements: 1_000_000,
    };
    Submission { name: name.into(), spec, sizing: serverless_size(None, 0) }
}

pub async fn moment() {
    tokio::time::sleep(Duration::from_millis(60)).await;
}

/// How an application ended.
pub async fn ended(launcher: &dyn Launcher, name: &str) -> Phase {
    for _ in 0..3000 {
        match launcher.status(name).await {
            Ok(status) if status.phase == Phase::Running => moment().await,
            // Refused for now: whoever follows looks again.
            Err(error) if error.kind.is_retryable() => moment().await,
            looked => return looked.expect("it is known").phase,
        }
    }
    panic!("{name} runs on");
}
