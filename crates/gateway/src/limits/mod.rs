//! How often, how slowly and how much may be asked.

mod admission;
mod rate;
mod slow_body;

pub(crate) use admission::tell;
pub use admission::{Limits, RateLimits};
pub use rate::Rate;
pub use slow_body::BodyTime;
pub(crate) use slow_body::watch_body;
