//! Where Apache Spark is on this machine, and whether it can be used.

use std::path::{Path, PathBuf};

use caudal_core::{Error, ErrorKind, Result};

use crate::install::{INSTALLED, PYSPARK_VERSION, environment};
use crate::java::{Java, major_of};

/// Where to look, in this order.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Named in the settings; nothing else is looked at then.
    pub home: Option<PathBuf>,
    /// `SPARK_HOME`.
    pub spark_home: Option<PathBuf>,
    /// What is Caudal's own: the private environment, the unpacked jar, the working folders.
    pub folder: PathBuf,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// Named in the settings, or `JAVA_HOME`.
    pub java_home: Option<PathBuf>,
}

/// A Spark that can be submitted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    pub home: PathBuf,
    pub version: String,
    pub java: Java,
    /// How it was found.
    pub found: &'static str,
}

impl Installation {
    /// Finds Spark and its Java.
    ///
    /// # Errors
    /// `UnavailableEngine` where there is none, it is older than 3.4, or Java is missing or does not fit.
    pub fn find(places: &Places) -> Result<Installation> {
        let (home, found) = home(places)?;
        let version = version_of(&home).ok_or_else(|| {
            let detail =
                format!("{} holds no Spark: there is no jars/spark-core_*.jar in it", home.display());
            Error::new(ErrorKind::UnavailableEngine, detail).hint(CURE)
        })?;
        let minor = version.split('.').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        if (major_of(&version), minor) < (3, 4) {
            let detail = format!("the Spark at {} is {version}, and 3.4 or newer is needed", home.display());
            return Err(Error::new(ErrorKind::UnavailableEngine, detail).hint(CURE));
        }
        let java = Java::find(places.java_home.as_deref(), &places.path)?;
        java.check_runs(&version)?;
        Ok(Installation { home, version, java, found })
    }

    pub(crate) fn spark_submit(&self) -> PathBuf {
        self.home.join("bin/spark-submit")
    }

    /// The folder that the start scripts take for Java's.
    pub(crate) fn java_home(&self) -> Option<&Path> {
        self.java.program.parent().and_then(Path::parent)
    }
}

const CURE: &str = "caudal spark install puts one into a private folder; or set SPARK_HOME";

fn home(places: &Places) -> Result<(PathBuf, &'static str)> {
    let usable = |home: &PathBuf| home.join("bin/spark-submit").is_file();
    let named = [(&places.home, "spark.home"), (&places.spark_home, "SPARK_HOME")];
    let first = named.into_iter().find_map(|(home, found)| Some((home.clone()?, found)));
    if let Some((home, found)) = first {
        if usable(&home) {
            return Ok((home, found));
        }
        let detail = format!("{found} is {}, and there is no bin/spark-submit in it", home.display());
        return Err(Error::new(ErrorKind::UnavailableEngine, detail).hint(CURE));
    }
    let ours = environment(&places.folder, PYSPARK_VERSION);
    if let Some(home) = in_environment(&ours).filter(usable).filter(|_| ours.join(INSTALLED).is_file()) {
        return Ok((home, "caudal spark install"));
    }
    let on_path = places.path.iter().map(|folder| folder.join("spark-submit")).find(|file| file.is_file());
    match on_path.as_deref().and_then(behind).filter(usable) {
        Some(home) => Ok((home, "spark-submit on the PATH")),
        None => {
            Err(Error::new(ErrorKind::UnavailableEngine, "Apache Spark is not on this machine").hint(CURE))
        }
    }
}

/// The Spark that pip puts into a Python environment.
fn in_environment(environment: &Path) -> Option<PathBuf> {
    let pythons = std::fs::read_dir(environment.join("lib")).ok()?;
    let homes = pythons.flatten().map(|python| python.path().join("site-packages/pyspark"));
    homes.into_iter().find(|home| home.join("jars").is_dir())
}

/// The home of a `spark-submit`: it lies in its `bin`, or beside a Python whose packages hold it.
fn behind(submit: &Path) -> Option<PathBuf> {
    let real = submit.canonicalize().ok()?;
    let above = real.parent()?.parent()?;
    if above.join("jars").is_dir() { Some(above.to_owned()) } else { in_environment(above) }
}

/// `jars/spark-core_2.12-3.4.4.jar` → `3.4.4`.
fn version_of(home: &Path) -> Option<String> {
    let jars = std::fs::read_dir(home.join("jars")).ok()?;
    let names = jars.flatten().filter_map(|jar| jar.file_name().into_string().ok());
    let core = names.into_iter().find(|name| name.starts_with("spark-core_"))?;
    Some(core.strip_suffix(".jar")?.split_once('-')?.1.split_once('-')?.1.to_owned())
}
