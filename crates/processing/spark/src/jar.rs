//! The Spark job that this build carries, unpacked once under the hash of its bytes.

use std::path::{Path, PathBuf};

use caudal_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

/// Built from `spark/src`; a test there holds it to its sources.
const JAR: &[u8] = include_bytes!("../../../../spark/caudal-spark.jar");

/// The jar, and the beginning of its hash.
#[cfg(feature = "emr")]
pub fn embedded() -> (String, &'static [u8]) {
    (hash(), JAR)
}

fn hash() -> String {
    Sha256::digest(JAR).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The jar's file below a folder, written unless it is there.
///
/// # Errors
/// `StorageUnavailable` where the folder takes nothing.
pub fn unpacked(folder: &Path) -> Result<PathBuf> {
    let hash = hash();
    let jar = folder.join(format!("caudal-spark-{hash}.jar"));
    if jar.metadata().is_ok_and(|found| found.len() == JAR.len() as u64) {
        return Ok(jar);
    }
    // Another process may do the same at this moment: each writes its own file, and the last name wins.
    let draft = folder.join(format!("caudal-spark-{hash}.{}.tmp", std::process::id()));
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&draft, JAR))
        .and_then(|()| std::fs::rename(&draft, &jar))
        .map_err(|e| {
            let detail = format!("the Spark job cannot be unpacked into {}: {e}", folder.display());
            Error::new(ErrorKind::StorageUnavailable, detail).hint("name another folder with spark.folder")
        })?;
    Ok(jar)
}
