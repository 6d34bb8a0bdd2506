//! The normalisation stage: device choice, the columns one by one, and the stored result.
//!
//! The CPU is the only device in this build; a GPU takes its place behind the same port.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use caudal_core::job::Plan;
use caudal_core::ports::{Normalizer, StageInput};
use caudal_core::request::Normalization;
use caudal_core::results::{Columns, GpuProcessing, NormalizedColumn, ScalerParameters, WrittenValue};
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::{Fit, Method, apply, apply_in_place, fit_column, survey};
use caudal_storage::{Datasets, Filler, Source, SourceColumn, Steps};
use rayon::prelude::*;

/// Values shown of each column in the result.
const SHOWN: u64 = 10;

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
        let source = self.datasets.source(input).await?;
        let begun = Instant::now();
        let (stage, method) = (input.clone(), method_of(plan.normalization));
        let work = move || fit_columns(source, method, &stage);
        let stopped = |e| Error::new(ErrorKind::Internal, "the normalisation stopped").cause(e);
        let fitted = Arc::new(tokio::task::spawn_blocking(work).await.map_err(stopped)??);
        let (rows, names) = (fitted.source.rows(), fitted.names());
        let filled = fitted.clone();
        let fill = Arc::new(move |column, rows| filled.filler(column, rows));
        self.datasets.put_normalized(input, plan.output_format, &names, rows, fill).await?;
        Ok(GpuProcessing {
            device: plan.device.clone(),
            gpu_used: false,
            fallback_reason: plan.fallback_reason.clone(),
            processing_time: begun.elapsed().as_secs_f64(),
            normalization: plan.normalization,
            columns: fitted.results()?,
        })
    }
}

/// A source whose columns have been fitted.
struct Fitted {
    source: Arc<Source>,
    fits: Vec<Fit>,
}

/// Surveys and fits every column, the columns and their blocks side by side.
fn fit_columns(source: Arc<Source>, method: Method, input: &StageInput) -> Result<Fitted> {
    let steps = Steps::new(input, "normalizing", source.rows() * source.columns() as u64);
    let fit = |column| {
        let control = steps.control();
        let scanned = SourceColumn { source: &source, column, control: &control };
        let surveyed = survey(&scanned)?;
        scanned.keep_sample(&surveyed.sample);
        fit_column(method, &scanned, &surveyed)
    };
    let fits: Result<Vec<Fit>> = (0..source.columns()).into_par_iter().map(fit).collect();
    Ok(Fitted { fits: fits?, source })
}

impl Fitted {
    fn names(&self) -> Vec<String> {
        self.source.names().map(str::to_owned).collect()
    }

    /// Makes the normalised rows of a column, from the first of some rows on.
    fn filler(self: &Arc<Self>, column: usize, rows: Range<u64>) -> Result<Box<Filler>> {
        let (fitted, mut at) = (self.clone(), rows.start);
        let mut reader = self.source.reader(column, rows)?;
        Ok(Box::new(move |out| {
            let parameters = &fitted.fits[column].parameters;
            let rows = at..at + out.len() as u64;
            at = rows.end;
            match fitted.source.slice(column, rows.clone()) {
                Some(values) => apply(parameters, values, out),
                None => {
                    // Rows before these may have lain in memory.
                    reader.skip_to(rows.start)?;
                    reader.fill(out)?;
                    apply_in_place(parameters, out);
                }
            }
            Ok(())
        }))
    }

    fn results(self: &Arc<Self>) -> Result<Columns<NormalizedColumn>> {
        let shown = self.source.rows().min(SHOWN);
        let result = |(column, fit): (usize, &Fit)| {
            let mut first = vec![0.0; shown as usize];
            self.filler(column, 0..shown)?(&mut first)?;
            let first = first.into_iter().map(WrittenValue).collect();
            Ok((self.source.name(column).to_owned(), describe(fit, first)))
        };
        self.fits.iter().enumerate().map(result).collect()
    }
}

fn describe(fit: &Fit, normalized_data: Vec<WrittenValue>) -> NormalizedColumn {
    let summary = &fit.summary;
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
