//! The `dataframe` pipeline: the statistics as queries that DataFusion plans and runs.

mod moments_udaf;
mod percentiles_udaf;
mod provider;
mod queries;

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use caudal_core::job::{PipelineKind, Plan};
use caudal_core::ports::{Pipeline, StageInput};
use caudal_core::request::StatisticsLevel;
use caudal_core::results::{ColumnStatistics, Columns, PipelineResult};
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::BLOCK_ROWS;
use caudal_storage::{Datasets, Table};
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::runtime::{Builder, Runtime};

use self::queries::Queries;
use crate::normalized::{normalized_statistics, read_back};
use crate::statistics::column_statistics;

/// DataFusion, on threads of its own so that a long query never keeps a request waiting.
pub struct Dataframe {
    datasets: Datasets,
    engine: Engine,
}

impl Dataframe {
    /// # Errors
    /// `Internal` when its threads cannot be started.
    pub fn new(datasets: Datasets) -> Result<Self> {
        Ok(Dataframe { datasets, engine: Engine::new()? })
    }
}

#[async_trait]
impl Pipeline for Dataframe {
    fn kind(&self) -> PipelineKind {
        PipelineKind::Dataframe
    }

    #[expect(clippy::disallowed_methods, reason = "a stage measures its own processing time")]
    async fn run(&self, input: &StageInput, plan: &Plan) -> Result<PipelineResult> {
        let source = self.datasets.table(input).await?;
        let begun = Instant::now();
        let normalized = read_back(&self.datasets, input, &source).await?;
        let columns = self.engine.profile(source, Some(normalized), plan.statistics, input).await?;
        Ok(PipelineResult::Completed { processing_time: begun.elapsed().as_secs_f64(), columns })
    }
}

/// Sessions and threads to run queries with.
pub(crate) struct Engine {
    /// Taken out only when dropped.
    threads: Option<Runtime>,
    /// Plans for every core.
    parallel: SessionContext,
    /// Plans without exchanges, for what one block holds.
    single: SessionContext,
    partitions: usize,
}

impl Engine {
    pub(crate) fn new() -> Result<Engine> {
        let partitions = std::thread::available_parallelism().map_or(1, usize::from);
        Engine::with_partitions(partitions)
    }

    pub(crate) fn with_partitions(partitions: usize) -> Result<Engine> {
        let threads =
            Builder::new_multi_thread().worker_threads(partitions).thread_name("dataframe").build().map_err(
                |e| Error::new(ErrorKind::Internal, "the dataframe threads cannot be started").cause(e),
            )?;
        let session = |partitions| {
            let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(BLOCK_ROWS);
            SessionContext::new_with_config(config)
        };
        Ok(Engine { threads: Some(threads), parallel: session(partitions), single: session(1), partitions })
    }

    /// Profiles every column; `normalized` has the same columns, in the same order.
    pub(crate) async fn profile(
        &self,
        source: Arc<Table>,
        normalized: Option<Arc<Table>>,
        statistics: StatisticsLevel,
        input: &StageInput,
    ) -> Result<Columns<ColumnStatistics>> {
        let blocks = source.rows.div_ceil(BLOCK_ROWS);
        let (session, partitions) = match blocks {
            0 | 1 => (self.single.clone(), 1),
            _ => (self.parallel.clone(), self.partitions.min(blocks)),
        };
        let queries = Queries { session, partitions, cancel: input.cancel.clone() };
        let input = input.clone();
        let work = async move {
            let columns = profile(&queries, &source, normalized.as_ref(), statistics, &input).await;
            columns.map_err(explained)
        };
        let threads = self.threads.as_ref().expect("the threads live as long as the engine");
        let stopped = |e| Error::new(ErrorKind::Internal, "the dataframe pipeline stopped").cause(e);
        threads.spawn(work).await.map_err(stopped)?
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Waiting for threads is not allowed where an engine may be dropped, within another runtime.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

/// Columns whose location and spread are found in one scan: bounds the memory for their sorted values.
const COLUMNS_AT_ONCE: usize = 16;

async fn profile(
    queries: &Queries,
    source: &Arc<Table>,
    normalized: Option<&Arc<Table>>,
    statistics: StatisticsLevel,
    input: &StageInput,
) -> datafusion::error::Result<Columns<ColumnStatistics>> {
    let (rows, count) = (source.rows as u64, source.columns.len());
    let total = rows * count as u64;
    let mut columns = Columns::with_capacity(count);
    for start in (0..count).step_by(COLUMNS_AT_ONCE) {
        let group = start..count.min(start + COLUMNS_AT_ONCE);
        let distributions = queries.distributions(source, group.clone()).await?;
        let written = match normalized {
            Some(table) => queries.moments(table, group.clone()).await?.into_iter().map(Some).collect(),
            None => vec![None; group.len()],
        };
        for ((i, distribution), written) in group.zip(distributions).zip(written) {
            input.progress.report("dataframe", rows * i as u64, total);
            let column = &source.columns[i];
            let mut profile = queries.value_counts(source, i, distribution).await?;
            if statistics == StatisticsLevel::Core {
                profile.distinct = None;
            }
            let written = written.map(normalized_statistics);
            columns.insert(column.name.clone(), column_statistics(profile, column.inexact_integers, written));
        }
    }
    input.progress.report("dataframe", total, total);
    Ok(columns)
}

/// A failed query in our words: our own errors as they were, the others as what they mean to the user.
fn explained(error: DataFusionError) -> Error {
    match error.find_root() {
        DataFusionError::External(inner) if inner.is::<Error>() => {
            inner.downcast_ref::<Error>().cloned().unwrap_or_else(|| unexplained(&error))
        }
        DataFusionError::ResourcesExhausted(_) => Error::new(
            ErrorKind::InsufficientMemory,
            "the dataframe pipeline needs more memory than is allowed",
        )
        .cause(&error),
        _ => unexplained(&error),
    }
}

fn unexplained(error: &DataFusionError) -> Error {
    Error::new(ErrorKind::Internal, "the dataframe pipeline failed").cause(error)
}
