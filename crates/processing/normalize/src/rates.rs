//! What normalising costs on the processor and on the card of this host: a short measurement on made-up columns.

use std::sync::Arc;
use std::time::Instant;

use caudal_kernels::cuda::{DeviceError, Gpu, GpuError, survey_columns};
use caudal_kernels::{InMemory, Method, apply, fit, fit_column};
use serde::{Deserialize, Serialize};

/// Rows of the two columns that are measured.
const SMALL: usize = 1 << 14;
const LARGE: usize = 1 << 20;

/// Times each measurement is taken; the quickest counts, since other work only ever adds.
const REPETITIONS: usize = 3;

/// Seconds for work: `fixed`, and `per_cell` for each value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    pub fixed: f64,
    pub per_cell: f64,
}

impl Rate {
    /// From the seconds for two amounts of values.
    pub fn between(small: (usize, f64), large: (usize, f64)) -> Rate {
        let more = large.0.saturating_sub(small.0).max(1);
        let per_cell = (large.1 - small.1).max(0.0) / more as f64;
        Rate { fixed: (small.1 - per_cell * small.0 as f64).max(0.0), per_cell }
    }

    fn seconds(self, cells: u64) -> f64 {
        self.fixed + self.per_cell * cells as f64
    }
}

/// What both devices cost on one host. Each class of job has its own rate: one that goes over the values once before it
/// normalises, and one that looks for quantiles too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceRates {
    pub cpu: Rate,
    pub cpu_quantiles: Rate,
    /// From host memory to the card, with the first pass over the values.
    pub upload: Rate,
    /// One more pass for quantiles, of what is on the card.
    pub quantiles: Rate,
    /// Normalised on the card and brought to host memory.
    pub download: Rate,
}

impl DeviceRates {
    pub fn cpu_seconds(&self, cells: u64, quantiles: bool) -> f64 {
        if quantiles { self.cpu_quantiles } else { self.cpu }.seconds(cells)
    }

    /// `fits`: whether the columns stay on the card between passes; otherwise they are brought for each.
    pub fn gpu_seconds(&self, cells: u64, columns: u64, quantiles: bool, fits: bool) -> f64 {
        let passes = 1 + u64::from(quantiles && !fits) + u64::from(!fits);
        let transfers = self.upload.seconds(cells) * passes as f64 + self.download.per_cell * cells as f64;
        let searched = if quantiles { self.quantiles.per_cell * cells as f64 } else { 0.0 };
        let launches = if quantiles { self.quantiles.fixed } else { 0.0 } + self.download.fixed;
        transfers + searched + launches * columns as f64
    }
}

/// Measures both; takes a fraction of a second.
///
/// # Errors
/// What the card says.
pub fn measure(gpu: &Arc<Gpu>) -> Result<DeviceRates, GpuError> {
    let [small, large] = [SMALL, LARGE].map(|rows| steps(gpu, &made_up(rows)));
    let (small, large) = (small?, large?);
    let step = |i: usize| Rate::between((SMALL, small[i]), (LARGE, large[i]));
    let (cpu, cpu_quantiles) = cpu_rates();
    Ok(DeviceRates { cpu, cpu_quantiles, upload: step(0), quantiles: step(1), download: step(2) })
}

/// What the processor of this host costs, without and with quantiles.
pub fn cpu_rates() -> (Rate, Rate) {
    let (small, large) = (made_up(SMALL), made_up(LARGE));
    let timed = |method, values: &[f64]| {
        let work = || -> Result<(), std::convert::Infallible> {
            let mut out = vec![0.0; values.len()];
            apply(&fit(method, values).parameters, values, &mut out);
            Ok(())
        };
        match quickest(work) {
            Ok(seconds) => seconds,
            Err(never) => match never {},
        }
    };
    let rate = |method| Rate::between((SMALL, timed(method, &small)), (LARGE, timed(method, &large)));
    (rate(Method::Zscore), rate(Method::Robust))
}

#[expect(clippy::disallowed_methods, reason = "a measurement of this host reads its clock")]
fn quickest<E>(work: impl Fn() -> Result<(), E>) -> Result<f64, E> {
    let mut quickest = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let begun = Instant::now();
        work()?;
        quickest = quickest.min(begun.elapsed().as_secs_f64());
    }
    Ok(quickest)
}

/// Seconds for bringing a column, for its quantiles and for fetching it normalised.
fn steps(gpu: &Arc<Gpu>, values: &[f64]) -> Result<[f64; 3], GpuError> {
    let columns = [InMemory(values)];
    let of_gpu = |error| match error {
        DeviceError::Gpu(error) => error,
        DeviceError::Source(never) => match never {},
    };
    let upload = quickest(|| survey_columns(gpu, &columns).map(drop).map_err(of_gpu))?;
    let (surveys, resident) = survey_columns(gpu, &columns).map_err(of_gpu)?;
    let survey = surveys.first().ok_or(GpuError::Wrong("no column"))?;
    let column = resident.column(0, &columns[0]);
    let quantiles = quickest(|| fit_column(Method::Robust, &column, survey).map(drop).map_err(of_gpu))?;
    let parameters = fit(Method::Zscore, values).parameters;
    let download = quickest(|| {
        let mut out = values.to_vec();
        match resident.is_whole() {
            true => resident.normalize(0, &parameters, 0..values.len() as u64, &mut out),
            false => gpu.normalize(&parameters, &mut out),
        }
    })?;
    Ok([upload, quantiles, download])
}

/// Numbers with three digits: a column to measure with.
pub fn made_up(rows: usize) -> Vec<f64> {
    let mut state = 0_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 50) as f64 / 8.0
    };
    std::iter::repeat_with(next).take(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates() -> DeviceRates {
        DeviceRates {
            cpu: Rate { fixed: 0.0, per_cell: 1e-9 },
            cpu_quantiles: Rate { fixed: 0.0, per_cell: 4e-9 },
            upload: Rate { fixed: 1e-3, per_cell: 2e-10 },
            quantiles: Rate { fixed: 1e-3, per_cell: 1e-11 },
            download: Rate { fixed: 1e-3, per_cell: 2e-10 },
        }
    }

    #[test]
    fn few_values_are_the_processors_and_many_the_cards() {
        let on_card = |cells| rates().gpu_seconds(cells, 1, false, true) < rates().cpu_seconds(cells, false);
        assert!(!on_card(100_000) && on_card(100_000_000));
    }

    #[test]
    fn columns_that_do_not_stay_on_the_card_are_brought_once_more_for_each_pass() {
        let seconds = |quantiles, fits| rates().gpu_seconds(1_000_000_000, 1, quantiles, fits);
        assert!(seconds(false, false) > seconds(false, true) * 1.4);
        assert!(seconds(true, false) > seconds(true, true) * 1.8);
    }
}
