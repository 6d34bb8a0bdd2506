//! The normalisation stage on another host: a worker that serves its GPU over HTTP, and the port that asks it.
//!
//! Columns go there and come back as Arrow streams. Both sides know one token; whoever does not have it is told nothing.

mod client;
mod server;

pub use client::{RemoteNormalizer, WorkerCard, WorkerClient};
pub use server::GpuWorker;

/// The path of the stage, and of what the worker's card is.
const STAGE_PATH: &str = "/v1/normalize";
const DEVICE_PATH: &str = "/v1/device";

const ARROW_STREAM: &str = "application/vnd.apache.arrow.stream";

/// Pieces of a stream that wait between two threads.
const PIECES: usize = 4;
