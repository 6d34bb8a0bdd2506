//! Settings and the one place where concrete backends meet, for the binary and for each function.

mod compose;
pub mod doctor;
mod host;
pub mod server;
pub mod settings;
pub mod spark;

pub use caudal_storage::{file_uri, is_s3};
pub use compose::App;
pub use settings::Settings;
