//! A session that knows one table, `source`, and can do nothing but read it.

use std::sync::Arc;

use caudal_core::ports::StageInput;
use caudal_kernels::BLOCK_ROWS;
use caudal_storage::{Source, Steps};
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::functions;
use super::syntax::TABLE;
use super::table::SourceTable;

/// `memory` is in bytes, for what a query has to keep, such as groups.
pub(super) fn session(source: &Arc<Source>, memory: u64, input: &StageInput) -> Result<SessionContext> {
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BLOCK_ROWS)
        .set_bool("datafusion.sql_parser.enable_ident_normalization", false)
        .set_bool("datafusion.execution.enable_recursive_ctes", false);
    let no_files = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(usize::try_from(memory).unwrap_or(usize::MAX), 1.0)
        .with_disk_manager_builder(no_files)
        .build_arc()?;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_expr_planners(SessionStateDefaults::default_expr_planners())
        .with_scalar_functions(functions::all())
        .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
        .with_window_functions(SessionStateDefaults::default_window_functions())
        .build();
    let session = SessionContext::new_with_state(state);
    let steps = Steps::new(input, "deriving", source.describe().cells());
    let table = SourceTable::new(source.clone(), input.cancel.clone(), steps);
    session.register_table(TABLE, Arc::new(table))?;
    Ok(session)
}
