//! The `rdd` pipeline: each column in partitions of 65,536 rows on every core, states merged by number.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use caudal_core::job::{PipelineKind, Plan};
use caudal_core::ports::{Pipeline, StageInput};
use caudal_core::request::StatisticsLevel;
use caudal_core::results::{ColumnStatistics, Columns, PipelineResult};
use caudal_core::{Error, ErrorKind, Result};
use caudal_storage::{Datasets, Table};

use crate::normalized::{normalized_statistics, read_back};
use crate::statistics::column_statistics;

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
        let source = self.datasets.table(input).await?;
        let begun = Instant::now();
        let normalized = read_back(&self.datasets, input, &source).await?;
        let (input, statistics) = (input.clone(), plan.statistics);
        let work = move || profile(&source, Some(&normalized), statistics, &input);
        let columns = tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| Error::new(ErrorKind::Internal, "the rdd pipeline stopped").cause(e))??;
        Ok(PipelineResult::Completed { processing_time: begun.elapsed().as_secs_f64(), columns })
    }
}

/// Profiles every column; `normalized` has the same columns, in the same order.
pub(crate) fn profile(
    source: &Table,
    normalized: Option<&Arc<Table>>,
    statistics: StatisticsLevel,
    input: &StageInput,
) -> Result<Columns<ColumnStatistics>> {
    let rows = source.rows as u64;
    let total = rows * source.columns.len() as u64;
    let mut columns = Columns::with_capacity(source.columns.len());
    for (i, column) in source.columns.iter().enumerate() {
        input.cancel.check()?;
        input.progress.report("rdd", rows * i as u64, total);
        let profile = caudal_kernels::profile(&column.values, statistics == StatisticsLevel::Full);
        let written = normalized
            .map(|table| normalized_statistics(caudal_kernels::moments(&table.columns[i].values).summary()));
        columns.insert(column.name.clone(), column_statistics(profile, column.inexact_integers, written));
    }
    input.progress.report("rdd", total, total);
    Ok(columns)
}
