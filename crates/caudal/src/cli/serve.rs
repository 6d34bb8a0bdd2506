//! `caudal serve`: the HTTP API until a signal ends it.

use std::path::PathBuf;

use super::memory::MemoryArguments;
use caudal_app::Settings;
use caudal_app::server::Server;
use caudal_app::settings::Overrides;
use caudal_core::{Error, ErrorKind, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Args)]
pub struct ServeArguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where everything is stored: a folder, or s3://bucket/prefix.
    #[arg(long, value_name = "PLACE")]
    storage: Option<PathBuf>,
    /// A folder or s3://bucket/prefix below which requests may read sources; repeat it for more. None when it is not
    /// given.
    #[arg(long = "allow", value_name = "PLACE")]
    allowed_roots: Vec<PathBuf>,
    #[command(flatten)]
    memory: MemoryArguments,
    /// Where jobs on Spark run: local[*], spark://host:7077, yarn, k8s://https://host:port.
    #[arg(long, value_name = "URL")]
    master: Option<String>,
    /// A PEM file with the server's certificate and those that lead from it to one that clients know: the server
    /// then speaks HTTPS.
    #[arg(long = "tls-cert", value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// A PEM file with the certificate's key.
    #[arg(long = "tls-key", value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Ask everybody for an API key or a token, on this machine too.
    #[arg(long)]
    authenticate: bool,
    /// Listen on an address that other machines reach without TLS and without asking anybody for a key; with
    /// --authenticate without TLS alone.
    #[arg(long)]
    insecure: bool,
    /// A settings file; ./caudal.toml where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// What keeps it from starting: a setting, the address, the bucket.
pub async fn run(arguments: ServeArguments) -> Result<()> {
    let settings = Settings::load(&Overrides {
        config: arguments.config,
        storage: arguments.storage,
        address: arguments.listen,
        authenticate: arguments.authenticate,
        tls_certificate: arguments.tls_certificate,
        tls_key: arguments.tls_key,
        allowed_roots: arguments.allowed_roots,
        master: arguments.master,
        ..arguments.memory.overrides()
    })?;
    let server = Server::bind(&settings, arguments.insecure).await?;
    let (first, second) = shutdown_signals()?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(unwatchable)?;
    eprintln!("caudal listens on {}", server.url()?);
    let reload = async move || {
        hang_up.recv().await;
    };
    tokio::select! {
        served = server.run(first, reload) => served,
        () = second => {
            let detail = "a second signal ended the server at once; the journal keeps its jobs";
            Err(Error::new(ErrorKind::Cancelled, detail))
        }
    }
}

/// The first signal to end, and the second.
pub fn shutdown_signals() -> Result<(impl Future<Output = ()> + Send + 'static, impl Future<Output = ()>)> {
    let mut terminate = signal(SignalKind::terminate()).map_err(unwatchable)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unwatchable)?;
    let (told, mut heard) = tokio::sync::watch::channel(0_u8);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            told.send_modify(|count| *count = count.saturating_add(1));
        }
    });
    let mut again = heard.clone();
    let first = async move {
        // The task that tells lives as long as the process.
        let _ = heard.wait_for(|count| *count >= 1).await;
    };
    let second = async move {
        let _ = again.wait_for(|count| *count >= 2).await;
    };
    Ok((first, second))
}

fn unwatchable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, "signals cannot be waited for").cause(error)
}
