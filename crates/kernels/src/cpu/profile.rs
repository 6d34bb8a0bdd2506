//! Every statistic of one column in memory.

use crate::cpu::column::{ZscoreCounts, moments, zscore_outliers};
use crate::cpu::sorted::Sorted;
use crate::histogram::HistogramBins;
use crate::quantile::{Quartiles, quartiles};
use crate::summary::MomentSummary;

/// The percentiles of a profile.
pub const PERCENTILES: [u32; 8] = [1, 5, 25, 50, 75, 90, 95, 99];

/// The statistics of one column, over its finite values.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub moments: MomentSummary,
    /// In the order of [`PERCENTILES`].
    pub percentiles: [Option<f64>; 8],
    pub quartiles: Quartiles,
    /// The most frequent value, the smallest of ties, and its frequency.
    pub mode: Option<(f64, u64)>,
    /// Values strictly outside the quartiles' fences.
    pub outliers: u64,
    pub zscore: ZscoreCounts,
    pub zeros: u64,
    pub negatives: u64,
    /// None where it was not asked for.
    pub distinct: Option<u64>,
    pub histogram: HistogramBins,
}

/// Profiles a column on the current rayon pool; takes 8 bytes for each finite value beside it.
pub fn profile(values: &[f64], count_distinct: bool) -> Profile {
    let moments = moments(values).summary();
    let sorted = Sorted::of(values);
    let runs = sorted.runs();
    let percentiles = PERCENTILES.map(|p| sorted.percentile(p));
    let quartiles = quartiles_of(&sorted);
    let below = quartiles.lower_fence.map_or(0, |fence| sorted.count_below(fence));
    let above = quartiles.upper_fence.map_or(0, |fence| sorted.count_above(fence));
    let zscore = match (moments.mean, moments.std_dev) {
        (Some(mean), Some(std_dev)) => zscore_outliers(values, mean, std_dev),
        _ => ZscoreCounts::default(),
    };
    let negatives = sorted.count_below(0.0);
    Profile {
        percentiles,
        quartiles,
        mode: runs.mode(),
        outliers: below + above,
        zscore,
        zeros: sorted.len() as u64 - negatives - sorted.count_above(0.0),
        negatives,
        distinct: count_distinct.then_some(runs.distinct),
        histogram: sorted.histogram(),
        moments,
    }
}

/// The quartiles of a column and what follows from them; all None for no values.
pub(crate) fn quartiles_of(sorted: &Sorted) -> Quartiles {
    let pair = sorted.percentile(25).zip(sorted.percentile(75));
    pair.map_or_else(Quartiles::default, |(q1, q3)| quartiles(q1, q3))
}
