//! Applications on services of AWS. Any process starts, follows and ends them: their records lie in the bucket.

mod launcher;
mod order;
mod serverless;
mod steps;

use async_trait::async_trait;
use caudal_core::Result;
use caudal_core::request::SparkConfig;
use caudal_storage::Attempt;

pub use launcher::{Remote, RemoteOptions};
pub use order::{Look, Order, Stage};
pub use serverless::{EmrServerless, ServerlessPlace, serverless_size};
pub use steps::{ClusterChoice, EmrSteps, StepsPlace, TransientCluster};

use crate::sizing::{Machine, Sizing};

/// What starts applications and knows them by the attempt at a job that they are.
#[async_trait]
pub trait Service: Send + Sync {
    /// As it appears in results.
    fn name(&self) -> String;

    /// How large an application for a source of so many bytes is made.
    fn size(&self, asked: Option<&SparkConfig>, bytes: u64) -> Sizing;

    /// Starts what is ordered, unless it was started before, by whomever. It may be under way when this returns.
    ///
    /// # Errors
    /// `UnavailableEngine` where somebody has to act, `Overloaded` where it may pass.
    async fn begin(&self, order: &Order) -> Result<()>;

    /// How an application is now.
    ///
    /// # Errors
    /// `NotFound` where none was begun; otherwise as [`begin`](Self::begin).
    async fn look(&self, attempt: Attempt) -> Result<Look>;

    /// Ends an application; one that has ended is left as it is.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    async fn cancel(&self, attempt: Attempt) -> Result<()>;
}

/// What a driver has there: it merges states and holds no data.
const DRIVER: Machine = Machine { cores: 1, memory: 2 << 30 };

/// The size of an application on a cluster that starts the executors that are asked for.
pub fn steps_size(asked: Option<&SparkConfig>, bytes: u64) -> Sizing {
    Sizing::of("yarn", DRIVER, asked, bytes)
}
