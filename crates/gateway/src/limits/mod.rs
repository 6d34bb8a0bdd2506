//! What one request may take of time.

mod slow_body;

pub(crate) use slow_body::watch_body;
pub use slow_body::BodyTime;
