//! Percentiles, mode, histogram and every count exactly as defined.

use caudal_kernels::{HistogramBins, PERCENTILES, Profile, Sorted, key_of, profile};

use crate::cases;
use crate::reference::exact::Exact;
use crate::reference::order;

/// Checks everything but the moments of a profile of `values`.
pub fn check(case: &str, values: &[f64]) {
    let found = profile(values, true);
    let x = order::ascending(values);
    let sorted = Sorted::of(values);
    let bits = |value: Option<f64>| value.map(|v| (v + 0.0).to_bits());
    for (p, got) in PERCENTILES.iter().zip(found.percentiles) {
        assert_eq!(bits(got), bits(order::percentile(&x, *p as usize)), "{case}: p{p}");
    }
    for p in 0..=100 {
        assert_eq!(bits(sorted.percentile(p)), bits(order::percentile(&x, p as usize)), "{case}: p{p}");
    }
    let (mode, distinct) = order::mode_and_distinct(&x);
    assert_eq!((found.mode, found.distinct), (mode, Some(distinct)), "{case}: mode, distinct");
    let count = |test: &dyn Fn(f64) -> bool| x.iter().filter(|v| test(**v)).count() as u64;
    assert_eq!(found.zeros, count(&|v| v == 0.0), "{case}: zeros");
    assert_eq!(found.negatives, count(&|v| v < 0.0), "{case}: negatives");
    let quartiles = &found.quartiles;
    let outside = |v: f64| {
        quartiles.lower_fence.is_some_and(|fence| v < fence)
            || quartiles.upper_fence.is_some_and(|fence| v > fence)
    };
    assert_eq!(found.outliers, count(&outside), "{case}: outliers");
    check_zscore(case, values, &found);
    check_histogram(case, &x, &found.histogram);
}

fn check_zscore(case: &str, values: &[f64], found: &Profile) {
    let truly = Exact::of(values).beyond_three_sigma();
    // Where deviations are fewer than a thousand denormals, mean and std_dev in f64 cannot decide it.
    if found.moments.std_dev.is_some_and(|s| s > 0.0 && s < 1e-307) {
        return;
    }
    let difference = truly.abs_diff(found.zscore.outliers);
    assert!(difference <= found.zscore.borderline, "{case}: {:?} against {truly}", found.zscore);
}

fn check_histogram(case: &str, x: &[f64], found: &HistogramBins) {
    let (Some(&min), Some(&max)) = (x.first(), x.last()) else {
        return assert_eq!(found, &HistogramBins::default(), "{case}: histogram of nothing");
    };
    if min < max && (max - min).is_finite() {
        assert_eq!(found.edges, order::histogram_edges(min, max), "{case}: edges");
    }
    assert_eq!(
        (found.edges[0], min < max),
        (min, found.edges.last() == Some(&max) && min != max),
        "{case}: ends"
    );
    assert_eq!(found.counts, order::histogram_counts(x, &found.edges), "{case}: counts");
}

#[test]
fn nist_series_have_exact_order_statistics() {
    for (case, values) in cases::nist() {
        check(case, &values);
    }
}

#[test]
fn named_columns_have_exact_order_statistics() {
    for (case, values) in cases::named().iter().filter(|(case, _)| *case != "constant largest number") {
        check(case, values);
    }
}

#[test]
fn a_column_of_the_largest_number_has_one_bin_without_width() {
    let found = profile(&[f64::MAX; 5], true).histogram;
    assert_eq!((found.edges, found.counts), (vec![f64::MAX; 2], vec![5]));
}

#[test]
fn percentiles_of_a_hundred_and_one_integers_are_those_integers() {
    let values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
    let found = profile(&values, false);
    assert_eq!(found.percentiles, PERCENTILES.map(|p| Some(f64::from(p))));
    assert_eq!(found.distinct, None);
}

#[test]
fn an_iqr_of_zero_makes_every_other_value_an_outlier() {
    let mut values = vec![0.0; 80];
    values.extend((1..=20).map(f64::from));
    let found = profile(&values, true);
    assert_eq!((found.quartiles.iqr, found.outliers, found.zeros), (Some(0.0), 20, 80));
    assert_eq!(found.mode, Some((0.0, 80)));
}

#[test]
fn a_constant_column_has_no_outliers_of_either_kind() {
    let found = profile(&[4.5; 1000], true);
    assert_eq!((found.outliers, found.zscore.outliers, found.zscore.borderline), (0, 0, 0));
    assert_eq!(found.histogram.counts, [1000]);
}

#[test]
fn a_value_exactly_three_deviations_out_is_borderline_and_not_an_outlier() {
    // Nine zeros and a one: mean 0.1, deviation 0.3, and the one lies 0.9 out.
    let mut values = vec![0.0; 9];
    values.push(1.0);
    let found = profile(&values, true).zscore;
    assert_eq!(found.borderline, 1);
    assert!(found.outliers <= 1);
}

#[test]
fn a_far_value_is_found_at_both_ends_of_f64() {
    for unit in [f64::from_bits(1000), 1e-250, 1.0, 1e250, 1.7e304] {
        let mut values = vec![0.0; 400];
        values.iter_mut().step_by(2).for_each(|x| *x = unit);
        values.push(5000.0 * unit);
        let found = profile(&values, true).zscore;
        assert_eq!((found.outliers, found.borderline), (1, 0), "unit {unit:e}");
    }
}

#[test]
fn runs_that_cross_blocks_are_counted_once() {
    let mut values = vec![1.0; 65_530];
    values.extend(vec![2.0; 140_000]);
    values.extend([3.0, 3.0, 4.0]);
    let sorted = Sorted::from_keys(values.iter().rev().map(|&x| key_of(x)).collect());
    let counted = sorted.value_counts();
    assert_eq!((counted.mode, counted.distinct), (Some((2.0, 140_000)), 4));
    assert_eq!((sorted.count_below(2.0), sorted.count_above(2.0), sorted.len()), (65_530, 3, 205_533));
}

#[test]
fn percentiles_beyond_a_hundred_do_not_exist() {
    assert_eq!(Sorted::of(&[1.0]).percentile(101), None);
    assert!(Sorted::of(&[f64::NAN]).is_empty());
}
