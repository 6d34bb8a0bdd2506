//! Settings and the one place where concrete backends meet, for the binary and for each function.

mod compose;
mod host;
pub mod server;
pub mod settings;

pub use compose::App;
pub use settings::Settings;
