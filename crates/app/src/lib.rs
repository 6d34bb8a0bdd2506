//! Settings and the one place where concrete backends meet, for the binary and for each function.

#[cfg(feature = "server")]
pub mod access;
#[cfg(feature = "orchestrator")]
mod compose;
#[cfg(feature = "orchestrator")]
pub mod doctor;
#[cfg(feature = "emr")]
mod emr;
#[cfg(feature = "orchestrator")]
mod functions;
mod host;
#[cfg(feature = "server")]
mod issuer;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "server")]
pub mod server;
pub mod settings;
#[cfg(feature = "emr")]
pub mod smoke;
#[cfg(feature = "orchestrator")]
pub mod spark;
mod store;

pub use caudal_storage::{file_uri, is_s3};
#[cfg(feature = "orchestrator")]
pub use compose::App;
pub use settings::Settings;
