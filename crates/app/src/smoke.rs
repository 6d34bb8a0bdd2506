//! The main job against a deployed stack, and whether the deployment is as its template promises.

use std::time::Duration;

use bytes::Bytes;
use caudal_aws::{Call, Refusal, Service, xml};
use caudal_core::Result;
use caudal_core::identity::Scope;
use http::Method;
use serde_json::{Value, json};

use crate::access::{KeyOrder, create_key, revoke_key};
use crate::settings::Settings;
use crate::stack::{Stack, unseen};

/// How long the job may take, and the pause between two looks at it.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(500);

/// How long the key of a look holds at most, and how long API Gateway may take to know it.
const KEY_HOLDS: Duration = Duration::from_secs(3600);
const KEY_KNOWN: Duration = Duration::from_secs(60);

/// The alarms that a stack has at least.
const ALARMS: usize = 11;

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: &'static str,
    pub passed: bool,
    pub detail: String,
}

struct Smoke<'t> {
    stack: &'t Stack,
    url: String,
    key: String,
    checks: Vec<Check>,
    tell: &'t (dyn Fn(&Check) + Sync),
}

/// Checks everything; `tell` is told each check once it is done, and all are returned. The key that this takes is made for
/// it and ended after it.
///
/// # Errors
/// What keeps the stack from being looked at: no credentials, no such stack.
pub async fn smoke(
    settings: &Settings,
    stack: Stack,
    url: Option<&str>,
    tell: &(dyn Fn(&Check) + Sync),
) -> Result<Vec<Check>> {
    let order = KeyOrder {
        owner: "smoke".into(),
        label: Some("caudal aws smoke".into()),
        scopes: [Scope::Submit, Scope::Read].into_iter().collect(),
        lifetime: Some(KEY_HOLDS),
    };
    let key = create_key(settings, order).await?;
    let id = key.key.id.clone();
    stack.attach(&id).await?;
    let url = url.unwrap_or(&stack.url).trim_end_matches('/').to_owned();
    let mut smoke = Smoke { stack: &stack, url, key: key.text.reveal().to_owned(), checks: Vec::new(), tell };
    let seen = smoke.everything().await;
    let checks = smoke.checks;
    stack.detach(&id).await?;
    revoke_key(settings, &id).await?;
    seen.map_err(|e| unseen(&e, "the deployment cannot be looked at"))?;
    Ok(checks)
}

impl Smoke<'_> {
    fn check(&mut self, name: &'static str, passed: bool, detail: impl Into<String>) {
        let check = Check { name, passed, detail: detail.into() };
        (self.tell)(&check);
        self.checks.push(check);
    }

    async fn everything(&mut self) -> std::result::Result<(), Refusal> {
        let (status, _) = self.api(Method::GET, "/jobs", None, None).await?;
        self.check("key asked for", status == 401, format!("{status} without a key"));
        let mut wrong = self.key.clone();
        let last = if wrong.pop() == Some('0') { '1' } else { '0' };
        wrong.push(last);
        let (status, _) = self.api(Method::GET, "/jobs", None, Some(&wrong)).await?;
        self.check("key checked", status == 401, format!("{status} with a key whose secret is wrong"));
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
        key: Option<&str>,
    ) -> std::result::Result<(u16, Value), Refusal> {
        let mut headers = vec![("content-type", "application/json"), ("prefer", "respond-async")];
        headers.extend(key.map(|key| ("x-api-key", key)));
        let uri = format!("{}{path}", self.url);
        let sent = body.map_or_else(Bytes::new, |body| body.to_string().into());
        loop {
            let (status, answer) =
                self.stack.client.plain(method.clone(), &uri, &headers, sent.clone()).await?;
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
        let (status, answer) = loop {
            match self.api(Method::POST, "/process", Some(&request), Some(&self.key)).await? {
                // API Gateway takes a while to know a new key.
                (403, _) if begun.elapsed() < KEY_KNOWN => tokio::time::sleep(PAUSE).await,
                answer => break answer,
            }
        };
        let Some(job) = answer["job_id"].as_str().map(str::to_owned) else {
            self.check("job taken in", false, format!("{status}: {answer}"));
            return Ok(None);
        };
        self.check("job taken in", true, format!("{status}, {job}"));
        let mut state = String::new();
        while begun.elapsed() < PATIENCE {
            let (_, status) = self.api(Method::GET, &format!("/jobs/{job}"), None, Some(&self.key)).await?;
            state = status["status"].as_str().unwrap_or("unknown").to_owned();
            if ["completed", "failed", "cancelled"].contains(&state.as_str()) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let seconds = begun.elapsed().as_secs_f64();
        self.check("job completed", state == "completed", format!("{state} after {seconds:.1} s"));
        let (_, result) =
            self.api(Method::GET, &format!("/jobs/{job}/result"), None, Some(&self.key)).await?;
        let column = &result["spark_processing"]["rdd_results"]["columns"];
        let mean = column.as_object().and_then(|columns| columns.values().next()?["mean"].as_f64());
        self.check("statistics", mean == Some(26.75), format!("mean {mean:?} of 1, 2, 4 and 100"));
        let agreement = result["spark_processing"]["agreement"].as_bool();
        self.check("agreement", agreement == Some(true), "both pipelines found the same");
        Ok(Some(job))
    }

    async fn s3(&self, path: &str) -> std::result::Result<caudal_aws::Answer, Refusal> {
        let path = format!("/{}{path}", self.stack.bucket);
        self.stack.client.call(&Call::json(Service::S3, Method::GET, path, &Value::Null)).await
    }

    async fn objects(&mut self, job: &str) -> std::result::Result<(), Refusal> {
        // An embedded pipeline keeps no logs of Spark.
        for place in caudal_storage::output_roots().into_iter().filter(|place| place.parts().count() == 1) {
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
        let answer = self.stack.client.call(&call).await?;
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
