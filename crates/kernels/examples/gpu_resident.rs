//! What each kind of work takes on this machine's card, for `bench/gpu/run.py`: columns that lie on the card, and host to host.
//! Every result is compared with the processor's first.

#![expect(clippy::print_stdout, reason = "its answer")]

use std::sync::Arc;
use std::time::Instant;

use caudal_kernels::cuda::{DeviceError, Gpu, survey_columns};
use caudal_kernels::{
    Brackets, InMemory, Method, PERCENTILES, Pass, Passes, ProfileOptions, apply, column_moments, fit,
    profile, profile_column,
};
use rayon::prelude::*;

type Failed = Box<dyn std::error::Error>;

/// Times each is taken; the quickest counts.
const REPETITIONS: usize = 5;

fn main() -> Result<(), Failed> {
    let rows: usize = std::env::args().nth(1).ok_or("gpu_resident ROWS [--no-check]")?.parse()?;
    let checked = std::env::args().nth(2).is_none();
    let gpu = Gpu::open().map_err(|none| none.to_string())?;
    let values = normal(rows);
    if checked {
        check(&gpu, &values)?;
    }
    let columns = [InMemory(&values)];
    let (surveys, resident) = survey_columns(&gpu, &columns).map_err(told)?;
    if !resident.is_whole() {
        return Err("the column does not fit on the card".into());
    }
    let (survey, column) = (&surveys[0], resident.column(0, &columns[0]));
    let parameters = fit(Method::Zscore, &values).parameters;
    let shares = PERCENTILES.map(|p| f64::from(p) / 100.0);
    let percentiles = Pass::Missed(Brackets::around(&shares, &survey.sample));
    let normalize = || resident.normalize_counting(0, &parameters, vec![0.0]).map_err(|e| e.to_string());
    let whole = || profile_column(&column, &survey.sample, ProfileOptions::default()).map_err(told);
    let moments = quickest(|| column_moments(&column).map(drop).map_err(told))?;
    let zscore = quickest(|| normalize().map(drop))?;
    let ranks = quickest(|| column.go_over(&percentiles).map(drop).map_err(told))?;
    let profiled = quickest(|| whole().map(drop))?;
    let both = quickest(|| whole().and_then(|_| normalize()).map(drop))?;
    let host = quickest(|| {
        let (_, resident) = survey_columns(&gpu, &columns).map_err(told)?;
        let mut out = vec![0.0; rows];
        let step = 1 << 20;
        let parts = out.par_chunks_mut(step).enumerate().try_for_each(|(i, out)| {
            let first = (i * step) as u64;
            resident.normalize(0, &parameters, first..first + out.len() as u64, out)
        });
        parts.map_err(|e| e.to_string())
    })?;
    let on_cpu = quickest(|| {
        let mut out = vec![0.0; rows];
        apply(&fit(Method::Zscore, &values).parameters, &values, &mut out);
        Ok(())
    })?;
    println!(
        "{{\"rows\": {rows}, \"card\": \"{}\", \"moments\": {moments}, \"zscore\": {zscore}, \
         \"percentiles\": {ranks}, \"profile\": {profiled}, \"profile_and_zscore\": {both}, \
         \"zscore_host_to_host\": {host}, \"zscore_on_the_processor\": {on_cpu}}}",
        gpu.info().name
    );
    Ok(())
}

fn told(error: DeviceError<std::convert::Infallible>) -> String {
    match error {
        DeviceError::Gpu(error) => error.to_string(),
        DeviceError::Source(never) => match never {},
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn quickest(work: impl Fn() -> Result<(), String>) -> Result<f64, String> {
    let mut quickest = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let begun = Instant::now();
        work()?;
        quickest = quickest.min(begun.elapsed().as_secs_f64());
    }
    Ok(quickest)
}

/// The card's profile of the column against the processor's, to the bit.
fn check(gpu: &Arc<Gpu>, values: &[f64]) -> Result<(), Failed> {
    let columns = [InMemory(values)];
    let (surveys, resident) = survey_columns(gpu, &columns).map_err(told)?;
    let options = ProfileOptions { distinct: true, held_values: gpu.held_values()? };
    let found =
        profile_column(&resident.column(0, &columns[0]), &surveys[0].sample, options).map_err(told)?;
    if found != profile(values, true) {
        return Err("the card's profile differs from the processor's".into());
    }
    Ok(())
}

/// Approximately normal, the same on every run.
fn normal(rows: usize) -> Vec<f64> {
    let mut values = vec![0.0; rows];
    values.par_chunks_mut(1 << 16).enumerate().for_each(|(chunk, values)| {
        let mut state = (chunk as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        for value in values {
            let mut sum = 0.0;
            for _ in 0..4 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                sum += (state >> 11) as f64 / (1u64 << 53) as f64;
            }
            *value = (sum - 2.0) * 1.732;
        }
    });
    values
}
