//! The nouns of Caudal: requests, jobs, states, results, ports and error kinds.
//!
//! Three words for three stages: a [`request::JobRequest`] is what was asked, a [`job::Plan`] is what
//! was decided, a [`ports::StageInput`] is one attempt that is running. Nothing here does I/O.

pub mod cell;
pub mod claims;
pub mod decimal;
pub mod error;
pub mod export;
pub mod fault;
pub mod identity;
pub mod job;
pub mod journal;
pub mod json;
pub mod ports;
pub mod prices;
pub mod reasons;
pub mod request;
pub mod results;
pub mod spark;
pub mod state;
pub mod system;
pub mod uploads;
pub mod usage;
pub mod webhooks;

pub use error::{Error, ErrorKind, Result};
pub use fault::{Fault, Faults};
pub use job::JobId;
pub use prices::PriceList;
pub use state::JobState;
