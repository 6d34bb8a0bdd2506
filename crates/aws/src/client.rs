//! The client: one address for each service, one signature for each try.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use bytes::Bytes;
use caudal_core::{Error, ErrorKind, Result};
use http::Method;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3Builder, AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::Instant;

use crate::refusal::Refusal;

/// How long a call is tried again, and the pauses between tries, which double. Functions are waited for for 29 s.
const PATIENCE: Duration = Duration::from_secs(25);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

const CONNECT: Duration = Duration::from_secs(5);
const REQUEST: Duration = Duration::from_secs(30);

/// A service of AWS, as addresses, signatures and the environment name it.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    host: &'static str,
    signed_as: &'static str,
    /// What the variable of its own address ends with.
    variable: &'static str,
}

impl Service {
    pub const EMR: Service =
        Service { host: "elasticmapreduce", signed_as: "elasticmapreduce", variable: "EMR" };
    pub const EMR_SERVERLESS: Service =
        Service { host: "emr-serverless", signed_as: "emr-serverless", variable: "EMR_SERVERLESS" };
    pub const LAMBDA: Service = Service { host: "lambda", signed_as: "lambda", variable: "LAMBDA" };
    pub const CLOUDFORMATION: Service =
        Service { host: "cloudformation", signed_as: "cloudformation", variable: "CLOUDFORMATION" };
    pub const CLOUDWATCH: Service =
        Service { host: "monitoring", signed_as: "monitoring", variable: "CLOUDWATCH" };
    pub const API_GATEWAY: Service =
        Service { host: "apigateway", signed_as: "apigateway", variable: "API_GATEWAY" };
    pub const S3: Service = Service { host: "s3", signed_as: "s3", variable: "S3" };
}

/// Whether a call may be made again when nobody knows whether it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    Harmless,
    /// It would be done twice: whoever calls has to look first.
    LookFirst,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    pub service: Service,
    pub method: Method,
    /// With its query.
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    pub again: Again,
}

impl Call {
    /// A call with a body of JSON.
    pub fn json(service: Service, method: Method, path: impl Into<String>, body: &serde_json::Value) -> Call {
        let headers = vec![("content-type", "application/json".to_owned())];
        let body = match body {
            serde_json::Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        Call { service, method, path: path.into(), headers, body, again: Again::Harmless }
    }

    /// An operation of one of the services that take forms and answer XML.
    pub fn form(service: Service, version: &str, operation: &str, fields: &[(&str, &str)]) -> Call {
        let mut body = format!("Action={operation}&Version={version}");
        for (name, value) in fields {
            let value: String = utf8_percent_encode(value, NON_ALPHANUMERIC).collect();
            body += &format!("&{name}={value}");
        }
        let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        Call {
            headers,
            body: body.into(),
            ..Call::json(service, Method::POST, "/", &serde_json::Value::Null)
        }
    }

    /// An operation of a service that is told it by a header.
    pub fn target(service: Service, operation: &str, body: &serde_json::Value) -> Call {
        let headers = vec![
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", operation.to_owned()),
        ];
        Call { headers, ..Call::json(service, Method::POST, "/", body) }
    }

    /// Has the caller look first where nobody knows whether it was done.
    pub fn once(self) -> Call {
        Call { again: Again::LookFirst, ..self }
    }
}

/// What came back from a call that was done.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// # Errors
    /// [`Refusal::Unclear`] where it is no JSON.
    pub fn json(&self) -> std::result::Result<serde_json::Value, Refusal> {
        if self.body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&self.body)
            .map_err(|e| Refusal::Unclear { cause: format!("the answer is no JSON: {e}") })
    }
}

/// Calls services in one region as whoever the environment says.
#[derive(Debug)]
pub struct AwsClient {
    client: HttpClient,
    credentials: AwsCredentialProvider,
    region: String,
    variables: Vec<(String, String)>,
}

