//! Fits a normalisation to a column and applies one to rows.

use rayon::prelude::*;

use crate::BLOCK_ROWS;
use crate::cpu::column::moments;
use crate::cpu::lanes::CHUNK;
use crate::cpu::profile::quartiles_of;
use crate::cpu::sorted::Sorted;
use crate::normalization::{Method, Parameters, Steps, Warning};
use crate::quantile::Quartiles;
use crate::summary::MomentSummary;

/// What fitting a normalisation to a column found.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub summary: MomentSummary,
    pub parameters: Parameters,
    pub warnings: Vec<Warning>,
}

/// Fits a normalisation to the finite values of a column; without any, center 0 and scale 1.
pub fn fit(method: Method, values: &[f64]) -> Fit {
    let summary = moments(values).summary();
    let (median, quartiles) = match method {
        Method::Robust => {
            let sorted = Sorted::of(values);
            (sorted.percentile(50), quartiles_of(&sorted))
        }
        _ => (None, Quartiles::default()),
    };
    let (parameters, warning) = Parameters::fitted(method, &summary, median, &quartiles);
    Fit { summary, parameters, warnings: warning.into_iter().collect() }
}

/// Writes (x − center) / scale of each input row, on the current rayon pool.
///
/// NaN and ±inf stay as they are. Division comes before subtraction where the difference is beyond f64. A finite
/// input gives a finite output: a result beyond f64 is written as ±f64::MAX.
///
/// # Panics
/// Where the two slices differ in length.
pub fn apply(parameters: &Parameters, input: &[f64], output: &mut [f64]) {
    assert_eq!(input.len(), output.len(), "apply needs an output as long as its input");
    let steps = parameters.steps();
    if input.len() <= BLOCK_ROWS {
        return apply_to_block(steps, input, output);
    }
    let blocks = input.par_chunks(BLOCK_ROWS).zip(output.par_chunks_mut(BLOCK_ROWS));
    blocks.for_each(|(input, output)| apply_to_block(steps, input, output));
}

fn apply_to_block(steps: Steps, input: &[f64], output: &mut [f64]) {
    for (input, output) in input.chunks(CHUNK).zip(output.chunks_mut(CHUNK)) {
        let mut all_finite = true;
        for (y, &x) in output.iter_mut().zip(input) {
            *y = steps.quick(x);
            all_finite &= y.abs() <= f64::MAX;
        }
        if !all_finite {
            output.iter_mut().zip(input).for_each(|(y, &x)| *y = steps.careful(x));
        }
    }
}
