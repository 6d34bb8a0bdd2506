//! `caudal webhook-key`: makes the key that webhooks are signed with, and shows an owner the one to check them with.

#![expect(clippy::print_stdout, reason = "keys are what this subcommand is asked for")]

use std::path::PathBuf;

use caudal_app::settings::Overrides;
use caudal_app::{Settings, SigningKey};
use caudal_core::job::LOCAL_OWNER;
use caudal_core::{Error, ErrorKind, Result};
use clap::{Args, Subcommand};

#[derive(Args)]
pub struct WebhookKeyArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a new key for webhooks.key.
    New,
    /// Print the key with which an owner checks the signatures of its messages.
    Show {
        /// Whose.
        #[arg(long, value_name = "NAME", default_value = LOCAL_OWNER)]
        owner: String,
        /// A settings file; ./caudal.toml where there is one.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Prints a key on a line of its own.
///
/// # Errors
/// `InvalidRequest` where no key is set, `Internal` where the system has no randomness.
pub fn run(arguments: WebhookKeyArguments) -> Result<()> {
    match arguments.action {
        Action::New => {
            let key = SigningKey::generate()
                .ok_or_else(|| Error::new(ErrorKind::Internal, "the system gives no randomness"))?;
            println!("{}", key.text());
            eprintln!("set it as webhooks.key, best in the environment: CAUDAL__WEBHOOKS__KEY");
        }
        Action::Show { owner, config } => {
            let settings = Settings::load(&Overrides { config, ..Overrides::default() })?;
            let key = settings.webhooks.key()?.ok_or_else(|| {
                Error::new(ErrorKind::InvalidRequest, "webhooks.key is not set")
                    .hint("make one with `caudal webhook-key new`")
            })?;
            println!("{}", key.of_owner(&owner).text());
        }
    }
    Ok(())
}
