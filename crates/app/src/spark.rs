//! Apache Spark as the settings have it.

use caudal_core::Result;
use caudal_spark::{Installation, Machine, Submit};

use crate::host::cores;
use crate::settings::Settings;

/// Starts applications where the settings say.
///
/// # Errors
/// `InvalidRequest` for a memory limit that cannot be read.
pub(crate) fn launcher(settings: &Settings) -> Result<Submit> {
    let cores = u32::try_from(cores()).unwrap_or(u32::MAX);
    let machine = Machine { cores, memory: settings.memory_limit()? };
    Ok(Submit::new(settings.spark.places(), settings.spark.master.clone(), machine))
}

/// Puts the pinned PySpark into its private environment; `say` is told each step before it is taken.
///
/// # Errors
/// `UnavailableEngine` where Java or Python is missing or the download fails.
pub fn install(settings: &Settings, say: &dyn Fn(&str)) -> Result<Installation> {
    caudal_spark::install(&settings.spark.places(), say)
}
