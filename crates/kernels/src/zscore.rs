//! Where the z-score outliers of a column begin, as thresholds between neighbouring numbers.

use crate::key::{key_of, value_of};
use crate::power_of_two::power_of_two;

/// Values more than three standard deviations from the mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZscoreCounts {
    /// |x − mean| > 3·std_dev.
    pub outliers: u64,
    /// Within 1e-12 relative of that threshold, on either side: another rounding might decide otherwise.
    pub borderline: u64,
}

/// |x·before − mean|·after against 3·std_dev, all scaled so that neither end of f64 is near the threshold.
#[derive(Clone, Copy, Debug)]
pub struct ZscoreThreshold {
    /// Powers of two, as is `after`.
    before: f64,
    after: f64,
    /// The column's mean, times `before`.
    mean: f64,
    /// An outlier's distance is above this.
    limit: f64,
    /// A borderline value's distance is within this of `limit`.
    band: f64,
}

/// The first value from which on each of these holds, going up; infinity where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ZscoreEnds {
    /// No longer so far below the mean that the distance is above limit and band; above the limit; not yet within.
    pub low: [f64; 3],
    /// Within the band below the limit; above the limit; above limit and band.
    pub high: [f64; 3],
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

    fn deviation(&self, x: f64) -> f64 {
        (x * self.before - self.mean) * self.after
    }

    /// Each rounding on the way keeps the order of values, so that each condition holds from some value on and
    /// counting outliers is counting below thresholds, to the same bits.
    pub(crate) fn ends(&self) -> ZscoreEnds {
        let below = |x: f64| -self.deviation(x) - self.limit;
        let above = |x: f64| self.deviation(x) - self.limit;
        ZscoreEnds {
            low: [
                first_where(|x| below(x) <= self.band),
                first_where(|x| -self.deviation(x) <= self.limit),
                first_where(|x| below(x) < -self.band),
            ],
            high: [
                first_where(|x| above(x) >= -self.band),
                first_where(|x| self.deviation(x) > self.limit),
                first_where(|x| above(x) > self.band),
            ],
        }
    }
}

impl ZscoreEnds {
    pub fn thresholds(&self) -> impl Iterator<Item = f64> {
        self.low.into_iter().chain(self.high)
    }

    /// The counts of a column of `count` finite values, by how many of them lie below a threshold.
    pub fn counts(&self, count: u64, below: impl Fn(f64) -> u64) -> ZscoreCounts {
        let [low, limit_low, low_end] = self.low.map(&below);
        let [high, limit_high, high_end] = self.high.map(&below);
        ZscoreCounts {
            outliers: limit_low + (count - limit_high),
            borderline: (low_end - low) + (high_end - high),
        }
    }
}

/// The smallest finite value from which on a condition holds; infinity where it never does.
fn first_where(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut from, mut to) = (key_of(f64::MIN), key_of(f64::INFINITY));
    while from < to {
        let middle = from + (to - from) / 2;
        match holds(value_of(middle)) {
            true => to = middle,
            false => from = middle + 1,
        }
    }
    value_of(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_lie_where_the_distance_crosses_the_limit() {
        for (mean, std_dev) in [(0.0, 1.0), (5.5, 0.1), (1e9, 0.1), (-3e300, 2e299), (1e-310, 3e-311)] {
            let threshold = ZscoreThreshold::new(mean, std_dev);
            let ends = threshold.ends();
            let out = |x: f64| threshold.deviation(x).abs() > threshold.limit;
            assert!(out(ends.high[1]) && !out(ends.high[1].next_down()), "{mean} {std_dev}");
            assert!(!out(ends.low[1]) && out(ends.low[1].next_down()), "{mean} {std_dev}");
            assert!(ends.thresholds().collect::<Vec<_>>().is_sorted(), "{ends:?}");
        }
    }
}
