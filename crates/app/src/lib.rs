//! Settings and the one place where concrete backends meet, for the binary and for each function.

#[cfg(feature = "identity")]
pub mod access;
#[cfg(feature = "orchestrator")]
mod compose;
#[cfg(feature = "orchestrator")]
pub mod doctor;
#[cfg(feature = "emr")]
mod emr;
#[cfg(feature = "orchestrator")]
mod functions;
#[cfg(feature = "orchestrator")]
mod gpu;
#[cfg(feature = "gpu-worker")]
pub mod gpu_worker;
mod host;
#[cfg(feature = "identity")]
mod issuer;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "normalize")]
mod measured;
#[cfg(any(feature = "authorizer", feature = "emr"))]
mod plan_key;
#[cfg(feature = "server")]
pub mod server;
#[cfg_attr(
    not(feature = "server"),
    allow(dead_code, reason = "all settings are read, and a function uses some")
)]
pub mod settings;
#[cfg(all(feature = "emr", feature = "server"))]
pub mod smoke;
#[cfg(feature = "orchestrator")]
pub mod spark;
#[cfg(feature = "emr")]
pub mod stack;
mod store;
#[cfg(feature = "orchestrator")]
pub mod sweep;
#[cfg(feature = "orchestrator")]
mod webhooks;

pub use caudal_storage::{file_uri, is_s3};
#[cfg(feature = "server")]
pub use caudal_webhooks::SigningKey;
#[cfg(feature = "orchestrator")]
pub use compose::App;
pub use settings::Settings;
