//! `caudal gpu-worker`: this host's GPU for other instances, until a signal ends it.

use std::net::SocketAddr;
use std::path::PathBuf;

use caudal_app::Settings;
use caudal_app::gpu_worker::GpuWorker;
use caudal_app::settings::Overrides;
use caudal_core::{Error, ErrorKind, Result};
use clap::Args;

use super::memory::MemoryArguments;
use super::serve::shutdown_signals;

#[derive(Args)]
pub struct GpuWorkerArguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    listen: String,
    /// The folder for columns that memory has no room for, and nothing else.
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    #[command(flatten)]
    memory: MemoryArguments,
    /// A settings file; ./caudal.toml where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// What keeps it from starting: a setting, the card, the address.
pub async fn run(arguments: GpuWorkerArguments) -> Result<()> {
    let settings = Settings::load(&Overrides {
        config: arguments.config,
        storage: arguments.storage,
        ..arguments.memory.overrides()
    })?;
    let address: SocketAddr = arguments.listen.parse().map_err(|_| {
        let found = &arguments.listen;
        let detail = format!("--listen: expected an address and port such as 127.0.0.1:8090, found {found}");
        Error::new(ErrorKind::InvalidRequest, detail)
    })?;
    let worker = GpuWorker::bind(&settings, address).await?;
    let (stop, _) = shutdown_signals()?;
    eprintln!("caudal gpu-worker listens on {}", worker.url()?);
    worker.run(stop).await
}
