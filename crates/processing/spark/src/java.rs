//! The Java that would run Spark: where it is, and whether it fits.

use std::path::{Path, PathBuf};
use std::process::Command;

use caudal_core::{Error, ErrorKind, Result};

/// A Java that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Java {
    pub program: PathBuf,
    /// 8, 11, 17, …
    pub major: u32,
    /// As it names itself.
    pub version: String,
}

const CURE: &str = "install OpenJDK 17 (Debian: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17) \
                    or name one with JAVA_HOME or spark.java_home";

impl Java {
    /// The Java of a home folder, where one is named, or the one on the path.
    ///
    /// # Errors
    /// `UnavailableEngine` where there is none, or it does not answer.
    pub fn find(home: Option<&Path>, path: &[PathBuf]) -> Result<Java> {
        let program = match home {
            Some(home) => Some(home.join("bin/java")).filter(|program| program.is_file()),
            None => path.iter().map(|folder| folder.join("java")).find(|program| program.is_file()),
        };
        match (program, home) {
            (Some(program), _) => Java::ask(program),
            (None, Some(home)) => Err(unavailable(format!(
                "there is no Java at {}/bin/java, and Spark needs it",
                home.display()
            ))),
            (None, None) => Err(unavailable("there is no java on the PATH, and Spark needs it".into())),
        }
    }

    fn ask(program: PathBuf) -> Result<Java> {
        let shown = program.display();
        let answer = Command::new(&program).arg("-version").output();
        let answer = answer.map_err(|e| unavailable(format!("{shown} cannot be run: {e}")))?;
        let said =
            String::from_utf8_lossy(&answer.stderr).into_owned() + &String::from_utf8_lossy(&answer.stdout);
        let Some((version, major)) = version_of(&said) else {
            return Err(unavailable(format!("{shown} does not say which version of Java it is")));
        };
        Ok(Java { program, major, version })
    }

    /// Whether this Java runs that version of Spark.
    ///
    /// # Errors
    /// `UnavailableEngine` naming both.
    pub fn check_runs(&self, spark: &str) -> Result<()> {
        let fitting: &[u32] = if major_of(spark) >= 4 { &[17, 21] } else { &[8, 11, 17] };
        if fitting.contains(&self.major) {
            return Ok(());
        }
        let names: Vec<String> = fitting.iter().map(u32::to_string).collect();
        let (found, program) = (&self.version, self.program.display());
        let detail =
            format!("Spark {spark} runs on Java {}, and {program} is Java {found}", names.join(" or "));
        Err(unavailable(detail))
    }
}

fn unavailable(detail: String) -> Error {
    Error::new(ErrorKind::UnavailableEngine, detail).hint(CURE)
}

/// `openjdk version "17.0.15" 2025-04-15` → 17; before Java 9 the first number was 1.
fn version_of(said: &str) -> Option<(String, u32)> {
    let version = said.split_once("version \"")?.1.split('"').next()?;
    let mut numbers = version.split(['.', '-', '+', '_']);
    let first: u32 = numbers.next()?.parse().ok()?;
    let major = if first == 1 { numbers.next()?.parse().ok()? } else { first };
    Some((version.to_owned(), major))
}

/// The first number of a version.
pub(crate) fn major_of(version: &str) -> u32 {
    version.split('.').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_java_are_read_in_both_ways_of_counting() {
        for (said, major) in [
            ("openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime", 17),
            ("java version \"1.8.0_392\"", 8),
            ("openjdk version \"21\" 2023-09-19", 21),
            ("openjdk version \"25-ea\"", 25),
        ] {
            assert_eq!(version_of(said).map(|(_, major)| major), Some(major), "{said}");
        }
        assert_eq!(version_of("command not found"), None);
    }

    #[test]
    fn a_java_that_does_not_fit_is_named_with_what_would() {
        let java = Java { program: "/opt/java".into(), major: 21, version: "21.0.1".into() };
        assert!(java.check_runs("4.0.2").is_ok());
        let error = java.check_runs("3.4.4").unwrap_err();
        assert_eq!(error.detail, "Spark 3.4.4 runs on Java 8 or 11 or 17, and /opt/java is Java 21.0.1");
        assert!(error.hint.is_some_and(|hint| hint.contains("openjdk-17")));
    }
}
