//! Signed calls to AWS's APIs: credentials as AWS's own tools find them, what is tried again, and why AWS said no.
//!
//! The few calls that Caudal makes are one request and one answer each, so this stands in for Amazon's SDKs: it adds
//! nothing to what the bucket on S3 has in the build already.

mod client;
mod refusal;
pub mod xml;

pub use client::{Again, Answer, AwsClient, Call, Service};
pub use refusal::Refusal;
