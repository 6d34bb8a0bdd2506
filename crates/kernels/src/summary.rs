//! Reads the statistics of a column off its moments, with what is beyond f64 named instead of infinite.

use crate::dd::Dd;
use crate::moments::Moments;
use crate::power_of_two::{exponent_of, scaled};

/// Counts, sum, mean and central moments of a column, in its units.
///
/// A field is None where it is undefined, or where it is beyond f64 and then named in `overflowed`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MomentSummary {
    pub rows: u64,
    /// Nulls and NaN.
    pub missing: u64,
    pub positive_infinite: u64,
    pub negative_infinite: u64,
    /// Finite values: all that follows is over these.
    pub count: u64,
    /// 0 for no values.
    pub sum: Option<f64>,
    /// Never outside min..=max.
    pub mean: Option<f64>,
    /// Population: divided by n.
    pub variance: Option<f64>,
    pub std_dev: Option<f64>,
    /// Divided by n − 1; None for fewer than two values.
    pub variance_sample: Option<f64>,
    pub std_dev_sample: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub range: Option<f64>,
    /// g1 = m3 / m2^1.5; None for a constant column.
    pub skewness: Option<f64>,
    /// g2 = m4 / m2² − 3; None for a constant column.
    pub kurtosis: Option<f64>,
    /// Names of the fields whose true value is beyond f64.
    pub overflowed: Vec<&'static str>,
}

impl MomentSummary {
    /// Whether there is a finite value and all are equal.
    pub fn is_constant(&self) -> bool {
        self.min.is_some() && self.min == self.max
    }

    /// The largest absolute value; None for no values.
    pub fn max_abs(&self) -> Option<f64> {
        Some(self.min?.abs().max(self.max?.abs()))
    }

    fn kept(&mut self, name: &'static str, value: f64) -> Option<f64> {
        if !value.is_finite() {
            self.overflowed.push(name);
            return None;
        }
        // An underflow from below is 0.0, not -0.0.
        Some(value + 0.0)
    }
}

impl Moments {
    /// The statistics of the rows seen.
    pub fn summary(&self) -> MomentSummary {
        let mut summary = MomentSummary {
            rows: self.rows,
            missing: self.missing,
            positive_infinite: self.positive_infinite,
            negative_infinite: self.negative_infinite,
            count: self.count(),
            sum: Some(0.0),
            ..MomentSummary::default()
        };
        if summary.count > 0 {
            self.fill_location(&mut summary);
            self.fill_spread(&mut summary);
            summary.range = summary.kept("range", self.max - self.min);
            if self.min != self.max {
                [summary.skewness, summary.kurtosis] = self.shape();
            }
        }
        summary
    }

    fn fill_location(&self, summary: &mut MomentSummary) {
        let sum = self.mean * Dd::from(self.count());
        let mean = scaled(self.mean.hi, self.exponent) + 0.0;
        summary.sum = summary.kept("sum", scaled(sum.hi, self.exponent));
        summary.mean = Some(mean.clamp(self.min, self.max));
        summary.min = Some(self.min);
        summary.max = Some(self.max);
    }

    fn fill_spread(&self, summary: &mut MomentSummary) {
        let m2 = if self.min == self.max { Dd::ZERO } else { self.m2 };
        let n = self.count();
        let variance = (m2 / Dd::from(n)).hi;
        summary.variance = summary.kept("variance", scaled(variance, 2 * self.exponent));
        // Never beyond half the range, so beyond f64 by rounding only.
        summary.std_dev = Some(scaled(variance.sqrt(), self.exponent).min(f64::MAX));
        if n > 1 {
            let variance = (m2 / Dd::from(n - 1)).hi;
            summary.variance_sample = summary.kept("variance_sample", scaled(variance, 2 * self.exponent));
            summary.std_dev_sample = summary.kept("std_dev_sample", scaled(variance.sqrt(), self.exponent));
        }
    }

    /// Skewness and excess kurtosis, formed on deviations scaled so that M2 lies in [1, 4):
    /// then |M3| <= M2^1.5 and M4 <= M2² keep every step far from the ends of f64.
    fn shape(&self) -> [Option<f64>; 2] {
        if self.m2.hi <= 0.0 {
            return [None, None];
        }
        let half = exponent_of(self.m2.hi).div_euclid(2);
        let m2 = scaled(self.m2.hi, -2 * half);
        let m3 = scaled(self.m3.hi, -3 * half);
        let m4 = scaled(self.m4.hi, -4 * half);
        let n = self.count() as f64;
        let skewness = n.sqrt() * m3 / (m2 * m2.sqrt());
        let kurtosis = n * m4 / (m2 * m2) - 3.0;
        [Some(skewness + 0.0), Some(kurtosis + 0.0)]
    }
}
