//! A card against the processor, before anything is believed of it.

use std::sync::Arc;

use super::gpu::Gpu;
use super::{DeviceError, GpuError, survey_columns};
use crate::BLOCK_ROWS;
use crate::cpu::normalize::{apply, fit, fit_column};
use crate::cpu::profile::{ProfileOptions, profile_column, profile_sorted};
use crate::cpu::scan::InMemory;
use crate::normalization::Method;

/// Profiles and normalises a made-up column of two blocks on both.
pub(super) fn self_test(gpu: &Arc<Gpu>) -> Result<(), GpuError> {
    let values = made_up();
    let columns = [InMemory(&values)];
    let (surveys, resident) = survey_columns(gpu, &columns).map_err(of_gpu)?;
    let survey = surveys.first().ok_or(GpuError::Wrong("no column"))?;
    let column = resident.column(0, &columns[0]);
    let found = profile_column(&column, &survey.sample, ProfileOptions::default()).map_err(of_gpu)?;
    if found != profile_sorted(&values, true) {
        return Err(GpuError::Wrong("a profile differs from the processor's"));
    }
    let fitted = fit_column(Method::Robust, &column, survey).map_err(of_gpu)?;
    if fitted != fit(Method::Robust, &values) {
        return Err(GpuError::Wrong("a fitted normalisation differs from the processor's"));
    }
    let mut expected = vec![0.0; values.len()];
    apply(&fitted.parameters, &values, &mut expected);
    let mut brought = values.clone();
    gpu.normalize(&fitted.parameters, &mut brought)?;
    let mut there = vec![0.0; values.len()];
    if resident.is_whole() {
        resident.normalize(0, &fitted.parameters, 0..values.len() as u64, &mut there)?;
    } else {
        there.copy_from_slice(&brought);
    }
    let same = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    if !same(&expected, &brought) || !same(&expected, &there) {
        return Err(GpuError::Wrong("normalised values differ from the processor's"));
    }
    Ok(())
}

fn of_gpu(error: DeviceError<std::convert::Infallible>) -> GpuError {
    match error {
        DeviceError::Gpu(error) => error,
        DeviceError::Source(never) => match never {},
    }
}

/// Numbers with three digits, some of them far out, missing or infinite.
fn made_up() -> Vec<f64> {
    let mut state = 0_u64;
    let mut column: Vec<f64> = (0..BLOCK_ROWS + 1_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 52) as f64 / 8.0 - 100.0
        })
        .collect();
    column[7] = f64::NAN;
    column[77] = f64::INFINITY;
    column[777] = -1e9;
    column[BLOCK_ROWS + 7] = -0.0;
    column
}
