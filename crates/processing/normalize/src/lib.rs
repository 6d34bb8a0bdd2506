//! The normalisation stage: device choice, the columns one by one, and the stored result.
//!
//! The CPU is the only device in this build; a GPU takes its place behind the same port.

use std::time::Instant;

use async_trait::async_trait;
use caudal_core::job::Plan;
use caudal_core::ports::{Normalizer, StageInput};
use caudal_core::request::Normalization;
use caudal_core::results::{Columns, GpuProcessing, NormalizedColumn, ScalerParameters};
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::{Fit, Method};
use caudal_storage::{Column, Datasets, NormalizedColumnData, Table};

/// Values shown of each column in the result.
const SHOWN: usize = 10;

/// Normalises on this host's processor.
pub struct CpuNormalizer {
    datasets: Datasets,
}

impl CpuNormalizer {
    pub fn new(datasets: Datasets) -> Self {
        CpuNormalizer { datasets }
    }
}

#[async_trait]
impl Normalizer for CpuNormalizer {
    #[expect(clippy::disallowed_methods, reason = "a stage measures its own processing time")]
    async fn normalize(&self, input: &StageInput, plan: &Plan) -> Result<GpuProcessing> {
        let table = self.datasets.table(input).await?;
        let begun = Instant::now();
        let (stage, method) = (input.clone(), method_of(plan.normalization));
        let work = tokio::task::spawn_blocking(move || normalize_columns(&table, method, &stage)).await;
        let (columns, data) =
            work.map_err(|e| Error::new(ErrorKind::Internal, "the normalisation stopped").cause(e))??;
        self.datasets.put_normalized(input, plan.output_format, data).await?;
        Ok(GpuProcessing {
            device: plan.device.clone(),
            gpu_used: false,
            fallback_reason: plan.fallback_reason.clone(),
            processing_time: begun.elapsed().as_secs_f64(),
            normalization: plan.normalization,
            columns,
        })
    }
}

type Normalized = (Columns<NormalizedColumn>, Vec<NormalizedColumnData>);

fn normalize_columns(table: &Table, method: Method, input: &StageInput) -> Result<Normalized> {
    let total = (table.rows * table.columns.len()) as u64;
    let mut results = Columns::with_capacity(table.columns.len());
    let mut data = Vec::with_capacity(table.columns.len());
    for (i, column) in table.columns.iter().enumerate() {
        input.cancel.check()?;
        input.progress.report("normalizing", (i * table.rows) as u64, total);
        let (result, values) = normalize_column(column, method);
        results.insert(column.name.clone(), result);
        data.push(NormalizedColumnData { name: column.name.clone(), values });
    }
    input.progress.report("normalizing", total, total);
    Ok((results, data))
}

fn normalize_column(column: &Column, method: Method) -> (NormalizedColumn, Vec<f64>) {
    let fit = caudal_kernels::fit(method, &column.values);
    let mut values = vec![0.0; column.values.len()];
    caudal_kernels::apply(&fit.parameters, &column.values, &mut values);
    let first = values.iter().take(SHOWN).map(|x| x.is_finite().then_some(*x)).collect();
    (describe(fit, first), values)
}

fn describe(fit: Fit, normalized_data: Vec<Option<f64>>) -> NormalizedColumn {
    let summary = fit.summary;
    NormalizedColumn {
        count: summary.count,
        missing: summary.missing,
        infinite: summary.positive_infinite + summary.negative_infinite,
        mean: summary.mean,
        std_dev: summary.std_dev,
        min: summary.min,
        max: summary.max,
        parameters: ScalerParameters {
            center: fit.parameters.center,
            scale: fit.parameters.scale,
            half_scale: fit.parameters.half_scale,
        },
        normalized_data,
        warnings: fit.warnings.iter().map(|w| w.name().to_owned()).collect(),
    }
}

fn method_of(normalization: Normalization) -> Method {
    match normalization {
        Normalization::Zscore => Method::Zscore,
        Normalization::Minmax => Method::Minmax,
        Normalization::Maxabs => Method::Maxabs,
        Normalization::Robust => Method::Robust,
        Normalization::None => Method::None,
    }
}
