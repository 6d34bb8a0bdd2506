//! `caudal doctor`: what is there on this machine, and what is missing.

#![expect(clippy::print_stdout, reason = "the answer to what was asked")]

use std::path::PathBuf;

use caudal_app::Settings;
use caudal_app::doctor::{Finding, State, examine};
use caudal_app::settings::Overrides;
use caudal_core::{Error, ErrorKind, Result};
use clap::Args;

use super::process::Form;

#[derive(Args)]
pub struct DoctorArguments {
    /// What is printed: lines for people, or one JSON array.
    #[arg(long, value_enum, default_value = "table")]
    format: Form,
    /// The folder in which everything is stored.
    #[arg(long, value_name = "DIR")]
    storage: Option<PathBuf>,
    /// A settings file; ./caudal.toml where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Prints what was found.
///
/// # Errors
/// `StorageUnavailable` where something is broken that every job needs.
pub async fn run(arguments: DoctorArguments) -> Result<()> {
    let overrides =
        Overrides { config: arguments.config, storage: arguments.storage, ..Overrides::default() };
    let findings = examine(&Settings::load(&overrides)?).await;
    match arguments.format {
        Form::Table => findings.iter().for_each(tell),
        Form::Json => {
            let text = serde_json::to_string(&findings);
            println!("{}", text.map_err(|e| Error::new(ErrorKind::Internal, "no JSON").cause(e))?);
        }
    }
    match findings.into_iter().find(|finding| finding.state == State::Broken) {
        None => Ok(()),
        Some(broken) => Err(Error::new(ErrorKind::StorageUnavailable, broken.detail)),
    }
}

fn tell(finding: &Finding) {
    let mark = match finding.state {
        State::Ok => "ok     ",
        State::Missing => "missing",
        State::Broken => "BROKEN ",
    };
    println!("{mark}  {:12}  {}", finding.name, finding.detail);
    if let Some(hint) = &finding.hint {
        println!("{:23}{hint}", "");
    }
}