impl AwsClient {
    /// With the variables that AWS's own tools read; credentials come from these, web identities, containers or the
    /// role of the machine.
    ///
    /// # Errors
    /// `InvalidRequest` where no region is named or the variables do not go together.
    pub fn new(variables: &[(String, String)]) -> Result<AwsClient> {
        let unusable = |e: &dyn std::fmt::Display| {
            Error::new(ErrorKind::InvalidRequest, "AWS cannot be called with these variables")
                .cause(e)
                .hint("check AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        };
        // Where somebody else was first, theirs is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let region = value(variables, "AWS_REGION").or(value(variables, "AWS_DEFAULT_REGION"));
        let region = region.ok_or_else(|| unusable(&"no region is named"))?.to_owned();
        let mut builder = AmazonS3Builder::new().with_bucket_name("credentials");
        for (name, value) in variables {
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder.with_allow_http(true).build().map_err(|e| unusable(&e))?;
        let options =
            ClientOptions::new().with_allow_http(true).with_connect_timeout(CONNECT).with_timeout(REQUEST);
        Ok(AwsClient {
            client: ReqwestConnector::default().connect(&options).map_err(|e| unusable(&e))?,
            credentials: store.credentials().clone(),
            region,
            variables: variables.to_vec(),
        })
    }

    pub fn region(&self) -> &str {
        &self.region
    }

    /// Where a service answers: its own variable, the one for all, or Amazon's address.
    pub fn endpoint(&self, service: Service) -> String {
        let own = format!("AWS_ENDPOINT_URL_{}", service.variable);
        let set = value(&self.variables, &own).or(value(&self.variables, "AWS_ENDPOINT_URL"));
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        set.map_or_else(
            || format!("https://{}.{}.{suffix}", service.host, self.region),
            |address| address.trim_end_matches('/').to_owned(),
        )
    }

    /// Makes a call until it is done, refused, or has been tried often enough.
    ///
    /// # Errors
    /// Why it was not done, or [`Refusal::Unclear`] where nobody knows whether it was.
    pub async fn call(&self, call: &Call) -> std::result::Result<Answer, Refusal> {
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_once(call).await {
                Err(refusal) if refusal.may_pass(call.again) && begun.elapsed() + pause < PATIENCE => {
                    tracing::debug!(?refusal, service = call.service.host, "trying again");
                    tokio::time::sleep(scattered(pause)).await;
                }
                answer => return answer,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A request to whatever answers at an address, without a signature: its status and body, whatever they are.
    ///
    /// # Errors
    /// [`Refusal::Unclear`] where nobody answers.
    pub async fn plain(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> std::result::Result<(u16, Bytes), Refusal> {
        let unclear = |e: &dyn std::fmt::Display| Refusal::Unclear { cause: e.to_string() };
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(HttpRequestBody::from(body)).map_err(|e| unclear(&e))?;
        let response = self.client.execute(request).await.map_err(|e| unclear(&e))?;
        let status = response.status().as_u16();
        Ok((status, response.into_body().bytes().await.map_err(|e| unclear(&e))?))
    }

    async fn try_once(&self, call: &Call) -> std::result::Result<Answer, Refusal> {
        let credential = self.credentials.get_credential().await.map_err(|e| Refusal::Refused {
            status: 0,
            code: "NoCredentials".into(),
            message: e.to_string(),
        })?;
        let request = self.signed(call, &credential).map_err(|e| Refusal::Refused {
            status: 0,
            code: "Unsendable".into(),
            message: e.to_string(),
        })?;
        let unclear = |e: &dyn std::fmt::Display| Refusal::Unclear { cause: e.to_string() };
        let response = self.client.execute(request).await.map_err(|e| unclear(&e))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.into_body().bytes().await.map_err(|e| unclear(&e))?;
        match status {
            200..=399 => Ok(Answer { status, headers, body }),
            _ => Err(Refusal::read(status, &headers, &body)),
        }
    }

    fn signed(
        &self,
        call: &Call,
        credential: &AwsCredential,
    ) -> std::result::Result<HttpRequest, Box<dyn std::error::Error + Send + Sync>> {
        let uri = format!("{}{}", self.endpoint(call.service), call.path);
        let mut request = http::Request::builder().method(call.method.clone()).uri(uri);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let mut request: HttpRequest = request.body(HttpRequestBody::from(call.body.clone()))?;
        AwsAuthorizer::new(credential, call.service.signed_as, &self.region)
            .try_authorize(&mut request, None)?;
        Ok(request)
    }
}

fn value<'v>(variables: &'v [(String, String)], name: &str) -> Option<&'v str> {
    let found = variables.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// Between half a pause and a whole one, so that those who were refused together do not come back together.
fn scattered(pause: Duration) -> Duration {
    let dice = RandomState::new().build_hasher().finish() % 1000;
    pause / 2 + pause / 2 * u32::try_from(dice).unwrap_or(0) / 1000
}
