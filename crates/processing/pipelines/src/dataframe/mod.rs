//! The `dataframe` pipeline: the statistics as queries that DataFusion plans and runs.

mod pass_udaf;
pub(crate) mod provider;
mod queries;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use async_trait::async_trait;
use caudal_core::job::{PipelineKind, Plan};
use caudal_core::ports::{Pipeline, StageInput};
use caudal_core::request::StatisticsLevel;
use caudal_core::results::{ColumnStatistics, Columns, PipelineResult};
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::{BLOCK_ROWS, ProfileOptions, Profiling};
use caudal_storage::{Datasets, Source, SourceColumn, Steps};
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OnceCell;

use self::queries::Queries;
use crate::derived::DerivedSources;
use crate::normalized::{normalized_statistics, read_back};
use crate::statistics::{column_statistics, columns_at_once, profile_options};

/// DataFusion, on threads of its own so that a long query never keeps a request waiting.
pub struct Dataframe {
    datasets: Datasets,
    engine: Arc<LazyEngine>,
}

impl Dataframe {
    pub fn new(datasets: Datasets) -> Self {
        Dataframe { datasets, engine: Arc::default() }
    }

    /// The sources of jobs, and what they ask to be derived from them, on the same threads.
    pub fn derived_sources(&self) -> DerivedSources {
        DerivedSources::new(self.datasets.clone(), self.engine.clone())
    }
}

#[async_trait]
impl Pipeline for Dataframe {
    fn kind(&self) -> PipelineKind {
        PipelineKind::Dataframe
    }

    #[expect(clippy::disallowed_methods, reason = "a stage measures its own processing time")]
    async fn run(&self, input: &StageInput, plan: &Plan) -> Result<PipelineResult> {
        let source = self.datasets.source(input).await?;
        let begun = Instant::now();
        let normalized = read_back(&self.datasets, input, &source).await?;
        let memory = self.datasets.memory_limit();
        let engine = self.engine.get().await?;
        let columns = engine.profile(source, Some(normalized), plan.statistics, memory, input).await?;
        Ok(PipelineResult::Completed { processing_time: begun.elapsed().as_secs_f64(), columns })
    }
}

/// An engine that starts when it is first wanted: most runs of the command line never want it.
#[derive(Default)]
pub(crate) struct LazyEngine(OnceCell<Engine>);

impl LazyEngine {
    /// # Errors
    /// `Internal` when its threads cannot be started.
    pub async fn get(&self) -> Result<&Engine> {
        self.0.get_or_try_init(|| async { Engine::new() }).await
    }
}

/// Stack of each thread: an expression as long as a request may hold is taken apart by recursion.
const STACK_BYTES: usize = 32 << 20;

/// Sessions and threads to run queries with.
pub(crate) struct Engine {
    /// Taken out only when dropped.
    threads: Option<Runtime>,
    /// Plans for every core.
    parallel: OnceLock<SessionContext>,
    /// Plans without exchanges, for what one block holds.
    single: OnceLock<SessionContext>,
    partitions: usize,
}

impl Engine {
    /// On as many threads as our own kernels use.
    pub(crate) fn new() -> Result<Engine> {
        Engine::with_partitions(rayon::current_num_threads())
    }

    pub(crate) fn with_partitions(partitions: usize) -> Result<Engine> {
        let mut threads = Builder::new_multi_thread();
        threads
            .worker_threads(partitions)
            .thread_name("dataframe")
            .thread_stack_size(STACK_BYTES)
            .enable_time();
        let threads = threads.build().map_err(|e| {
            Error::new(ErrorKind::Internal, "the dataframe threads cannot be started").cause(e)
        })?;
        Ok(Engine { threads: Some(threads), parallel: OnceLock::new(), single: OnceLock::new(), partitions })
    }

    /// Profiles every column; `normalized` has the same columns, in the same order. `memory` is in bytes.
    pub(crate) async fn profile(
        &self,
        source: Arc<Source>,
        normalized: Option<Arc<Source>>,
        statistics: StatisticsLevel,
        memory: u64,
        input: &StageInput,
    ) -> Result<Columns<ColumnStatistics>> {
        let blocks = usize::try_from(source.blocks()).unwrap_or(usize::MAX);
        let (session, partitions) = match blocks {
            0 | 1 => (self.single.get_or_init(|| session(1)).clone(), 1),
            _ => {
                let parallel = self.parallel.get_or_init(|| session(self.partitions));
                (parallel.clone(), self.partitions.min(blocks))
            }
        };
        let queries = Queries { session, partitions, cancel: input.cancel.clone() };
        let at_once = columns_at_once(&source, COLUMNS_AT_ONCE);
        let options = profile_options(statistics, memory, at_once);
        let input = input.clone();
        self.run(async move {
            let columns = profile(&queries, &source, normalized.as_ref(), at_once, options, &input).await;
            columns.map_err(explained)
        })
        .await
    }

    /// Runs work on the engine's own threads.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let threads = self.threads.as_ref().expect("the threads live as long as the engine");
        let stopped = |e| Error::new(ErrorKind::Internal, "the query engine stopped").cause(e);
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

fn session(partitions: usize) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(partitions).with_batch_size(BLOCK_ROWS);
    SessionContext::new_with_config(config)
}

/// Short columns that one scan takes.
const COLUMNS_AT_ONCE: usize = 8;

async fn profile(
    queries: &Queries,
    source: &Arc<Source>,
    normalized: Option<&Arc<Source>>,
    at_once: usize,
    options: ProfileOptions,
    input: &StageInput,
) -> datafusion::error::Result<Columns<ColumnStatistics>> {
    let count = source.columns();
    let passes = 2 + u64::from(normalized.is_some());
    let steps = Steps::new(input, "dataframe", passes * source.rows() * count as u64);
    let mut columns = Columns::with_capacity(count);
    for start in (0..count).step_by(at_once) {
        let group = start..count.min(start + at_once);
        let profilings = group.clone().map(|column| {
            let control = steps.control();
            let sample = SourceColumn { source, column, control: &control }.sample();
            sample.map(|sample| Profiling::of_rows(source.rows(), sample, options))
        });
        let profilings: Result<Vec<_>> = profilings.collect();
        let profilings = profilings.map_err(|e| DataFusionError::External(Box::new(e)))?;
        let profiles = queries.profiles(source, group.clone(), profilings, &steps).await?;
        let written = match normalized {
            Some(stored) => {
                let moments = queries.moments(stored, group.clone(), &steps).await?;
                moments.into_iter().map(Some).collect()
            }
            None => vec![None; group.len()],
        };
        for ((i, profile), written) in group.zip(profiles).zip(written) {
            let inexact = source.inexact_integers(i).unwrap_or(0);
            let statistics = column_statistics(profile, inexact, written.map(normalized_statistics));
            columns.insert(source.name(i).to_owned(), statistics);
        }
    }
    steps.finish();
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
