//! The `rdd` pipeline: columns and their partitions of 65,536 rows on every core, states merged by number.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use caudal_core::job::{PipelineKind, Plan};
use caudal_core::ports::{Pipeline, StageInput};
use caudal_core::request::StatisticsLevel;
use caudal_core::results::{ColumnStatistics, Columns, PipelineResult};
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::{column_moments, profile_surveyed};
use caudal_storage::{Datasets, Source, SourceColumn, Steps};
use rayon::prelude::*;

use crate::normalized::{normalized_statistics, read_back};
use crate::statistics::{column_statistics, columns_at_once, profile_options};

/// Our own kernels over rayon.
pub struct Rdd {
    datasets: Datasets,
}

impl Rdd {
    pub fn new(datasets: Datasets) -> Self {
        Rdd { datasets }
    }
}

#[async_trait]
impl Pipeline for Rdd {
    fn kind(&self) -> PipelineKind {
        PipelineKind::Rdd
    }

    #[expect(clippy::disallowed_methods, reason = "a stage measures its own processing time")]
    async fn run(&self, input: &StageInput, plan: &Plan) -> Result<PipelineResult> {
        let source = self.datasets.source(input).await?;
        let begun = Instant::now();
        let normalized = read_back(&self.datasets, input, &source).await?;
        let (input, statistics) = (input.clone(), plan.statistics);
        let memory = self.datasets.memory_limit();
        let work = move || profile(&source, Some(&normalized), statistics, memory, &input);
        let columns = tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| Error::new(ErrorKind::Internal, "the rdd pipeline stopped").cause(e))??;
        Ok(PipelineResult::Completed { processing_time: begun.elapsed().as_secs_f64(), columns })
    }
}

/// Profiles every column; `normalized` has the same columns, in the same order. `memory` is in bytes.
pub(crate) fn profile(
    source: &Source,
    normalized: Option<&Arc<Source>>,
    statistics: StatisticsLevel,
    memory: u64,
    input: &StageInput,
) -> Result<Columns<ColumnStatistics>> {
    // Two passes over the source, and one over what was written.
    let passes = 2 + u64::from(normalized.is_some());
    let steps = Steps::new(input, "rdd", passes * source.rows() * source.columns() as u64);
    let at_once = columns_at_once(source, rayon::current_num_threads());
    let options = profile_options(statistics, memory, at_once);
    let profiled = |column| {
        let control = steps.control();
        let scanned = SourceColumn { source, column, control: &control };
        let profile = profile_surveyed(&scanned, scanned.survey()?, options)?;
        let written = normalized.map(|source| {
            let control = steps.control();
            column_moments(&SourceColumn { source, column, control: &control })
        });
        let written = written.transpose()?.map(|moments| normalized_statistics(moments.summary()));
        let inexact = source.inexact_integers(column).unwrap_or(0);
        Ok(column_statistics(profile, inexact, written))
    };
    let columns: Result<Vec<ColumnStatistics>> = match at_once {
        1 => (0..source.columns()).map(profiled).collect(),
        // A worker that waits for others within a column takes up another column meanwhile.
        _ => (0..source.columns()).into_par_iter().map(profiled).collect(),
    };
    steps.finish();
    Ok(source.names().map(str::to_owned).zip(columns?).collect())
}
