//! The command line: its subcommands, its log, and the way from an error to an exit code.

#[cfg(feature = "emr")]
mod aws;
mod doctor;
mod exit;
mod figures;
mod keys;
mod memory;
mod process;
mod progress;
mod report;
mod serve;
mod spark;

use std::io::IsTerminal;
use std::process::ExitCode;

use caudal_core::Result;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Clean, scale, profile and cost numbers, at any size.
#[derive(Parser)]
#[command(name = "caudal", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Normalise and profile the numeric columns of files.
    Process(process::ProcessArguments),
    /// Answer the HTTP API.
    Serve(serve::ServeArguments),
    /// Make, list and end the API keys of a server.
    Keys(keys::KeysArguments),
    /// Say what is there on this machine and what is missing.
    Doctor(doctor::DoctorArguments),
    /// Look at a deployment on AWS.
    #[cfg(feature = "emr")]
    Aws(aws::AwsArguments),
    /// Set up Apache Spark for jobs that ask for it.
    Spark(spark::SparkArguments),
}

/// Runs what the command line asks for.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let quiet = !matches!(arguments.command, Command::Serve(_));
    start_log(if quiet { "warn" } else { "info" });
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the process cannot start its threads: {error}");
            return ExitCode::from(exit::INTERNAL);
        }
    };
    let outcome: Result<()> = runtime.block_on(async {
        match arguments.command {
            Command::Process(arguments) => process::run(arguments).await,
            Command::Serve(arguments) => serve::run(arguments).await,
            Command::Keys(arguments) => keys::run(arguments).await,
            Command::Doctor(arguments) => doctor::run(arguments).await,
            #[cfg(feature = "emr")]
            Command::Aws(arguments) => aws::run(arguments).await,
            Command::Spark(arguments) => spark::run(arguments).await,
        }
    });
    // Blocking reads that were cancelled are not waited for: nothing is published by them.
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            exit::tell(&error);
            ExitCode::from(exit::code(&error))
        }
    }
}

/// Everything but results goes to standard error; CAUDAL_LOG chooses what is told.
fn start_log(default: &str) {
    let asked = EnvFilter::try_from_env("CAUDAL_LOG");
    let filter = asked.unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_target(false)
        .init();
}
