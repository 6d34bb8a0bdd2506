//! Fits a normalisation to a column and applies one to rows.

use rayon::prelude::*;

use crate::BLOCK_ROWS;
use crate::brackets::Brackets;
use crate::cpu::column::moments;
use crate::cpu::lanes::CHUNK;
use crate::cpu::passes::{Pass, Passes, SurveyShare};
use crate::cpu::profile::{all_ranks, percentile, ranks_of};
use crate::cpu::scan::{InMemory, infallible};
use crate::cpu::simd::for_each_instruction_set;
use crate::normalization::{Method, Parameters, Steps, Warning};
use crate::quantile::{Quartiles, quartiles};
use crate::sample::Sample;
use crate::summary::MomentSummary;

/// What fitting a normalisation to a column found.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub summary: MomentSummary,
    pub parameters: Parameters,
    pub warnings: Vec<Warning>,
}

/// A first look at a column: its moments, and a sample of its values.
#[derive(Clone, Debug)]
pub struct Survey {
    pub moments: MomentSummary,
    pub sample: Sample,
}

/// Looks over a column once.
///
/// # Errors
/// Whatever stops the column from being read.
pub fn survey<C: Passes>(column: &C) -> Result<Survey, C::Error> {
    let rows = column.rows();
    let (moments, sample) = SurveyShare::findings(rows, column.go_over(&Pass::Survey(rows))?);
    Ok(Survey { moments: moments.summary(), sample })
}

/// Fits a normalisation to the finite values of a column that was surveyed; without any, center 0 and scale 1.
///
/// Only the robust method goes over the column again, for its median and quartiles.
///
/// # Errors
/// Whatever stops the column from being read.
pub fn fit_column<C: Passes>(method: Method, column: &C, survey: &Survey) -> Result<Fit, C::Error> {
    let moments = &survey.moments;
    let (median, quartiles) = match method {
        Method::Robust if moments.count > 0 => middle(column, survey)?,
        _ => (None, Quartiles::default()),
    };
    let (parameters, warning) = Parameters::fitted(method, moments, median, &quartiles);
    Ok(Fit { summary: moments.clone(), parameters, warnings: warning.into_iter().collect() })
}

/// Median and quartiles.
fn middle<C: Passes>(column: &C, survey: &Survey) -> Result<(Option<f64>, Quartiles), C::Error> {
    let n = survey.moments.count;
    let ranks = ranks_of(&[25, 50, 75], n);
    let brackets = Brackets::around(&[0.25, 0.5, 0.75], &survey.sample);
    let all = brackets.total(column.go_over(&Pass::Missed(brackets.clone()))?);
    let found = all_ranks(column, &survey.sample, &all, &ranks, &survey.moments)?;
    let pair = percentile(25, n, &found).zip(percentile(75, n, &found));
    let quartiles = pair.map_or_else(Quartiles::default, |(q1, q3)| quartiles(q1, q3));
    Ok((percentile(50, n, &found), quartiles))
}

/// Fits a normalisation to the finite values of a column in memory.
pub fn fit(method: Method, values: &[f64]) -> Fit {
    let column = InMemory(values);
    let survey = Survey { moments: moments(values).summary(), sample: Sample::of(values) };
    infallible(fit_column(method, &column, &survey))
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

/// As [`apply`], the results in place of the rows; on the current thread.
pub fn apply_in_place(parameters: &Parameters, values: &mut [f64]) {
    let steps = parameters.steps();
    let mut input = [0.0; CHUNK];
    for values in values.chunks_mut(CHUNK) {
        let input = &mut input[..values.len()];
        input.copy_from_slice(values);
        apply_to_block(steps, input, values);
    }
}

for_each_instruction_set! {
    fn apply_to_block(steps: Steps, input: &[f64], output: &mut [f64]) = apply_portable;
}

#[inline(always)]
fn apply_portable(steps: Steps, input: &[f64], output: &mut [f64]) {
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
