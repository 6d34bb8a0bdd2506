//! Compares what the two pipelines found, value by value, on the scales of the contract.

use caudal_core::results::{ColumnStatistics, Columns, PipelineResult, SparkProcessing};

/// How far two engines may be apart, on each statistic's own scale.
const TOLERANCE: f64 = 1e-12;

/// How many differing statistics are named.
const NAMED: usize = 20;

/// Puts both results side by side.
pub fn compare(rdd: PipelineResult, dataframe: PipelineResult) -> SparkProcessing {
    let (rdd_time, dataframe_time) = (rdd.processing_time(), dataframe.processing_time());
    let differences = rdd.columns().zip(dataframe.columns()).map(|(a, b)| Differences::between(a, b));
    SparkProcessing {
        rdd_time,
        dataframe_time,
        speedup: rdd_time.zip(dataframe_time).and_then(|(r, d)| (d > 0.0).then_some(r / d)),
        max_relative_difference: differences.as_ref().map(|d| d.largest),
        agreement: differences.as_ref().map(|d| d.named.is_empty()),
        disagreements: differences.map(|d| d.named).unwrap_or_default(),
        rdd_results: rdd,
        dataframe_results: dataframe,
        spark: None,
    }
}

#[derive(Default)]
struct Differences {
    largest: f64,
    named: Vec<String>,
}

impl Differences {
    fn between(a: &Columns<ColumnStatistics>, b: &Columns<ColumnStatistics>) -> Differences {
        let mut found = Differences::default();
        for name in a.keys().chain(b.keys().filter(|n| !a.contains_key(*n))) {
            match (a.get(name), b.get(name)) {
                (Some(x), Some(y)) => found.column(name, x, y),
                _ => found.name(name, "column"),
            }
        }
        found
    }

    fn name(&mut self, column: &str, statistic: &str) {
        if self.named.len() < NAMED {
            self.named.push(format!("{column}.{statistic}"));
        }
    }

    fn column(&mut self, name: &str, a: &ColumnStatistics, b: &ColumnStatistics) {
        self.counts(name, a, b);
        self.exact(name, a, b);
        let spread = a.std_dev.unwrap_or(0.0);
        let size = a.mean.unwrap_or(0.0).abs().max(spread);
        let own = |x: Option<f64>| x.unwrap_or(0.0).abs();
        let shape = |x: Option<f64>| own(x).max(1.0);
        for (statistic, x, y, scale) in [
            ("sum", a.sum, b.sum, size * a.count as f64),
            ("mean", a.mean, b.mean, size),
            ("variance", a.variance, b.variance, own(a.variance)),
            ("std_dev", a.std_dev, b.std_dev, spread),
            ("variance_sample", a.variance_sample, b.variance_sample, own(a.variance_sample)),
            ("std_dev_sample", a.std_dev_sample, b.std_dev_sample, own(a.std_dev_sample)),
            ("skewness", a.skewness, b.skewness, shape(a.skewness)),
            ("kurtosis", a.kurtosis, b.kurtosis, shape(a.kurtosis)),
        ] {
            self.within(name, statistic, x, y, scale);
        }
        self.normalized(name, a, b);
    }

    fn counts(&mut self, name: &str, a: &ColumnStatistics, b: &ColumnStatistics) {
        for (statistic, x, y) in [
            ("rows", a.rows, b.rows),
            ("missing", a.missing, b.missing),
            ("positive_infinite", a.positive_infinite, b.positive_infinite),
            ("negative_infinite", a.negative_infinite, b.negative_infinite),
            ("count", a.count, b.count),
            ("outliers.count", a.outliers.count, b.outliers.count),
            ("zeros", a.zeros, b.zeros),
            ("negatives", a.negatives, b.negatives),
        ] {
            if x != y {
                self.name(name, statistic);
            }
        }
        let borderline = a.zscore_borderline.max(b.zscore_borderline);
        if a.zscore_outliers.abs_diff(b.zscore_outliers) > borderline {
            self.name(name, "zscore_outliers");
        }
    }

    fn exact(&mut self, name: &str, a: &ColumnStatistics, b: &ColumnStatistics) {
        let same = [
            ("min", a.min == b.min),
            ("max", a.max == b.max),
            ("range", a.range == b.range),
            ("percentiles", a.percentiles == b.percentiles),
            ("median", a.median == b.median),
            ("quartiles", a.quartiles == b.quartiles),
            ("outliers", a.outliers == b.outliers),
            ("mode", a.mode == b.mode),
            ("distinct", a.distinct == b.distinct),
            ("histogram", a.histogram == b.histogram),
            ("overflowed", a.overflowed == b.overflowed),
        ];
        for (statistic, _) in same.iter().filter(|(_, equal)| !equal) {
            self.name(name, statistic);
        }
    }

    fn normalized(&mut self, name: &str, a: &ColumnStatistics, b: &ColumnStatistics) {
        let (Some(x), Some(y)) = (&a.normalized, &b.normalized) else {
            if a.normalized != b.normalized {
                self.name(name, "normalized");
            }
            return;
        };
        if (x.count, x.min, x.max) != (y.count, y.min, y.max) {
            self.name(name, "normalized");
        }
        let largest = x.min.unwrap_or(0.0).abs().max(x.max.unwrap_or(0.0).abs()).max(1.0);
        self.within(name, "normalized.mean", x.mean, y.mean, largest);
        self.within(name, "normalized.std_dev", x.std_dev, y.std_dev, largest);
    }

    fn within(&mut self, name: &str, statistic: &str, a: Option<f64>, b: Option<f64>, scale: f64) {
        let difference = match (a, b) {
            (Some(a), Some(b)) if a == b => 0.0,
            (Some(a), Some(b)) if scale > 0.0 => (a / scale - b / scale).abs(),
            (None, None) => 0.0,
            _ => f64::MAX,
        };
        self.largest = self.largest.max(difference);
        if difference > TOLERANCE {
            self.name(name, statistic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(mean: f64, zeros: u64) -> PipelineResult {
        let statistics = ColumnStatistics {
            count: 10,
            mean: Some(mean),
            std_dev: Some(2.0),
            zeros,
            ..ColumnStatistics::default()
        };
        PipelineResult::Completed { processing_time: 0.5, columns: [("x".to_owned(), statistics)].into() }
    }

    #[test]
    fn results_within_the_scales_agree_and_tell_their_distance() {
        let both = compare(column(1.0, 3), column(1.0 + 2e-13, 3));
        assert_eq!(both.agreement, Some(true));
        assert!((0.9e-13..1.1e-13).contains(&both.max_relative_difference.unwrap()));
        assert_eq!(both.speedup, Some(1.0));
    }

    #[test]
    fn a_different_count_or_a_distant_mean_is_named() {
        let both = compare(column(1.0, 3), column(1.1, 4));
        assert_eq!(both.agreement, Some(false));
        assert_eq!(both.disagreements, ["x.zeros", "x.mean"]);
    }

    #[test]
    fn one_pipeline_alone_has_nothing_to_agree_with() {
        let one = compare(column(1.0, 3), PipelineResult::Skipped);
        assert_eq!((one.agreement, one.max_relative_difference, one.speedup), (None, None, None));
    }
}
