//! Caudal, the one binary: `process` runs a job on files, `serve` answers the API.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
