//! The normalisation stage: on the device that was planned, on the processor where that device fails, and on both where a job
//! asks for the comparison.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use caudal_core::job::{GPU_DEVICE, Plan};
use caudal_core::ports::{Normalizer, StageInput};
use caudal_core::request::Normalization;
use caudal_core::results::{DeviceComparison, GpuProcessing};
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::Method;
use caudal_kernels::cuda::Gpu;
use caudal_storage::{Datasets, Source};

use crate::card::{NotFitted, fit_on_card};
use crate::fitted::Fitted;

/// Normalises on this host: on its processor, or on its GPU where the plan says so.
pub struct HostNormalizer {
    datasets: Datasets,
}

impl HostNormalizer {
    pub fn new(datasets: Datasets) -> Self {
        HostNormalizer { datasets }
    }
}

#[async_trait]
impl Normalizer for HostNormalizer {
    #[expect(clippy::disallowed_methods, reason = "a stage measures its own processing time")]
    async fn normalize(&self, input: &StageInput, plan: &Plan) -> Result<GpuProcessing> {
        let source = self.datasets.source(input).await?;
        let begun = Instant::now();
        let (stage, normalization, on_gpu) = (input.clone(), plan.normalization, plan.device == GPU_DEVICE);
        let work = move || run_stage(source, normalization, &stage, on_gpu);
        let staged = Arc::new(blocking(work).await??);
        let filled = staged.clone();
        let fill = Arc::new(move |column, rows| filled.fitted.filler(column, rows));
        let (names, rows) = (staged.names(), staged.rows());
        self.datasets.put_normalized(input, plan.output_format, &names, rows, fill).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let mut result = staged.result(normalization, plan.fallback_reason.clone(), seconds)?;
        if plan.compare_devices {
            let (source, stage) = (staged.fitted.source.clone(), input.clone());
            let method = method_of(normalization);
            result.comparison = Some(blocking(move || compare(source, method, &stage)).await??);
        }
        Ok(result)
    }
}

/// A source that has been fitted, wherever, ready to hand its normalised rows out.
pub struct Staged {
    fitted: Arc<Fitted>,
    not_on_gpu: Option<String>,
    seconds: f64,
}

/// Fits the columns of a source, on this host's card where that is wanted and works.
///
/// # Errors
/// Whatever stops the source from being read.
#[expect(clippy::disallowed_methods, reason = "a stage measures its own processing time")]
pub fn run_stage(
    source: Arc<Source>,
    normalization: Normalization,
    input: &StageInput,
    on_gpu: bool,
) -> Result<Staged> {
    let begun = Instant::now();
    let (fitted, not_on_gpu) = fit(source, method_of(normalization), input, on_gpu)?;
    let fitted = Arc::new(fitted);
    Ok(Staged { fitted, not_on_gpu, seconds: begun.elapsed().as_secs_f64() })
}

impl Staged {
    pub fn names(&self) -> Vec<String> {
        self.fitted.names()
    }

    pub fn rows(&self) -> u64 {
        self.fitted.source.rows()
    }

    /// What fitting took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Why the card stopped in the middle, where it did.
    pub fn failed(&self) -> Option<&str> {
        self.fitted.card.as_ref().and_then(|card| card.failed())
    }

    /// Some normalised rows of a column.
    ///
    /// # Errors
    /// Whatever stops the source from being read.
    pub fn fill(&self, column: usize, rows: std::ops::Range<u64>, out: &mut [f64]) -> Result<()> {
        self.fitted.fill(column, rows, out)
    }

    /// What the stage did; `planned` is why it was not to be on the device that was hoped for.
    ///
    /// # Errors
    /// Those of [`fill`](Self::fill).
    pub fn result(
        &self,
        normalization: Normalization,
        planned: Option<String>,
        processing_time: f64,
    ) -> Result<GpuProcessing> {
        let card = self.fitted.card.as_ref();
        let failed = card.and_then(|card| card.failed()).map(str::to_owned);
        Ok(GpuProcessing {
            device: if card.is_some() { GPU_DEVICE } else { "cpu" }.into(),
            device_name: card.map(|card| card.name().to_owned()),
            gpu_used: card.is_some(),
            fallback_reason: failed.or_else(|| self.not_on_gpu.clone()).or(planned),
            processing_time,
            normalization,
            columns: self.fitted.results()?,
            comparison: None,
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let stopped = |e| Error::new(ErrorKind::Internal, "the normalisation stopped").cause(e);
    tokio::task::spawn_blocking(work).await.map_err(stopped)
}

/// Fits on the card where it is wanted and works, and otherwise on the processor, with the reason.
fn fit(
    source: Arc<Source>,
    method: Method,
    input: &StageInput,
    on_gpu: bool,
) -> Result<(Fitted, Option<String>)> {
    let reason = match on_gpu {
        false => None,
        true => match fitted_on_gpu(&source, method, input)? {
            Ok(fitted) => return Ok((fitted, None)),
            Err(reason) => Some(reason),
        },
    };
    if let Some(reason) = &reason {
        tracing::warn!(job = %input.job_id(), reason, "the GPU was planned for, and the processor takes its place");
    }
    Ok((Fitted::on_processor(source, method, input)?, reason))
}

fn fitted_on_gpu(
    source: &Arc<Source>,
    method: Method,
    input: &StageInput,
) -> Result<std::result::Result<Fitted, String>> {
    let gpu = match Gpu::open() {
        Ok(gpu) => gpu,
        Err(unavailable) => return Ok(Err(unavailable.to_string())),
    };
    match fit_on_card(&gpu, source, method, input) {
        Ok(fitted) => Ok(Ok(fitted)),
        Err(NotFitted::Gpu(error)) => Ok(Err(error.to_string())),
        Err(NotFitted::Source(error)) => Err(error),
    }
}

/// Times the stage on both devices, from the source to normalised rows that are not kept.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn compare(source: Arc<Source>, method: Method, input: &StageInput) -> Result<DeviceComparison> {
    let begun = Instant::now();
    Fitted::on_processor(source.clone(), method, input)?.fill_all()?;
    let cpu_seconds = Some(begun.elapsed().as_secs_f64());
    // The first use of the card, with its self-test, is not what is compared.
    let unavailable = Gpu::open().err().map(|unavailable| unavailable.to_string());
    if unavailable.is_some() {
        return Ok(DeviceComparison { cpu_seconds, gpu_seconds: None, reason: unavailable });
    }
    let begun = Instant::now();
    let fitted = match fitted_on_gpu(&source, method, input)? {
        Ok(fitted) => fitted,
        Err(reason) => return Ok(DeviceComparison { cpu_seconds, gpu_seconds: None, reason: Some(reason) }),
    };
    fitted.fill_all()?;
    let seconds = begun.elapsed().as_secs_f64();
    let reason = fitted.card.as_ref().and_then(|card| card.failed()).map(str::to_owned);
    Ok(DeviceComparison { cpu_seconds, gpu_seconds: reason.is_none().then_some(seconds), reason })
}

pub(crate) fn method_of(normalization: Normalization) -> Method {
    match normalization {
        Normalization::Zscore => Method::Zscore,
        Normalization::Minmax => Method::Minmax,
        Normalization::Maxabs => Method::Maxabs,
        Normalization::Robust => Method::Robust,
        Normalization::None => Method::None,
    }
}
