//! What DataFusion finds wrong, in words for whoever wrote the request.

use caudal_core::{Error, ErrorKind, Faults, Result};
use caudal_storage::{Source, listed, unknown_column};
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use super::functions::CANONICAL;
use super::syntax::TABLE;

/// One thing that is wrong.
#[derive(Clone)]
pub(super) struct Trouble {
    pub kind: ErrorKind,
    pub detail: String,
    pub hint: Option<&'static str>,
    /// For the log.
    pub cause: Option<String>,
}

impl Trouble {
    pub(super) fn request(detail: impl Into<String>) -> Trouble {
        Trouble { kind: ErrorKind::InvalidRequest, detail: detail.into(), hint: None, cause: None }
    }
}

/// Everything that is wrong with a request.
#[derive(Default)]
pub(super) struct Troubles {
    all: Vec<(String, Trouble)>,
}

impl Troubles {
    pub(super) fn push(&mut self, pointer: &str, trouble: Trouble) {
        self.all.push((pointer.to_owned(), trouble));
    }

    /// What was read, where nothing is wrong with it.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(super) fn none_of<T>(self, read: Option<T>) -> Result<T> {
        match read {
            Some(read) if self.all.is_empty() => Ok(read),
            _ => Err(self.error()),
        }
    }

    /// One error of all: about the data only where nothing is wrong with the request.
    pub(super) fn error(self) -> Error {
        let mut faults = Faults::default();
        for (pointer, trouble) in &self.all {
            faults.push(|| pointer.clone(), || trouble.detail.clone());
        }
        let kinds: Vec<_> = self.all.iter().map(|(_, trouble)| trouble.kind).collect();
        let kind = match kinds.iter().all(|kind| *kind == ErrorKind::InvalidData) {
            true => ErrorKind::InvalidData,
            false => ErrorKind::InvalidRequest,
        };
        let mut error = Error::from_faults(kind, faults);
        if let Some(hint) = self.all.iter().find_map(|(_, trouble)| trouble.hint) {
            error = error.hint(hint);
        }
        error.cause = self.all.into_iter().find_map(|(_, trouble)| trouble.cause);
        error
    }
}

/// An error of planning or running: our own as it is, the others as a fault of a field.
pub(super) fn explained(error: &DataFusionError, pointer: &str, source: &Source) -> Error {
    match error.find_root() {
        DataFusionError::External(inner) if inner.is::<Error>() => {
            inner.downcast_ref::<Error>().cloned().unwrap_or_else(|| fault(error, pointer, source))
        }
        DataFusionError::ResourcesExhausted(_) => Error::new(
            ErrorKind::InsufficientMemory,
            "the query has to keep more than the memory that is allowed",
        )
        .hint("select fewer rows or columns, or raise --memory-limit")
        .cause(error),
        _ => fault(error, pointer, source),
    }
}

fn fault(error: &DataFusionError, pointer: &str, source: &Source) -> Error {
    let mut troubles = Troubles::default();
    troubles.push(pointer, trouble(error, source));
    troubles.error()
}

/// What is wrong with a query, over a source.
pub(super) fn trouble(error: &DataFusionError, source: &Source) -> Trouble {
    let trouble = match error.find_root() {
        DataFusionError::SchemaError(inner, _) => match inner.as_ref() {
            SchemaError::FieldNotFound { field, .. } => no_column(field, source),
            other => Trouble::request(cleaned(&other.to_string())),
        },
        DataFusionError::SQL(inner, _) => Trouble::request(unreadable(inner)),
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Configuration(text)
        | DataFusionError::Execution(text) => Trouble::request(cleaned(text)),
        DataFusionError::ArrowError(inner, _) => Trouble::request(cleaned(&inner.to_string())),
        _ => Trouble::request("the query engine cannot run this"),
    };
    Trouble { cause: Some(error.to_string()), ..trouble }
}

/// What the parser says.
pub(super) fn unreadable(error: &ParserError) -> String {
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            format!("this is not SQL: {}", cleaned(text))
        }
        ParserError::RecursionLimitExceeded => "this is nested too deeply".into(),
    }
}

fn no_column(field: &Column, source: &Source) -> Trouble {
    let described = source.describe();
    let known: Vec<&str> = source.names().collect();
    let relation = field.relation.as_ref().map(|relation| relation.table()).filter(|name| *name != TABLE);
    let name = relation.map_or_else(|| field.name.clone(), |relation| format!("{relation}.{}", field.name));
    let skipped = described.skipped.iter().find(|c| c.name.eq_ignore_ascii_case(&name));
    let (detail, hint) = match skipped {
        Some(c) => {
            let numeric = listed(&known);
            let detail = format!(
                "the column \"{}\" ({}) is not available: {}; the numeric columns are {numeric}",
                c.name, c.data_type, c.reason
            );
            (detail, None)
        }
        None if known.contains(&name.as_str()) => {
            (format!("the column \"{name}\" must stand in double quotes"), None)
        }
        None => {
            let hint = "a text stands in single quotes; a name that is no plain word stands in double quotes";
            (unknown_column(&name, &known), Some(hint))
        }
    };
    Trouble { kind: ErrorKind::InvalidData, detail, hint, cause: None }
}

/// One line without what only DataFusion's authors understand.
fn cleaned(text: &str) -> String {
    let text = text.split("\n\nbacktrace").next().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.replace(CANONICAL, "").replace(&format!("{TABLE}."), "");
    text.trim_end_matches('.').to_owned()
}
