//! Calls functions on AWS Lambda: for an event that they work on by themselves, or for an answer.

use caudal_aws::{Again, AwsClient, Call, Refusal, Service};
use caudal_core::{Error, ErrorKind, Result};
use http::Method;
use serde::Serialize;

use crate::settings::AwsVariables;

/// Invokes functions in one region as whoever the environment says.
#[derive(Debug)]
pub struct FunctionClient(AwsClient);

impl FunctionClient {
    /// # Errors
    /// `InvalidRequest` where the environment names no region or its variables do not go together.
    pub fn new(aws: &AwsVariables) -> Result<FunctionClient> {
        AwsClient::new(aws.all()).map(FunctionClient)
    }

    /// Has a function work on an event by itself: AWS keeps the event and tries up to three times.
    ///
    /// # Errors
    /// `Overloaded` where the function's queue takes nothing more or AWS does not answer, `StorageUnavailable` where it
    /// refuses.
    pub async fn invoke(&self, function: &str, event: &impl Serialize) -> Result<()> {
        self.call(function, "Event", event).await.map(drop)
    }

    /// Has a function do something now, and waits until it has.
    ///
    /// # Errors
    /// As [`invoke`](Self::invoke); `Overloaded` also where the function died over it.
    pub async fn ask(&self, function: &str, event: &impl Serialize) -> Result<()> {
        let answer = self.call(function, "RequestResponse", event).await?;
        match answer.headers.contains_key("x-amz-function-error") {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::Overloaded, format!("the function {function} gave no answer"))
                .cause(String::from_utf8_lossy(&answer.body))),
        }
    }

    async fn call(&self, function: &str, kind: &str, event: &impl Serialize) -> Result<caudal_aws::Answer> {
        let body = serde_json::to_value(event)
            .map_err(|e| Error::new(ErrorKind::Internal, "an event cannot be written").cause(e))?;
        let path = format!("/2015-03-31/functions/{function}/invocations");
        let mut call = Call::json(Service::LAMBDA, Method::POST, path, &body);
        call.headers.push(("x-amz-invocation-type", kind.to_owned()));
        debug_assert_eq!(call.again, Again::Harmless, "functions may be told twice");
        self.0.call(&call).await.map_err(|refusal| failed(function, &refusal))
    }
}

fn failed(function: &str, refusal: &Refusal) -> Error {
    let what = format!("the function {function} cannot be called");
    let error = refusal.explain(ErrorKind::StorageUnavailable, &what);
    match refusal.code() {
        "AccessDeniedException" => error.hint("allow lambda:InvokeFunction to this role"),
        "ResourceNotFoundException" => error.hint("check the settings under [functions]"),
        _ => error,
    }
}
