//! The lines that the Spark job says while it runs.

use caudal_core::fault::{FAULTS_TOLD, Faults};
use caudal_core::{Error, ErrorKind};
use serde::Deserialize;

/// What a line begins with when it is for us.
const PREFIX: &str = "CAUDAL ";

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Progress(Progress),
    Fault(Fault),
    ExecutorLost {
        #[serde(default)]
        reason: String,
    },
    #[serde(other)]
    Other,
}

/// How far a step is, in tasks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Progress {
    pub step: String,
    pub done: u64,
    pub total: u64,
}

/// Why the job gave up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Fault {
    pub kind: String,
    #[serde(default)]
    pub errors: Vec<FaultAt>,
    #[serde(default)]
    pub errors_total: Option<u64>,
    #[serde(default)]
    pub hint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FaultAt {
    pub detail: String,
    #[serde(default)]
    pub file: Option<String>,
    #[serde(default)]
    pub row: Option<u64>,
    #[serde(default)]
    pub column: Option<String>,
    /// Another place than a row and a column, in words.
    #[serde(default)]
    pub at: Option<String>,
}

impl Event {
    /// The event of a line; `None` where the line is Spark's own.
    pub fn of(line: &str) -> Option<Event> {
        serde_json::from_str(line.strip_prefix(PREFIX)?).ok()
    }
}

impl Fault {
    /// The fault as the embedded engine would tell it; `folder` where the source is the files of one.
    pub fn error(&self, folder: Option<&str>) -> Error {
        let kind = match self.kind.as_str() {
            "invalid_request" => ErrorKind::InvalidRequest,
            "invalid_data" => ErrorKind::InvalidData,
            "source_unavailable" => ErrorKind::SourceUnavailable,
            "insufficient_memory" => ErrorKind::InsufficientMemory,
            "storage_unavailable" => ErrorKind::StorageUnavailable,
            _ => ErrorKind::EngineFailed,
        };
        let mut faults = Faults::default();
        for fault in self.errors.iter().take(FAULTS_TOLD) {
            faults.push(|| fault.place(folder), || within(folder, &fault.detail));
        }
        faults.total = self.errors_total.unwrap_or(0).max(self.errors.len() as u64);
        // Only content has places; of anything else the sentence is all there is to say.
        let mut error = match (kind, self.errors.first()) {
            (ErrorKind::InvalidData | ErrorKind::InvalidRequest, Some(_)) => Error::from_faults(kind, faults),
            (_, Some(first)) => Error::new(kind, within(folder, &first.detail)),
            (_, None) => Error::new(kind, "the Spark job gave up and did not say why"),
        };
        error.hint = self.hint.clone();
        error
    }
}

impl FaultAt {
    /// As the embedded engine has it: behind the file's name in its folder, where the source is one.
    fn place(&self, folder: Option<&str>) -> String {
        let row = self.row.map(|row| format!("row {row}"));
        let column = self.column.as_ref().map(|column| format!("column {column}"));
        let within: Vec<String> = match &self.at {
            Some(at) => vec![at.clone()],
            None => [row, column].into_iter().flatten().collect(),
        };
        let within = within.join(", ");
        match self.file.as_ref().filter(|_| folder.is_some()).map(|file| self::within(folder, file)) {
            Some(file) if within.is_empty() => file,
            Some(file) => format!("{file}: {within}"),
            None if within.is_empty() => "/source".into(),
            None => within,
        }
    }
}

/// A text with the names of files as they are within their folder.
fn within(folder: Option<&str>, text: &str) -> String {
    let Some(folder) = folder else { return text.to_owned() };
    text.replace(&format!("file:{folder}/"), "").replace(&format!("file://{folder}/"), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_job_are_told_from_those_of_spark() {
        let line = r#"CAUDAL {"event":"progress","step":"rdd: moments","done":3,"total":16}"#;
        let progress = Progress { step: "rdd: moments".into(), done: 3, total: 16 };
        assert_eq!(Event::of(line), Some(Event::Progress(progress)));
        assert_eq!(Event::of(r#"CAUDAL {"event":"started","cores":2}"#), Some(Event::Other));
        for line in ["26/11/25 INFO SparkContext: Running", "CAUDAL not JSON", ""] {
            assert_eq!(Event::of(line), None, "{line}");
        }
    }

    #[test]
    fn a_place_that_is_no_row_is_told_in_its_own_words() {
        let line = r#"CAUDAL {"event":"fault","kind":"invalid_data","errors":[
            {"detail":"expected a number, found true","file":"file:/a.ndjson","at":"line 3, column x"}]}"#;
        let Some(Event::Fault(fault)) = Event::of(line) else { panic!("no fault") };
        assert_eq!(fault.error(None).detail, "line 3, column x: expected a number, found true");
    }

    #[test]
    fn a_fault_of_the_data_has_the_places_that_the_embedded_engine_gives() {
        let line = r#"CAUDAL {"event":"fault","kind":"invalid_data","errors":[
            {"detail":"expected a number, found \"abc\"","file":"file:/data/a.csv","row":12,"column":"delay"}],
            "errors_total":3,"hint":null}"#;
        let Some(Event::Fault(fault)) = Event::of(line) else { panic!("no fault") };
        let error = fault.error(None);
        assert_eq!(error.kind, ErrorKind::InvalidData);
        assert_eq!(error.detail, "row 12, column delay: expected a number, found \"abc\" (and 2 more)");
        assert!(fault.error(Some("/data")).detail.starts_with("a.csv: row 12, column delay: "));
    }
}
