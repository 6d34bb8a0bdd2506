//! Puts a pinned Apache Spark into a private environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use caudal_core::{Error, ErrorKind, Result};

use crate::installation::{Installation, Places};
use crate::java::Java;
use crate::{archive, guard};

/// The PySpark of `requirements.txt`: of those that were tried here the one that starts quickest, and what EMR 6.15 is
/// nearest to.
pub const PYSPARK_VERSION: &str = "3.4.4";

/// What pip installs, each file known by its hash.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Lies in an environment once all of its files do.
pub(crate) const INSTALLED: &str = "installed.txt";

/// Where the environment of a version is.
pub(crate) fn environment(folder: &Path, version: &str) -> PathBuf {
    folder.join(format!("pyspark-{version}"))
}

/// Makes the private environment, unless it is there; `say` is told each step before it is taken.
///
/// # Errors
/// `UnavailableEngine` where Java or Python is missing, or pip does not succeed, with the end of what it said.
pub fn install(places: &Places, say: &dyn Fn(&str)) -> Result<Installation> {
    let java = Java::find(places.java_home.as_deref(), &places.path)?;
    java.check_runs(PYSPARK_VERSION)?;
    let ours = Places { home: None, spark_home: None, path: Vec::new(), ..places.clone() };
    // Without a path only the environment can be found, and Java is the one just seen.
    let ours = Places { java_home: java.program.parent().and_then(Path::parent).map(Path::to_owned), ..ours };
    if let Ok(found) = Installation::find(&ours) {
        say(&format!("PySpark {PYSPARK_VERSION} is already at {}", found.home.display()));
        return warmed(places, found, say);
    }
    let place = environment(&places.folder, PYSPARK_VERSION);
    let python = program(places, "python3")?;
    std::fs::create_dir_all(&places.folder).map_err(|e| unwritable(&places.folder, &e))?;
    say(&format!("making a Python environment in {}", place.display()));
    run(guard::command(python).args(["-m", "venv", "--clear"]).arg(&place))?;
    let requirements = place.join("requirements.txt");
    std::fs::write(&requirements, REQUIREMENTS).map_err(|e| unwritable(&requirements, &e))?;
    say(&format!("installing PySpark {PYSPARK_VERSION} from PyPI (about 310 MB)"));
    let pip = ["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--require-hashes"];
    run(guard::command(place.join("bin/python")).args(pip).arg("-r").arg(&requirements))?;
    std::fs::rename(&requirements, place.join(INSTALLED)).map_err(|e| unwritable(&requirements, &e))?;
    warmed(places, Installation::find(&ours)?, say)
}

fn warmed(places: &Places, found: Installation, say: &dyn Fn(&str)) -> Result<Installation> {
    say("running a tiny job, so that Java keeps Spark's classes for the next ones");
    if !archive::keep(&places.folder, &found)? {
        say("Java keeps no classes here: each job starts a few seconds later");
    }
    Ok(found)
}

fn program(places: &Places, name: &str) -> Result<PathBuf> {
    places.path.iter().map(|folder| folder.join(name)).find(|file| file.is_file()).ok_or_else(|| {
        let detail = format!("there is no {name} on the PATH, and PySpark is installed with it");
        let hint = "install Python 3.8 or newer with its venv module (Debian: apt-get install python3-venv)";
        Error::new(ErrorKind::UnavailableEngine, detail).hint(hint)
    })
}

/// The end of what a program said, when it fails.
const TOLD: usize = 600;

fn run(command: &mut Command) -> Result<()> {
    // Behind the shell, its script and its name.
    let shown = command.get_args().nth(3).unwrap_or_default().to_string_lossy().into_owned();
    let failed = |why: String| {
        Error::new(ErrorKind::UnavailableEngine, format!("{shown} could not make the environment: {why}"))
            .hint("look at what it says; the network, the proxy or the disk may be the reason")
    };
    let done = guard::run(command).map_err(|e| failed(e.to_string()))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned() + &String::from_utf8_lossy(&done.stdout);
    let end = said.trim().char_indices().rev().nth(TOLD).map_or(0, |(at, _)| at);
    Err(failed(said.trim()[end..].to_owned()))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::StorageUnavailable, format!("{} cannot be written: {error}", path.display()))
        .hint("name another folder with spark.folder in the settings")
}
