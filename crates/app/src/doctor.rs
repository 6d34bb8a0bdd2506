//! What is there on this machine, and what is missing for what Caudal can do.

use caudal_core::{Error, Result};
use caudal_spark::{Installation, Java};
use serde::Serialize;

use crate::host::{cores, memory};
use crate::settings::{Settings, StorageLocation};

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub name: &'static str,
    pub state: State,
    /// What was found, or what is missing.
    pub detail: String,
    /// What to do, where something is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    /// Not there, and only needed by jobs that ask for it.
    Missing,
    /// Nothing works without it.
    Broken,
}

/// Looks at everything.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let places = settings.spark.places();
    let looked_for = places.clone();
    let java = move || Java::find(places.java_home.as_deref(), &places.path);
    let java = tokio::task::spawn_blocking(java).await.map(|java| {
        needed("java", java.map(|java| format!("{} ({})", java.version, java.program.display())))
    });
    let spark = tokio::task::spawn_blocking(move || Installation::find(&looked_for)).await.map(|spark| {
        needed(
            "spark",
            spark.map(|s| format!("{} in {} (found by {})", s.version, s.home.display(), s.found)),
        )
    });
    let gpu = tokio::task::spawn_blocking(crate::gpu::describe).await.map(|gpu| Finding {
        name: "gpu",
        state: if gpu.state == "ok" { State::Ok } else { State::Missing },
        detail: gpu.detail,
        hint: gpu.hint,
    });
    let fallen = |name| move |_| finding(name, State::Missing, "looking for it stopped".into());
    vec![
        finding("version", State::Ok, env!("CARGO_PKG_VERSION").into()),
        finding("cores", State::Ok, cores().to_string()),
        memory_of(settings),
        bucket(settings),
        java.unwrap_or_else(fallen("java")),
        spark.unwrap_or_else(fallen("spark")),
        finding("spark master", State::Ok, settings.spark.master.clone()),
        gpu.unwrap_or_else(fallen("gpu")),
    ]
}

fn finding(name: &'static str, state: State, detail: String) -> Finding {
    Finding { name, state, detail, hint: None }
}

/// Something without which only some jobs cannot run.
fn needed(name: &'static str, found: Result<String>) -> Finding {
    match found {
        Ok(detail) => finding(name, State::Ok, detail),
        Err(error) => Finding { hint: error.hint, ..finding(name, State::Missing, error.detail) },
    }
}

fn memory_of(settings: &Settings) -> Finding {
    match (memory(), settings.memory_limit()) {
        (Ok(machine), Ok(limit)) => {
            let gigabytes = |bytes: u64| bytes as f64 / 1e9;
            let (machine, limit) = (gigabytes(machine), gigabytes(limit));
            finding("memory", State::Ok, format!("{machine:.1} GB, of which one job may take {limit:.1} GB"))
        }
        (Err(error), _) | (_, Err(error)) => {
            Finding { hint: error.hint, ..finding("memory", State::Broken, error.detail) }
        }
    }
}

/// Opens the bucket, unless it is a folder that is not there yet.
fn bucket(settings: &Settings) -> Finding {
    let broken =
        |error: Error| Finding { hint: error.hint, ..finding("bucket", State::Broken, error.detail) };
    let folder = match settings.storage.location() {
        Ok(StorageLocation::Folder(folder)) => folder,
        Ok(StorageLocation::S3(_)) => {
            return crate::store::open(settings).map_or_else(broken, |bucket| {
                finding(
                    "bucket",
                    State::Ok,
                    format!("{}; it is tried when a job or a server starts", bucket.place()),
                )
            });
        }
        Err(error) => return broken(error),
    };
    let shown = folder.display();
    match folder.metadata() {
        Err(_) => finding("bucket", State::Ok, format!("{shown} will be made by the first job")),
        Ok(found) if found.permissions().readonly() => Finding {
            hint: Some("check who owns it, or name another one with --storage".into()),
            ..finding("bucket", State::Broken, format!("{shown} cannot be written"))
        },
        Ok(_) => {
            let opened = crate::store::open(settings);
            opened.map_or_else(broken, |_| finding("bucket", State::Ok, shown.to_string()))
        }
    }
}
