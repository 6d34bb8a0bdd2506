//! Whole columns in memory, block by block on the current rayon pool.

use rayon::prelude::*;

use crate::BLOCK_ROWS;
use crate::moments::{Moments, merge_blocks};
use crate::power_of_two::power_of_two;

/// The moments of a column: its blocks in parallel, merged by number.
pub fn moments(values: &[f64]) -> Moments {
    if values.len() <= BLOCK_ROWS {
        return Moments::of_block(values);
    }
    let blocks: Vec<Moments> = values.par_chunks(BLOCK_ROWS).map(Moments::of_block).collect();
    merge_blocks((0..).zip(blocks).collect())
}

/// Values more than three standard deviations from the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZscoreCounts {
    /// |x − mean| > 3·std_dev.
    pub outliers: u64,
    /// Within 1e-12 relative of that threshold, on either side: another rounding might decide otherwise.
    pub borderline: u64,
}

impl ZscoreCounts {
    /// The counts of two sets of rows together.
    pub fn plus(self, other: ZscoreCounts) -> ZscoreCounts {
        ZscoreCounts {
            outliers: self.outliers + other.outliers,
            borderline: self.borderline + other.borderline,
        }
    }
}

/// Counts the finite values beyond three standard deviations; none where `std_dev` is 0.
pub fn zscore_outliers(values: &[f64], mean: f64, std_dev: f64) -> ZscoreCounts {
    if std_dev == 0.0 {
        return ZscoreCounts::default();
    }
    let threshold = ZscoreThreshold::new(mean, std_dev);
    if values.len() <= BLOCK_ROWS {
        return threshold.count(values);
    }
    let blocks = values.par_chunks(BLOCK_ROWS).map(|block| threshold.count(block));
    blocks.reduce(ZscoreCounts::default, ZscoreCounts::plus)
}

/// |x·before − mean|·after against 3·std_dev, all scaled so that neither end of f64 is near the threshold.
#[derive(Clone, Copy, Debug)]
pub struct ZscoreThreshold {
    /// Powers of two, as is `after`.
    pub before: f64,
    pub after: f64,
    /// The column's mean, times `before`.
    pub mean: f64,
    /// An outlier's distance is above this.
    pub limit: f64,
    /// A borderline value's distance is within this of `limit`.
    pub band: f64,
}

impl ZscoreThreshold {
    /// For `std_dev` > 0.
    pub fn new(mean: f64, std_dev: f64) -> ZscoreThreshold {
        let (before, after) = if std_dev > power_of_two(1000) {
            (power_of_two(-100), 1.0)
        } else if std_dev < power_of_two(-900) {
            // Differences of denormals are exact, so that it is enough to scale them afterwards.
            (1.0, power_of_two(200))
        } else {
            (1.0, 1.0)
        };
        let limit = 3.0 * (std_dev * before * after);
        ZscoreThreshold { before, after, mean: mean * before, limit, band: 1e-12 * limit }
    }

    fn count(&self, values: &[f64]) -> ZscoreCounts {
        let mut counts = ZscoreCounts::default();
        for &x in values {
            let distance = (x * self.before - self.mean).abs() * self.after;
            counts.outliers += u64::from((distance > self.limit) & (x.abs() <= f64::MAX));
            counts.borderline += u64::from((distance - self.limit).abs() <= self.band);
        }
        counts
    }
}
