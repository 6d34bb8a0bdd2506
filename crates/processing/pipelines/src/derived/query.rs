//! Plans what was asked, part by part so that every fault is told with its place, and runs it.

use std::sync::Arc;
use std::time::Duration;

use caudal_core::ports::StageInput;
use caudal_core::{Error, ErrorKind, Faults, Result};
use caudal_storage::{Datasets, Gathering, Source};
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;

use super::Asked;
use super::errors::{Trouble, Troubles, explained, trouble};
use super::session::session;
use super::syntax::{self, Part, Reading};

/// How long a query may keep its caller from seeing that the job was cancelled.
const LOOK_UP: Duration = Duration::from_millis(200);

/// The rows that were asked for, in the order of the source. `memory` is in bytes.
pub(super) async fn derive(
    datasets: &Datasets,
    asked: &Asked,
    source: &Arc<Source>,
    memory: u64,
    input: &StageInput,
) -> Result<Source> {
    let session = session(source, memory, input).map_err(|e| explained(&e, asked.pointer(), source))?;
    let plan = plan(&session, asked, source).await?;
    let frame = DataFrame::new(session.state(), plan);
    let rows = frame.execute_stream().await.map_err(|e| explained(&e, asked.pointer(), source))?;
    let gathering =
        Gathering::begin(datasets, &rows.schema(), memory / 2).map_err(|e| at(asked.pointer(), e))?;
    gather(rows, gathering, asked, source, input).await
}

async fn plan(session: &SessionContext, asked: &Asked, source: &Source) -> Result<LogicalPlan> {
    let Reading { parts, whole, mut troubles } = syntax::read(asked, source);
    let (alone, mut planned) = (parts.len() == 1, None);
    for Part { pointer, query } in parts {
        match plan_query(session, query).await {
            Ok(plan) => planned = Some(plan),
            Err(error) => troubles.push(&pointer, trouble(&error, source)),
        }
    }
    let whole = troubles.none_of(whole)?;
    match planned {
        Some(plan) if alone => Ok(plan),
        _ => plan_query(session, whole).await.map_err(|e| explained(&e, asked.pointer(), source)),
    }
}

/// Plans a query as far as faults of types are found.
async fn plan_query(session: &SessionContext, query: ast::Query) -> datafusion::error::Result<LogicalPlan> {
    let statement = ast::Statement::Query(Box::new(query));
    let state = session.state();
    let plan = state.statement_to_plan(Statement::Statement(Box::new(statement))).await?;
    let reading = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reading.verify_plan(&plan).map_err(|_| DataFusionError::Plan(syntax::ONLY_SELECT.into()))?;
    state.optimize(&plan)?;
    Ok(plan)
}

async fn gather(
    mut rows: SendableRecordBatchStream,
    mut gathering: Gathering,
    asked: &Asked,
    source: &Source,
    input: &StageInput,
) -> Result<Source> {
    loop {
        input.cancel.check()?;
        match tokio::time::timeout(LOOK_UP, rows.next()).await {
            Err(_) => {}
            Ok(Some(batch)) => {
                gathering.add(&batch.map_err(|e| explained(&e, asked.pointer(), source))?)?;
            }
            Ok(None) => break,
        }
    }
    let mut origin = source.describe();
    if !matches!(asked, Asked::Rows { select, .. } if select.is_empty()) {
        // What was not selected was not passed over either.
        origin.skipped.clear();
    }
    let derived = gathering.finish(&origin)?;
    match derived.rows() {
        0 => Err(nothing(asked, source)),
        _ => Ok(derived),
    }
}

fn nothing(asked: &Asked, source: &Source) -> Error {
    let (pointer, what) = match asked {
        Asked::Query(_) => ("/sql", "no row meets the condition: the query gives none of"),
        Asked::Rows { .. } => ("/where", "no row meets the condition, of"),
    };
    let detail = format!("{what} {} that were read", source.rows());
    let mut troubles = Troubles::default();
    troubles.push(pointer, Trouble { kind: ErrorKind::InvalidData, detail, hint: None, cause: None });
    troubles.error()
}

/// Faults of a result as faults of the field that asked for it.
fn at(pointer: &str, error: Error) -> Error {
    let mut faults = Faults::default();
    for fault in &error.faults.first {
        faults.push(|| pointer.to_owned(), || fault.detail.clone());
    }
    Error::from_faults(error.kind, faults)
}
