//! A deployed stack: what it says of itself, and the keys of its usage plan.
//!
//! A client shows its key, and the authorizer finds in the bucket whose it is and names the key of the plan that API
//! Gateway counts it by. That one is made and ended with the client's, whose text nobody else is told.

use caudal_aws::{AwsClient, Call, Refusal, Service, xml};
use caudal_core::{Error, ErrorKind, Result};
use http::Method;
use serde_json::{Value, json};

use crate::plan_key;
use crate::settings::Settings;

/// Keys of the plan are found again by their names.
const MOST_KEYS: u32 = 500;

/// One stack of `infra/template.yaml`.
pub struct Stack {
    pub client: AwsClient,
    pub name: String,
    /// Where its API answers.
    pub url: String,
    pub bucket: String,
    plan: String,
}

impl Stack {
    /// Reads what a stack says of itself.
    ///
    /// # Errors
    /// `NotFound` for a stack that is none of ours or not complete; `UnavailableEngine` where AWS refuses, `Overloaded`
    /// where it gives no clear answer.
    pub async fn of(settings: &Settings, name: &str) -> Result<Stack> {
        let client = AwsClient::new(settings.aws.all())?;
        let fields = [("StackName", name)];
        let call = Call::form(Service::CLOUDFORMATION, "2010-05-15", "DescribeStacks", &fields);
        let answer = client.call(&call).await.map_err(|e| unseen(&e, "the stack cannot be looked at"))?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let output = |wanted: &str| {
            let members = xml::contents(&text, "member");
            let found = members.into_iter().find(|m| xml::text(m, "OutputKey").as_deref() == Some(wanted))?;
            xml::text(found, "OutputValue")
        };
        let (Some(url), Some(bucket), Some(plan)) = (output("Url"), output("Bucket"), output("UsagePlan"))
        else {
            return Err(Error::new(
                ErrorKind::NotFound,
                "the stack has no outputs Url, Bucket and UsagePlan",
            )
            .hint("is it one of infra/template.yaml, and is its deployment complete?"));
        };
        Ok(Stack { client, name: name.to_owned(), url, bucket, plan })
    }

    /// Has API Gateway let the holder of a key pass, and count the calls.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub async fn attach(&self, id: &str) -> Result<()> {
        let what = "the key cannot be made one of the usage plan";
        let key = json!({"name": plan_name(id), "value": plan_key::of_key(id), "enabled": true});
        let made = self.api_gateway(Method::POST, "/apikeys", &key).await.map_err(|e| unseen(&e, what))?;
        let key = json!({"keyId": made["id"], "keyType": "API_KEY"});
        let path = format!("/usageplans/{}/keys", self.plan);
        self.api_gateway(Method::POST, &path, &key).await.map(drop).map_err(|e| unseen(&e, what))
    }

    /// Has API Gateway let the holder of a key pass no more; one that it does not know is fine.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub async fn detach(&self, id: &str) -> Result<()> {
        let what = "the key cannot be taken out of the usage plan";
        let name = plan_name(id);
        let path = format!("/apikeys?limit={MOST_KEYS}&name={name}");
        let found = self.api_gateway(Method::GET, &path, &Value::Null).await.map_err(|e| unseen(&e, what))?;
        let items =
            ["item", "items"].iter().find_map(|list| found[*list].as_array()).cloned().unwrap_or_default();
        for key in items.iter().filter(|key| key["name"] == name.as_str()) {
            let path = format!("/apikeys/{}", key["id"].as_str().unwrap_or_default());
            self.api_gateway(Method::DELETE, &path, &Value::Null).await.map_err(|e| unseen(&e, what))?;
        }
        Ok(())
    }

    async fn api_gateway(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> std::result::Result<Value, Refusal> {
        let call = Call::json(Service::API_GATEWAY, method, path, body);
        self.client.call(&call).await?.json()
    }
}

fn plan_name(id: &str) -> String {
    format!("caudal-{id}")
}

pub(crate) fn unseen(refusal: &Refusal, what: &str) -> Error {
    refusal.explain(ErrorKind::UnavailableEngine, what)
}
