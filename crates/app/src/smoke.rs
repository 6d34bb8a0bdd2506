//! The main job against a deployed stack, and whether the deployment is as its template promises.

use std::time::Duration;

use bytes::Bytes;
use caudal_aws::{AwsClient, Call, Refusal, Service, xml};
use caudal_core::{Error, ErrorKind, Result};
use http::Method;
use serde_json::{Value, json};

use crate::settings::Settings;

/// How long the job may take, and the pause between two looks at it.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);

/// The alarms that a stack has at least.
const ALARMS: usize = 10;

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: &'static str,
    pub passed: bool,
    pub detail: String,
}

/// What a stack says of itself.
struct Stack {
    name: String,
    url: String,
    bucket: String,
    key: String,
}

struct Smoke<'t> {
    client: AwsClient,
    stack: Stack,
    checks: Vec<Check>,
    tell: &'t (dyn Fn(&Check) + Sync),
}

/// Checks everything; `tell` is told each check once it is done, and all are returned.
///
/// # Errors
/// What keeps the stack from being looked at: no credentials, no such stack.
pub async fn smoke(
    settings: &Settings,
    stack: &str,
    url: Option<&str>,
    tell: &(dyn Fn(&Check) + Sync),
) -> Result<Vec<Check>> {
    let client = AwsClient::new(settings.aws.all())?;
    let stack =
        described(&client, stack, url).await.map_err(|e| unseen(&e, "the stack cannot be looked at"))?;
    let stack = stack.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "the stack has no outputs Url, Bucket and FirstKey")
            .hint("is it one of infra/template.yaml, and is its deployment complete?")
    })?;
    let mut smoke = Smoke { client, stack, checks: Vec::new(), tell };
    smoke.everything().await.map_err(|e| unseen(&e, "the deployment cannot be looked at"))?;
    Ok(smoke.checks)
}

async fn described(
    client: &AwsClient,
    name: &str,
    url: Option<&str>,
) -> std::result::Result<Option<Stack>, Refusal> {
    let call = Call::form(Service::CLOUDFORMATION, "2010-05-15", "DescribeStacks", &[("StackName", name)]);
    let answer = client.call(&call).await?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let output = |wanted: &str| {
        let members = xml::contents(&text, "member");
        let found = members.into_iter().find(|m| xml::text(m, "OutputKey").as_deref() == Some(wanted))?;
        xml::text(found, "OutputValue")
    };
    let key = match output("FirstKey") {
        None => return Ok(None),
        Some(id) => {
            let path = format!("/apikeys/{id}?includeValue=true");
            let call = Call::json(Service::API_GATEWAY, Method::GET, path, &Value::Null);
            client.call(&call).await?.json()?["value"].as_str().map(str::to_owned)
        }
    };
    let (Some(own), Some(bucket), Some(key)) = (output("Url"), output("Bucket"), key) else {
        return Ok(None);
    };
    let url = url.map_or(own, str::to_owned).trim_end_matches('/').to_owned();
    Ok(Some(Stack { name: name.to_owned(), url, bucket, key }))
}

