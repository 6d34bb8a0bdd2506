//! The keys of a stack's usage plan, by which API Gateway counts. They are no secrets: the API asks its authorizer, which
//! names one of them for whoever may call, and looks at none that a client sends.

/// The value of the key of the plan that stands for an API key.
pub fn of_key(id: &str) -> String {
    format!("caudal-plan-key-{id}")
}

/// The value of the one that stands for all who show a token, as `infra/template.yaml` makes it.
#[cfg(feature = "authorizer")]
pub fn of_tokens(stack: &str) -> String {
    format!("caudal-plan-of-tokens-{stack}")
}
