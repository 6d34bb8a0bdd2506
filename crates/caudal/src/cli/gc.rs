//! `caudal gc`: takes away what nobody needs any more, or shows what it would take.

#![expect(clippy::print_stdout, reason = "this is where results are printed")]

use std::path::PathBuf;

use caudal_app::Settings;
use caudal_app::settings::Overrides;
use caudal_app::sweep::sweep;
use caudal_core::Result;
use clap::Args;

#[derive(Args)]
pub struct GcArguments {
    /// Show what would be taken away, and take nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where everything is stored: a folder, or s3://bucket/prefix.
    #[arg(long, value_name = "PLACE")]
    storage: Option<PathBuf>,
    /// A settings file; ./caudal.toml where there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Sweeps once. Servers on the same bucket may run meanwhile.
///
/// # Errors
/// A wrong setting, or a bucket that does not answer.
pub async fn run(arguments: GcArguments) -> Result<()> {
    let overrides =
        Overrides { config: arguments.config, storage: arguments.storage, ..Overrides::default() };
    let found = sweep(&Settings::load(&overrides)?, arguments.dry_run).await?;
    for garbage in &found {
        println!("{}: {}", garbage.rule, garbage.what);
    }
    let done = if arguments.dry_run { "would be taken away" } else { "taken away" };
    eprintln!("{} {done}", found.len());
    Ok(())
}
