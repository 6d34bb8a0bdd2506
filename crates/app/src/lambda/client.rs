//! Calls functions on AWS Lambda: one signed request, answered as soon as the event is taken in.

use caudal_core::{Error, ErrorKind, Result};
use http::header::CONTENT_TYPE;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use serde::Serialize;
use std::time::Duration;

use crate::settings::AwsVariables;

/// How often an invocation is tried, and the pause after the first failure, which doubles.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Invokes functions in one region as whoever the environment says.
#[derive(Debug)]
pub struct FunctionClient {
    client: HttpClient,
    credential: AwsCredential,
    region: String,
    endpoint: String,
}

impl FunctionClient {
    /// # Errors
    /// `InvalidRequest` where the environment names no region or no credentials.
    pub fn new(aws: &AwsVariables) -> Result<FunctionClient> {
        let needed = |name: &str| {
            aws.get(name).map(str::to_owned).ok_or_else(|| {
                let detail = format!("functions cannot be called: {name} is not set");
                Error::new(ErrorKind::InvalidRequest, detail)
            })
        };
        let region = needed("AWS_REGION")?;
        let own = aws.get("AWS_ENDPOINT_URL_LAMBDA").or(aws.get("AWS_ENDPOINT_URL"));
        let endpoint = own.map_or_else(|| format!("https://lambda.{region}.amazonaws.com"), str::to_owned);
        let credential = AwsCredential {
            key_id: needed("AWS_ACCESS_KEY_ID")?,
            secret_key: needed("AWS_SECRET_ACCESS_KEY")?,
            token: aws.get("AWS_SESSION_TOKEN").map(str::to_owned),
        };
        // Where somebody else was first, theirs is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = ClientOptions::new().with_allow_http(own.is_some());
        let client = ReqwestConnector::default().connect(&options).map_err(|e| {
            Error::new(ErrorKind::Internal, "functions cannot be called from this host").cause(e)
        })?;
        Ok(FunctionClient { client, credential, region, endpoint: endpoint.trim_end_matches('/').into() })
    }

    /// Has a function work on an event by itself: AWS keeps the event and tries up to three times.
    ///
    /// # Errors
    /// `Overloaded` where the function's queue takes nothing more, `StorageUnavailable` where AWS does not answer or
    /// refuses.
    pub async fn invoke(&self, function: &str, event: &impl Serialize) -> Result<()> {
        let body = serde_json::to_vec(event).map_err(|e| self.failed(function, &e))?;
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.once(function, body.clone()).await {
                Err(error) if error.kind.is_retryable() => tokio::time::sleep(pause).await,
                answer => return answer,
            }
            pause *= 2;
        }
        self.once(function, body).await
    }

    async fn once(&self, function: &str, body: Vec<u8>) -> Result<()> {
        let uri = format!("{}/2015-03-31/functions/{function}/invocations", self.endpoint);
        let mut request: HttpRequest = http::Request::post(uri)
            .header("x-amz-invocation-type", "Event")
            .header(CONTENT_TYPE, "application/json")
            .body(HttpRequestBody::from(body))
            .map_err(|e| self.failed(function, &e))?;
        AwsAuthorizer::new(&self.credential, "lambda", &self.region)
            .try_authorize(&mut request, None)
            .map_err(|e| self.failed(function, &e))?;
        let response = self.client.execute(request).await.map_err(|e| self.failed(function, &e))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let body = response.into_body().bytes().await.unwrap_or_default();
        let answer = format!("{status}: {}", String::from_utf8_lossy(&body));
        Err(match status.as_u16() {
            429 => Error::new(ErrorKind::Overloaded, format!("the function {function} takes no more events"))
                .cause(answer),
            403 => self.failed(function, &answer).hint("allow lambda:InvokeFunction to this role"),
            404 => self.failed(function, &answer).hint("check the settings under [functions]"),
            _ => self.failed(function, &answer),
        })
    }

    fn failed(&self, function: &str, cause: &dyn std::fmt::Display) -> Error {
        Error::new(ErrorKind::StorageUnavailable, format!("the function {function} cannot be called"))
            .cause(cause)
    }
}
