//! `caudal keys`: makes, lists and ends the API keys of a server.

#![expect(clippy::print_stdout, reason = "the answer to what was asked")]

use std::path::PathBuf;
use std::time::Duration;

use caudal_app::Settings;
use caudal_app::access::{KeyOrder, NewKey, create_key, list_keys, revoke_key};
use caudal_app::settings::Overrides;
use caudal_core::identity::{ApiKey, KeyState, Scope};
use caudal_core::{Error, ErrorKind, Result};
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::process::Form;

#[derive(Args)]
pub struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
    /// Where the server stores everything: a folder, or s3://bucket/prefix.
    #[arg(long, value_name = "PLACE", global = true)]
    storage: Option<PathBuf>,
    /// A settings file; ./caudal.toml where there is one.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// A stack on AWS: the storage is its bucket, and the key one of its API's usage plan.
    #[cfg(feature = "emr")]
    #[arg(long, value_name = "NAME", global = true)]
    stack: Option<String>,
}

#[derive(Subcommand)]
enum KeysCommand {
    /// Make a key and print it: this is the only time that it can be seen.
    Create(CreateArguments),
    /// Show all keys, without their secrets.
    List {
        /// What is printed: lines for people, or one JSON array.
        #[arg(long, value_enum, default_value = "table")]
        format: Form,
    },
    /// End a key for good.
    Revoke {
        /// The key's id, as `caudal keys list` shows it.
        #[arg(value_name = "ID")]
        id: String,
    },
}

#[derive(Args)]
struct CreateArguments {
    /// Whose the jobs are that come with this key. Keys of one owner see the same jobs.
    #[arg(long, value_name = "NAME")]
    owner: String,
    /// What the key may do: submit, read, admin; repeat it for more. submit and read when it is not given.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<Scope>,
    /// How long the key holds: 12h, 90d, or never.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = lifetime)]
    expires: Lifetime,
    /// What the key is for, in your own words.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
}

#[derive(Clone, Copy)]
struct Lifetime(Option<Duration>);

/// Makes, lists or ends keys.
///
/// # Errors
/// A setting, the storage, an id that is not there.
pub async fn run(arguments: KeysArguments) -> Result<()> {
    let overrides =
        Overrides { config: arguments.config, storage: arguments.storage, ..Overrides::default() };
    #[cfg(feature = "emr")]
    if let Some(stack) = &arguments.stack {
        return on_stack(&overrides, stack, arguments.command).await;
    }
    let settings = Settings::load(&overrides)?;
    match arguments.command {
        KeysCommand::Create(order) => create(&settings, order).await.map(|made| tell_made(&made)),
        KeysCommand::List { format } => list(&settings, format).await,
        KeysCommand::Revoke { id } => {
            let key = revoke_key(&settings, &id).await?;
            println!(
                "key {} of {} holds no more; running servers see it within 5 seconds",
                key.id, key.owner
            );
            Ok(())
        }
    }
}

/// The same for a stack on AWS, whose API Gateway has to know its keys as well.
#[cfg(feature = "emr")]
async fn on_stack(overrides: &Overrides, name: &str, command: KeysCommand) -> Result<()> {
    let (settings, stack) = super::aws::of_stack(overrides, name).await?;
    match command {
        KeysCommand::Create(order) => {
            let made = create(&settings, order).await?;
            if let Err(error) = stack.attach(&made.key.id).await {
                revoke_key(&settings, &made.key.id).await?;
                return Err(error);
            }
            tell_made(&made);
            Ok(())
        }
        KeysCommand::List { format } => list(&settings, format).await,
        KeysCommand::Revoke { id } => {
            let key = revoke_key(&settings, &id).await?;
            stack.detach(&key.id).await?;
            println!(
                "key {} of {} holds no more; running functions see it within 5 seconds",
                key.id, key.owner
            );
            Ok(())
        }
    }
}

async fn create(settings: &Settings, order: CreateArguments) -> Result<NewKey> {
    let scopes = match order.scopes.is_empty() {
        true => vec![Scope::Submit, Scope::Read],
        false => order.scopes,
    };
    create_key(
        settings,
        KeyOrder {
            owner: order.owner,
            label: order.label,
            scopes: scopes.into_iter().collect(),
            lifetime: order.expires.0,
        },
    )
    .await
}

fn tell_made(made: &NewKey) {
    // The key alone goes to standard output, so that it can be piped into where it belongs.
    println!("{}", made.text.reveal());
    let ApiKey { id, owner, scopes, .. } = &made.key;
    eprintln!("key {id} of {owner} may {scopes}, until {}", end_of(&made.key));
    eprintln!("It is shown this once; only its SHA-256 is kept.");
}

async fn list(settings: &Settings, format: Form) -> Result<()> {
    let keys = list_keys(settings).await?;
    if let Form::Json = format {
        let array = Value::from(keys.iter().map(as_json).collect::<Vec<_>>());
        println!("{array}");
        return Ok(());
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["ID", "OWNER", "SCOPES", "STATE", "CREATED", "EXPIRES", "LABEL"]);
    for (key, state) in &keys {
        table.add_row([
            key.id.clone(),
            key.owner.clone(),
            key.scopes.to_string(),
            state.name().to_owned(),
            key.created_at.format("%Y-%m-%d").to_string(),
            end_of(key),
            key.label.clone().unwrap_or_default(),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Without the digest, which is nobody's business.
fn as_json((key, state): &(ApiKey, KeyState)) -> Value {
    json!({
        "id": key.id, "owner": key.owner, "label": key.label, "scopes": key.scopes, "state": state,
        "created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at,
    })
}

fn end_of(key: &ApiKey) -> String {
    key.expires_at.map_or_else(|| "never".to_owned(), |end| end.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// Reads `12h`, `90d` or `never`.
fn lifetime(text: &str) -> Result<Lifetime, Error> {
    const UNITS: [(char, u64); 4] = [('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
    let wrong = || {
        let detail = format!("expected a time such as 12h or 90d, or never; found \"{text}\"");
        Error::new(ErrorKind::InvalidRequest, detail)
    };
    if text == "never" {
        return Ok(Lifetime(None));
    }
    let (_, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit)).ok_or_else(wrong)?;
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let whole = count.checked_mul(seconds).filter(|seconds| *seconds > 0).ok_or_else(wrong)?;
    Ok(Lifetime(Some(Duration::from_secs(whole))))
}
