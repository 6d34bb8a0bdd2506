//! Apache Spark as the settings have it.

use std::sync::Arc;

use caudal_core::Result;
use caudal_spark::{Installation, Launcher, Machine, Submit};
use caudal_storage::Bucket;

use crate::host::cores;
use crate::settings::Settings;

/// Starts applications where the settings say.
///
/// # Errors
/// `InvalidRequest` for a memory limit that cannot be read, or where a service lacks what it needs.
pub(crate) fn launcher(settings: &Settings, bucket: &Bucket) -> Result<Arc<dyn Launcher>> {
    if let Some(elsewhere) = elsewhere(settings, bucket)? {
        return Ok(elsewhere);
    }
    let cores = u32::try_from(cores()).unwrap_or(u32::MAX);
    let machine = Machine { cores, memory: settings.memory_limit()? };
    Ok(Arc::new(Submit::new(settings.spark.places(), settings.spark.master.clone(), machine)))
}

#[cfg(feature = "emr")]
fn elsewhere(settings: &Settings, bucket: &Bucket) -> Result<Option<Arc<dyn Launcher>>> {
    use caudal_spark::Remote;
    use caudal_storage::Applications;

    let applications = Applications::new(bucket.clone());
    let clock = Arc::new(crate::host::SystemClock::new());
    #[cfg(feature = "lambda-http")]
    if let Some(function) = crate::lambda::LauncherFunction::named(settings, &applications)? {
        let options = crate::emr::options(settings, true);
        return Ok(Some(Arc::new(Remote::new(Arc::new(function), applications, clock, options))));
    }
    Ok(crate::emr::service(settings, bucket)?.map(|service| -> Arc<dyn Launcher> {
        Arc::new(Remote::new(service, applications, clock, crate::emr::options(settings, false)))
    }))
}

#[cfg(not(feature = "emr"))]
fn elsewhere(settings: &Settings, _: &Bucket) -> Result<Option<Arc<dyn Launcher>>> {
    match settings.emr.on.as_str() {
        "" => Ok(None),
        _ => Err(caudal_core::Error::new(
            caudal_core::ErrorKind::UnavailableEngine,
            "emr.on is set, and this build has no EMR",
        )
        .hint("build caudal with its default features")),
    }
}

/// Puts the pinned PySpark into its private environment; `say` is told each step before it is taken.
///
/// # Errors
/// `UnavailableEngine` where Java or Python is missing or the download fails.
pub fn install(settings: &Settings, say: &dyn Fn(&str)) -> Result<Installation> {
    caudal_spark::install(&settings.spark.places(), say)
}
