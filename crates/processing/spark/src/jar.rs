//! The Spark job that this build carries, unpacked once under the hash of its bytes.

use std::path::{Path, PathBuf};

use caudal_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

/// Built from `spark/src`; a test below holds it to its sources.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: impl AsRef<[u8]>) -> String {
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            match entry.is_dir() {
                true => sources(&entry, found),
                false if entry.extension().is_some_and(|e| e == "java") => found.push(entry),
                false => {}
            }
        }
    }

    #[test]
    fn the_jar_that_is_carried_belongs_to_its_sources() {
        let room = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"))
            .join("../../../spark");
        let mut found = Vec::new();
        sources(&room.join("src"), &mut found);
        found.sort();
        let mut digest = Sha256::new();
        for source in found {
            let content = std::fs::read(&source).expect("a source");
            let name = source.strip_prefix(&room).expect("below the room").display().to_string();
            digest.update(format!("{name} {}\n", content.len()));
            digest.update(content);
        }
        let record = std::fs::read_to_string(room.join("caudal-spark.sources")).expect("the record");
        let expected = format!("sources {}\njar {}\n", hex(digest.finalize()), hex(Sha256::digest(JAR)));
        assert_eq!(record, expected, "run spark/build");
    }
}
