//! Settings and the one place where concrete backends meet, for the binary and for each function.

#[cfg(feature = "orchestrator")]
mod compose;
#[cfg(feature = "orchestrator")]
mod functions;
mod host;
#[cfg(feature = "lambda")]
pub mod lambda;
#[cfg(feature = "server")]
pub mod server;
pub mod settings;
mod store;

#[cfg(feature = "orchestrator")]
pub use compose::App;
pub use settings::Settings;
