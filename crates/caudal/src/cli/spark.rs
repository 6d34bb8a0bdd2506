//! `caudal spark`: sets Apache Spark up.

#![expect(clippy::print_stdout, reason = "the answer to what was asked")]

use std::path::PathBuf;

use caudal_app::Settings;
use caudal_app::settings::Overrides;
use caudal_core::{Error, ErrorKind, Result};
use clap::{Args, Subcommand};

#[derive(Args)]
pub struct SparkArguments {
    #[command(subcommand)]
    command: SparkCommand,
}

#[derive(Subcommand)]
enum SparkCommand {
    /// Put a pinned PySpark from PyPI into a private environment, and check Java.
    Install {
        /// A settings file; ./caudal.toml where there is one.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// # Errors
/// `UnavailableEngine` where Java or Python is missing or the download fails.
pub async fn run(arguments: SparkArguments) -> Result<()> {
    let SparkCommand::Install { config } = arguments.command;
    let settings = Settings::load(&Overrides { config, ..Overrides::default() })?;
    let say = |step: &str| eprintln!("{step}");
    let install = move || caudal_app::spark::install(&settings, &say);
    let stopped = |e| Error::new(ErrorKind::Internal, "the installation stopped").cause(e);
    let found = tokio::task::spawn_blocking(install).await.map_err(stopped)??;
    println!("Spark {} in {}, on Java {}", found.version, found.home.display(), found.java.version);
    Ok(())
}
