//! The function `authorizer`: whom API Gateway lets call, and by which key of the usage plan it counts their calls.
//!
//! Whoever may not is told 401 before the orchestrator is woken. What the caller may do is left to the gateway, which looks
//! at the same credentials. Answers are not cached: callers show one header of two, and API Gateway's cache asks for both.

use std::collections::BTreeMap;
use std::sync::Arc;

use caudal_core::identity::{Credential, Identity};
use caudal_core::{Error, ErrorKind, Result};
use caudal_gateway::Guard;
use http::{HeaderMap, HeaderName, HeaderValue};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

use super::metrics::{Metrics, Outcome};
use crate::settings::{Overrides, Settings};
use crate::{access, plan_key, store};

/// What API Gateway takes for a 401; any other error is a 500 to it.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-use-lambda-authorizer.html>
const UNAUTHORIZED: &str = "Unauthorized";

/// A call of which API Gateway asks whether it may pass, as a REQUEST authorizer is told of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizerEvent {
    /// The method, stage and path.
    method_arn: String,
    /// Names and values as they were sent.
    multi_value_headers: Option<BTreeMap<String, Vec<String>>>,
}

/// Serves invocations until AWS ends the process.
///
/// # Errors
/// What keeps it from starting: a setting, or a bucket that is no place.
pub async fn authorizer() -> std::result::Result<(), lambda_runtime::Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let settings = Settings::load(&Overrides::default())?;
    let service = settings.functions.service.clone();
    let authorizer = Arc::new(Authorizer {
        guard: access::guard(&settings, &store::open(&settings)?, true)?,
        metrics: Metrics::apart(service.clone(), settings.prices.clone()),
        stack: service,
    });
    let handle = move |event: LambdaEvent<AuthorizerEvent>| {
        let authorizer = authorizer.clone();
        async move { authorizer.invoked(event).await }
    };
    lambda_runtime::run(service_fn(handle)).await
}

struct Authorizer {
    guard: Guard,
    metrics: Metrics,
    stack: String,
}

impl Authorizer {
    async fn invoked(&self, event: LambdaEvent<AuthorizerEvent>) -> std::result::Result<Value, Diagnostic> {
        let begun = self.metrics.now();
        let LambdaEvent { payload, context } = event;
        let answer = self.answer(&payload).await;
        let failed = matches!(&answer, Err(error) if error.kind != ErrorKind::Unauthenticated);
        self.metrics.tell(&context, begun, &Outcome { failed, ended: None });
        answer.map_err(|error| {
            if failed {
                tracing::error!(%error, cause = error.cause, "whether a call may pass cannot be said");
            }
            let error_message = match failed {
                true => error.to_string(),
                false => UNAUTHORIZED.to_owned(),
            };
            Diagnostic { error_type: error.kind.code().to_owned(), error_message }
        })
    }

    async fn answer(&self, event: &AuthorizerEvent) -> Result<Value> {
        let headers = headers(event.multi_value_headers.iter().flatten())?;
        let identity = self.guard.identify(&headers).await.map_err(caudal_core::Error::from)?;
        pass(&identity, &event.method_arn, &self.stack)
    }
}

fn headers<'t>(sent: impl Iterator<Item = (&'t String, &'t Vec<String>)>) -> Result<HeaderMap> {
    let unreadable = || Error::new(ErrorKind::Unauthenticated, "a header cannot be read");
    let mut headers = HeaderMap::new();
    for (name, values) in sent {
        let name = HeaderName::try_from(name).map_err(|_| unreadable())?;
        for value in values {
            headers.append(&name, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| unreadable())?);
        }
    }
    Ok(headers)
}

/// Lets one call pass.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html>
fn pass(identity: &Identity, method: &str, stack: &str) -> Result<Value> {
    let (counted_by, credential) = match &identity.credential {
        Credential::Key(id) => (plan_key::of_key(id), format!("key {id}")),
        Credential::Token(_) => (plan_key::of_tokens(stack), "token".to_owned()),
        Credential::None => return Err(Error::new(ErrorKind::Unauthenticated, "nobody is known")),
    };
    Ok(json!({
        "principalId": identity.owner,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": method}],
        },
        // For the access log.
        "context": {"owner": identity.owner, "credential": credential},
        "usageIdentifierKey": counted_by,
    }))
}

#[cfg(test)]
mod tests {
    use caudal_core::identity::Scopes;

    use super::*;

    fn identity(credential: Credential) -> Identity {
        Identity { owner: "ann".into(), scopes: Scopes::default(), credential }
    }

    #[test]
    fn one_call_passes_and_is_counted_by_the_key_of_the_plan() {
        let method = "arn:aws:execute-api:us-east-1:123456789012:api/v1/POST/process";
        let answer = pass(&identity(Credential::Key("00112233aabbccdd".into())), method, "caudal").unwrap();
        assert_eq!(answer["policyDocument"]["Statement"][0]["Resource"], method);
        assert_eq!(answer["usageIdentifierKey"], "caudal-plan-key-00112233aabbccdd");
        assert_eq!(answer["context"], json!({"owner": "ann", "credential": "key 00112233aabbccdd"}));
        let answer = pass(&identity(Credential::Token("ann".into())), method, "caudal").unwrap();
        assert_eq!(answer["usageIdentifierKey"], "caudal-plan-of-tokens-caudal");
        assert!(pass(&identity(Credential::None), method, "caudal").is_err());
    }

    #[test]
    fn every_value_of_a_header_is_read_so_that_two_credentials_are_seen() {
        let event: AuthorizerEvent = serde_json::from_value(json!({
            "type": "REQUEST", "methodArn": "m", "headers": {"x-api-key": "b"},
            "multiValueHeaders": {"X-Api-Key": ["a", "b"], "User-Agent": ["Käthe"]},
        }))
        .unwrap();
        let read = headers(event.multi_value_headers.iter().flatten()).unwrap();
        assert_eq!(read.get_all("x-api-key").iter().collect::<Vec<_>>(), ["a", "b"]);
        let event: AuthorizerEvent =
            serde_json::from_value(json!({"methodArn": "m", "multiValueHeaders": null})).unwrap();
        assert!(headers(event.multi_value_headers.iter().flatten()).unwrap().is_empty());
    }
}
