//! Caudal as functions on AWS Lambda: what each invocation does, and how the functions call each other.
//!
//! Between functions only ids travel; the journal and the objects beside it say the rest. Nothing works on after an
//! answer: a request to the API is answered from the journal, and another invocation does the work.

#[cfg(feature = "authorizer")]
mod authorizer;
#[cfg(feature = "lambda-http")]
mod client;
#[cfg(any(feature = "lambda-http", test))]
#[cfg_attr(not(feature = "lambda-http"), allow(dead_code, reason = "its tests need no engine"))]
mod event;
mod metrics;
#[cfg(feature = "lambda-http")]
mod orchestrator;
#[cfg(feature = "lambda-http")]
pub(crate) mod remote;
#[cfg(feature = "emr")]
mod spark;
#[cfg(feature = "normalize")]
mod stage;

#[cfg(feature = "authorizer")]
pub use authorizer::authorizer;
pub use lambda_runtime::Error;
#[cfg(feature = "lambda-http")]
pub use orchestrator::orchestrator;
#[cfg(feature = "lambda-http")]
pub(crate) use spark::LauncherFunction;
#[cfg(feature = "emr")]
pub use spark::spark_launcher;
#[cfg(feature = "normalize")]
pub use stage::gpu_processing;
