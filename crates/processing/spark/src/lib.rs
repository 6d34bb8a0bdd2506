//! Jobs on Apache Spark: finding it, submitting to it, following it, collecting what it leaves.
//!
//! [`SparkJobs`] is what orchestration sees. It speaks to a [`Launcher`], of which there is one for each way to start
//! an application; the application itself is the jar of `spark/`, whose README is the interface.

mod archive;
mod engine;
mod events;
mod failure;
mod guard;
mod install;
mod installation;
mod jar;
mod java;
mod launcher;
#[cfg(feature = "emr")]
mod remote;
mod results;
mod sizing;
mod submit;

pub use engine::SparkJobs;
pub use events::{Fault, Progress};
pub use install::{PYSPARK_VERSION, install};
pub use installation::{Installation, Places};
pub use java::Java;
pub use launcher::{Failure, JobSpec, Launcher, Phase, SpecOutput, SpecSource, Status, Submission};
#[cfg(feature = "emr")]
pub use remote::{
    ClusterChoice, EmrServerless, EmrSteps, Look, Order, Remote, RemoteOptions, ServerlessPlace, Service,
    Stage, StepsPlace, TransientCluster, serverless_size, steps_size,
};
pub use sizing::{Machine, Sizing};
pub use submit::Submit;