impl Smoke<'_> {
    fn check(&mut self, name: &'static str, passed: bool, detail: impl Into<String>) {
        let check = Check { name, passed, detail: detail.into() };
        (self.tell)(&check);
        self.checks.push(check);
    }

    async fn everything(&mut self) -> std::result::Result<(), Refusal> {
        let (status, _) = self.api(Method::GET, "/jobs", None, false).await?;
        self.check("key asked for", status == 403 || status == 401, format!("{status} without a key"));
        if let Some(job) = self.job().await? {
            self.objects(&job).await?;
        }
        self.bucket().await?;
        self.alarms().await
    }

    /// One request to the API; told to come back later, it does.
    async fn api(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        with_key: bool,
    ) -> std::result::Result<(u16, Value), Refusal> {
        let key = if with_key { self.stack.key.as_str() } else { "" };
        let headers = [("content-type", "application/json"), ("prefer", "respond-async"), ("x-api-key", key)];
        let headers = if with_key { &headers[..] } else { &headers[..2] };
        let uri = format!("{}{path}", self.stack.url);
        let sent = body.map_or_else(Bytes::new, |body| body.to_string().into());
        loop {
            let (status, answer) = self.client.plain(method.clone(), &uri, headers, sent.clone()).await?;
            match status {
                429 => tokio::time::sleep(PAUSE).await,
                _ => return Ok((status, serde_json::from_slice(&answer).unwrap_or_default())),
            }
        }
    }

    /// The id of a job that went through all functions.
    async fn job(&mut self) -> std::result::Result<Option<String>, Refusal> {
        let request = json!({"data": [1, 2, null, 4, 100], "pipeline_type": "both"});
        let begun = tokio::time::Instant::now();
        let (status, answer) = self.api(Method::POST, "/process", Some(&request), true).await?;
        let Some(job) = answer["job_id"].as_str().map(str::to_owned) else {
            self.check("job taken in", false, format!("{status}: {answer}"));
            return Ok(None);
        };
        self.check("job taken in", true, format!("{status}, {job}"));
        let mut state = String::new();
        while begun.elapsed() < PATIENCE {
            let (_, status) = self.api(Method::GET, &format!("/jobs/{job}"), None, true).await?;
            state = status["status"].as_str().unwrap_or("unknown").to_owned();
            if ["completed", "failed", "cancelled"].contains(&state.as_str()) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.check("job completed", state == "completed", format!("{state} after {seconds:.1} s"));
        let (_, result) = self.api(Method::GET, &format!("/jobs/{job}/result"), None, true).await?;
        let column = &result["spark_processing"]["rdd_results"]["columns"];
        let mean = column.as_object().and_then(|columns| columns.values().next()?["mean"].as_f64());
        self.check("statistics", mean == Some(26.75), format!("mean {mean:?} of 1, 2, 4 and 100"));
        let agreement = result["spark_processing"]["agreement"].as_bool();
        self.check("agreement", agreement == Some(true), "both pipelines found the same");
        Ok(Some(job))
    }

    async fn s3(&self, path: &str) -> std::result::Result<caudal_aws::Answer, Refusal> {
        let path = format!("/{}{path}", self.stack.bucket);
        self.client.call(&Call::json(Service::S3, Method::GET, path, &Value::Null)).await
    }

    async fn objects(&mut self, job: &str) -> std::result::Result<(), Refusal> {
        for place in ["gpu_results", "normalized_data", "spark_results", "analysis_results"] {
            let listed = self.s3(&format!("?list-type=2&prefix={place}%2F{job}%2F")).await?;
            let count = xml::contents(&String::from_utf8_lossy(&listed.body), "Key").len();
            self.check("objects", count > 0, format!("{count} below {place}/{job}"));
        }
        let object = self.s3(&format!("/spark_results/{job}/final_results.json")).await?;
        let header =
            |name: &str| object.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let encrypted = header("x-amz-server-side-encryption");
        self.check(
            "encrypted",
            encrypted.is_some(),
            format!("by {}", encrypted.as_deref().unwrap_or("nothing")),
        );
        let version = header("x-amz-version-id");
        self.check("version", version.is_some(), version.as_deref().unwrap_or("none"));
        Ok(())
    }

    async fn bucket(&mut self) -> std::result::Result<(), Refusal> {
        for (name, question, element, expected) in [
            ("versioning", "versioning", "Status", "Enabled"),
            ("encryption", "encryption", "SSEAlgorithm", "AES256"),
            ("lifecycle", "lifecycle", "Status", "Enabled"),
            ("public access", "publicAccessBlock", "RestrictPublicBuckets", "true"),
        ] {
            let found = match self.s3(&format!("?{question}=")).await {
                Ok(answer) => xml::text(&String::from_utf8_lossy(&answer.body), element),
                Err(Refusal::Refused { code, .. }) => Some(code),
                Err(refusal) => return Err(refusal),
            };
            let said = found.as_deref().unwrap_or("nothing");
            self.check(name, said.eq_ignore_ascii_case(expected), format!("{element} is {said}"));
        }
        let policy =
            self.s3("?policy=").await.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        let only_tls = policy.is_ok_and(|policy| policy.contains("aws:SecureTransport"));
        self.check("only TLS", only_tls, "the bucket's policy refuses anything else");
        Ok(())
    }

    async fn alarms(&mut self) -> std::result::Result<(), Refusal> {
        let prefix = format!("{}-", self.stack.name);
        let fields = [("AlarmNamePrefix", prefix.as_str()), ("MaxRecords", "100")];
        let call = Call::form(Service::CLOUDWATCH, "2010-08-01", "DescribeAlarms", &fields);
        let answer = self.client.call(&call).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let names = xml::contents(&text, "AlarmName").len();
        self.check("alarms", names >= ALARMS, format!("{names}, of {ALARMS} or more"));
        let ringing =
            xml::contents(&text, "StateValue").into_iter().filter(|state| *state == "ALARM").count();
        self.check("quiet", ringing == 0, format!("{ringing} alarms are raised"));
        let told = xml::contents(&text, "AlarmActions")
            .into_iter()
            .filter(|actions| actions.contains("arn:"))
            .count();
        self.check("somebody told", told >= names.min(ALARMS), format!("{told} alarms tell a topic"));
        Ok(())
    }
}

fn unseen(refusal: &Refusal, what: &str) -> Error {
    refusal.explain(ErrorKind::UnavailableEngine, what)
}
