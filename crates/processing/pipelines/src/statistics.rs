//! A column's profile in the words of the contract: one place for both pipelines.

use caudal_core::request::StatisticsLevel;
use caudal_core::results::{
    ColumnStatistics, Fences, Histogram, Mode, NormalizedStatistics, Percentiles, Quartiles,
};
use caudal_kernels::{Profile, ProfileOptions};
use caudal_storage::Source;

/// The statistics of one column.
pub(crate) fn column_statistics(
    profile: Profile,
    inexact_integers: u64,
    normalized: Option<NormalizedStatistics>,
) -> ColumnStatistics {
    let Profile { moments, percentiles, quartiles, .. } = profile;
    let infinite = moments.positive_infinite + moments.negative_infinite;
    let good = moments.count.saturating_sub(profile.zscore.outliers);
    let [p1, p5, p25, p50, p75, p90, p95, p99] = percentiles;
    let overflowed = moments.overflowed.iter().chain(&quartiles.overflowed);
    ColumnStatistics {
        rows: moments.rows,
        missing: moments.missing,
        infinite,
        positive_infinite: moments.positive_infinite,
        negative_infinite: moments.negative_infinite,
        count: moments.count,
        sum: moments.sum,
        mean: moments.mean,
        variance: moments.variance,
        std_dev: moments.std_dev,
        variance_sample: moments.variance_sample,
        std_dev_sample: moments.std_dev_sample,
        min: moments.min,
        max: moments.max,
        range: moments.range,
        skewness: moments.skewness,
        kurtosis: moments.kurtosis,
        percentiles: Percentiles { p1, p5, p25, p50, p75, p90, p95, p99 },
        median: p50,
        quartiles: Quartiles { q1: quartiles.q1, q3: quartiles.q3, iqr: quartiles.iqr },
        mode: profile.mode.map(|(value, frequency)| Mode { value, frequency }),
        outliers: Fences {
            lower_bound: quartiles.lower_fence,
            upper_bound: quartiles.upper_fence,
            count: profile.outliers,
        },
        zscore_outliers: profile.zscore.outliers,
        zscore_borderline: profile.zscore.borderline,
        zeros: profile.zeros,
        negatives: profile.negatives,
        distinct: profile.distinct,
        histogram: Histogram { edges: profile.histogram.edges, counts: profile.histogram.counts },
        inexact_integers,
        overflowed: overflowed.map(|name| (*name).to_owned()).collect(),
        quality_score: (moments.rows > 0).then(|| good as f64 / moments.rows as f64),
        normalized,
        method: "exact".into(),
    }
}

/// Bytes of one value that is held while different values are counted.
const HELD_BYTES: u64 = 8;

/// Blocks from which on a column alone keeps every worker busy.
const LONG_COLUMN: u64 = 64;

/// Columns that are worked on at the same time, `most` of them where they are short: what is held of each adds up.
pub(crate) fn columns_at_once(source: &Source, most: usize) -> usize {
    if source.blocks() < LONG_COLUMN { most } else { 1 }
}

/// What a job asks of a profile, within a share of the memory that it may take: a quarter of it for the values that
/// are held of all columns that are worked on at the same time.
pub(crate) fn profile_options(statistics: StatisticsLevel, memory: u64, columns: usize) -> ProfileOptions {
    ProfileOptions {
        distinct: statistics == StatisticsLevel::Full,
        held_values: (memory / 4 / HELD_BYTES / columns.max(1) as u64).max(1 << 16),
    }
}
