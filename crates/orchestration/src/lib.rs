//! Four supervised actors that carry a job from request to final response.
//!
//! Messages go one way, and carry only the job's id: [`validation`] checks a request, stores it and
//! journals `queued`; [`job_manager`] runs the stages; [`analysis`] judges what they found;
//! [`response`] writes the final answer and wakes whoever waits for it. The journal in the bucket is
//! the truth; [`running`] is this process's memory of the jobs that it carries.

pub mod analysis;
mod counters;
mod drain;
mod foreign;
mod handover;
pub mod job_manager;
mod leases;
mod once;
mod orchestrator;
mod quotas;
pub mod response;
pub mod retry;
pub mod running;
mod supervisor;
pub mod validation;

pub use counters::Figure;
pub use once::{Once, OnceHandle};
pub use orchestrator::{
    JobHandle, JobResult, Orchestrator, OrchestratorOptions, Ports, Removal, Submission, SubmissionBody,
};
pub use quotas::{QuotaLimits, Quotas};
