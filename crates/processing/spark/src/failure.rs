//! Why an application ended without its results, as a sentence for the user.

use caudal_core::{Error, ErrorKind};

use crate::launcher::Failure;

/// What a log says, what that means, and what to do.
type Sign = (&'static [&'static str], ErrorKind, &'static str, &'static str);

/// In this order: the first that is found says it.
const SIGNS: [Sign; 6] = [
    (
        &["No space left on device", "Disk quota exceeded"],
        ErrorKind::StorageUnavailable,
        "a disk is full: the bucket's, or that of Spark's scratch files",
        "make room, or name another folder with spark.folder in the settings",
    ),
    (
        &[
            "java.lang.OutOfMemoryError",
            "exceeding memory limits",
            "exceeding physical memory limits",
            "OOMKilled",
        ],
        ErrorKind::InsufficientMemory,
        "Spark ran out of memory",
        "ask for more with spark_config.executor_memory (on this machine, raise --memory-limit)",
    ),
    (
        &["All masters are unresponsive", "Failed to connect to master", "UnknownHostException"],
        ErrorKind::UnavailableEngine,
        "the Spark master does not answer",
        "check its address (spark.master, --master) and that it runs",
    ),
    (
        &["Could not parse Master URL", "Master must either be yarn or start with spark"],
        ErrorKind::UnavailableEngine,
        "the Spark master is none that this Spark knows",
        "expected local[*], spark://host:port, yarn or k8s://https://host:port",
    ),
    (
        &["UnsupportedClassVersionError", "JAVA_HOME is not set"],
        ErrorKind::UnavailableEngine,
        "the Java that Spark found does not fit",
        "install OpenJDK 17 and name it with JAVA_HOME",
    ),
    (
        &["HADOOP_CONF_DIR or YARN_CONF_DIR must be set"],
        ErrorKind::UnavailableEngine,
        "YARN cannot be found",
        "set HADOOP_CONF_DIR to the folder of its configuration",
    ),
];

/// A process that the system killed, as a shell tells it.
const KILLED: i32 = 128 + 9;

/// The error of a failed application; `log` is the end of its log, and `place` where that is kept.
pub fn explain(failure: &Failure, folder: Option<&str>, log: &str, place: &str) -> Error {
    if let Some(fault) = &failure.fault
        && let error = fault.error(folder)
        && error.kind != ErrorKind::EngineFailed
    {
        return error;
    }
    let lost = failure.lost.join("\n");
    let told = |signs: &[&str]| signs.iter().any(|sign| log.contains(sign) || lost.contains(sign));
    if let Some((_, kind, what, cure)) = SIGNS.iter().find(|(signs, ..)| told(signs)) {
        return Error::new(*kind, format!("{what}; its log is {place}")).hint(*cure);
    }
    let said = failure.fault.as_ref().map(|fault| fault.error(folder).detail);
    let reason = match (said, failure.code) {
        (Some(said), _) => said,
        (None, Some(KILLED)) => "its process was killed, as the system does when memory runs out".into(),
        (None, Some(code)) => match last_exception(log) {
            Some(exception) => format!("it ended with code {code}: {exception}"),
            None => format!("it ended with code {code}"),
        },
        (None, None) => match (last_exception(log), &failure.told) {
            (Some(exception), _) => exception,
            (None, Some(told)) => format!("its service says: {told}"),
            (None, None) => "it left no results".into(),
        },
    };
    Error::new(
        ErrorKind::EngineFailed,
        format!("the Spark application stopped: {reason}; its log is {place}"),
    )
}

/// Characters of an exception that a sentence can carry.
const TOLD: usize = 300;

/// The last line that names a cause, or else an exception.
fn last_exception(log: &str) -> Option<String> {
    let named = |line: &&str| line.contains("Exception: ") || line.contains("Error: ");
    let causes = log.lines().rfind(|line| line.starts_with("Caused by: "));
    let line = causes.or_else(|| log.lines().rfind(named))?;
    let line = line.strip_prefix("Caused by: ").unwrap_or(line).trim();
    Some(line.chars().take(TOLD).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(log: &str, code: i32) -> Error {
        explain(&Failure { code: Some(code), ..Failure::default() }, None, log, "file:///b/driver.log")
    }

    #[test]
    fn what_the_log_says_becomes_a_sentence_and_the_one_who_must_act() {
        for (log, kind) in [
            ("java.io.IOException: No space left on device", ErrorKind::StorageUnavailable),
            ("ERROR Executor: java.lang.OutOfMemoryError: Java heap space", ErrorKind::InsufficientMemory),
            ("ERROR All masters are unresponsive! Giving up.", ErrorKind::UnavailableEngine),
            ("SparkException: Could not parse Master URL: 'nowhere'", ErrorKind::UnavailableEngine),
            ("java.lang.IllegalStateException: odd", ErrorKind::EngineFailed),
        ] {
            let error = explained(log, 1);
            assert_eq!(error.kind, kind, "{log}");
            assert!(error.detail.contains("file:///b/driver.log"), "{}", error.detail);
        }
    }

    #[test]
    fn the_innermost_cause_is_the_one_that_is_told() {
        let log = "Exception in thread \"main\" a.BException: outer\n\tat x\nCaused by: c.DException: inner\n\tat y";
        let expected = "the Spark application stopped: it ended with code 1: c.DException: inner; \
                        its log is file:///b/driver.log";
        assert_eq!(explained(log, 1).detail, expected);
        assert!(explained("", 137).detail.contains("killed"));
    }

    #[test]
    fn an_executor_that_was_lost_for_memory_is_said_so() {
        let lost = vec!["Container killed by YARN for exceeding memory limits".to_owned()];
        let error = explain(&Failure { lost, ..Failure::default() }, None, "", "log");
        assert_eq!(error.kind, ErrorKind::InsufficientMemory);
    }
}
