//! `caudal aws`: looks at a deployment on AWS.

#![expect(clippy::print_stdout, reason = "the answer to what was asked")]

use std::path::PathBuf;

use caudal_app::Settings;
use caudal_app::settings::Overrides;
use caudal_app::smoke::{Check, smoke};
use caudal_core::{Error, ErrorKind, Result};
use clap::{Args, Subcommand};

#[derive(Args)]
pub struct AwsArguments {
    #[command(subcommand)]
    command: AwsCommand,
}

#[derive(Subcommand)]
enum AwsCommand {
    /// Run the main job against a deployed stack, and check its objects, the bucket and the alarms.
    Smoke {
        /// The name of the stack, as `sam deploy` was told it.
        #[arg(long, value_name = "NAME")]
        stack: String,
        /// Where the API answers, if not where the stack says.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// A settings file; ./caudal.toml where there is one.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Prints each check as it is done.
///
/// # Errors
/// `Conflict` where the deployment is not as the template promises; those of AWS where it cannot be looked at.
pub async fn run(arguments: AwsArguments) -> Result<()> {
    let AwsCommand::Smoke { stack, url, config } = arguments.command;
    let settings = Settings::load(&Overrides { config, ..Overrides::default() })?;
    let checks = smoke(&settings, &stack, url.as_deref(), &tell).await?;
    let failed = checks.iter().filter(|check| !check.passed).count();
    match failed {
        0 => Ok(()),
        _ => {
            let detail = format!("{failed} of {} checks of the stack {stack} failed", checks.len());
            Err(Error::new(ErrorKind::Conflict, detail))
        }
    }
}

fn tell(check: &Check) {
    println!("{}  {:14}  {}", if check.passed { "ok    " } else { "FAILED" }, check.name, check.detail);
}
