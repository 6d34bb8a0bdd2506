//! Webhooks: a client's own server is told when a job has ended.
//!
//! Messages are signed as the Standard Webhooks specification has it, kept in the bucket until they are heard, tried again
//! with growing pauses, and never sent to addresses that lie inside of somebody's network.

mod address;
mod courier;
mod message;
mod sending;
mod signature;

pub use courier::{Courier, CourierOptions};
pub use sending::SendingOptions;
pub use signature::SigningKey;
