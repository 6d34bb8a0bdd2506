//! Every moment within its promised distance of the exact rational value.

use caudal_kernels::{MomentSummary, Moments, moments};

use crate::cases;
use crate::reference::exact::Exact;

/// Half the gap between denormals, rounded up: no f64 need be nearer to the truth.
const SMALLEST: f64 = f64::from_bits(1);

struct Check<'a> {
    case: &'a str,
    summary: &'a MomentSummary,
}

impl Check<'_> {
    /// `got` within `tolerance` of `want`, or absent and named where `want` is beyond f64.
    fn close(&self, name: &'static str, got: Option<f64>, want: f64, tolerance: f64) {
        let Check { case, summary } = self;
        let named = summary.overflowed.contains(&name);
        // Where the bound around the one reaches past f64, the other may lie there.
        let at_the_edge = |x: f64| tolerance.is_finite() && (x.abs() + 2.0 * tolerance).is_infinite();
        if named != want.is_infinite() && at_the_edge(got.unwrap_or(want)) {
            return;
        }
        assert_eq!(named, want.is_infinite(), "{case}: {name} is named, want {want:e}");
        if want.is_infinite() {
            return assert_eq!(got, None, "{case}: {name} is beyond f64");
        }
        let got = got.unwrap_or_else(|| panic!("{case}: {name} is absent, want {want:e}"));
        let error = (got - want).abs();
        assert!(
            error <= tolerance + SMALLEST,
            "{case}: {name} is {got:e}, want {want:e} within {tolerance:e}"
        );
    }

    fn spread(&self, exact: &Exact) {
        let s = self.summary;
        let n = exact.count;
        let fields = [("variance", s.variance, exact.variance(n)), ("std_dev", s.std_dev, exact.std_dev(n))];
        let of_a_sample = |divisor| {
            [
                ("variance_sample", s.variance_sample, exact.variance(divisor)),
                ("std_dev_sample", s.std_dev_sample, exact.std_dev(divisor)),
            ]
        };
        let sample = if n > 1 { of_a_sample(n - 1).to_vec() } else { vec![] };
        for (name, got, want) in fields.into_iter().chain(sample) {
            self.close(name, got, want, 1e-13 * want);
            assert!(got.is_none_or(|x| x >= 0.0), "{}: {name} is negative", self.case);
        }
        if n == 1 {
            assert_eq!((s.variance_sample, s.std_dev_sample), (None, None), "{}", self.case);
        }
    }

    fn shape(&self, exact: &Exact) {
        let s = self.summary;
        let fields = [("skewness", s.skewness, exact.skewness()), ("kurtosis", s.kurtosis, exact.kurtosis())];
        for (name, got, want) in fields {
            match want {
                Some(want) => self.close(name, got, want, 1e-12 * want.abs().max(1.0)),
                None => assert_eq!(got, None, "{}: {name} of a constant column", self.case),
            }
        }
    }
}

/// Checks every field of the summary of `values`, which is also returned.
pub fn check(case: &str, values: &[f64]) -> MomentSummary {
    let summary = moments(values).summary();
    let exact = Exact::of(values);
    let check = Check { case, summary: &summary };
    let counted = |test: fn(f64) -> bool| values.iter().filter(|x| test(**x)).count() as u64;
    assert_eq!(summary.rows, values.len() as u64, "{case}");
    assert_eq!(summary.missing, counted(f64::is_nan), "{case}");
    assert_eq!(summary.positive_infinite, counted(|x| x == f64::INFINITY), "{case}");
    assert_eq!(summary.negative_infinite, counted(|x| x == f64::NEG_INFINITY), "{case}");
    assert_eq!(summary.count, exact.count, "{case}");
    check.close("sum", summary.sum, exact.sum(), exact.sum_tolerance());
    if exact.count == 0 {
        let empty = MomentSummary {
            rows: summary.rows,
            missing: summary.missing,
            positive_infinite: summary.positive_infinite,
            negative_infinite: summary.negative_infinite,
            sum: Some(0.0),
            ..MomentSummary::default()
        };
        assert_eq!(summary, empty, "{case}");
        return summary;
    }
    let (mean, std_dev) = (exact.mean(), exact.std_dev(exact.count));
    check.close("mean", summary.mean, mean, 1e-13 * mean.abs().max(std_dev));
    check.spread(&exact);
    check.shape(&exact);
    range(&check, values);
    summary
}

fn range(check: &Check, values: &[f64]) {
    let finite = || values.iter().copied().filter(|x| x.is_finite()).map(|x| x + 0.0);
    let (min, max) = (finite().fold(f64::INFINITY, f64::min), finite().fold(-f64::INFINITY, f64::max));
    let s = check.summary;
    let bits = |x: Option<f64>| x.map(f64::to_bits);
    assert_eq!((bits(s.min), bits(s.max)), (Some(min.to_bits()), Some(max.to_bits())), "{}", check.case);
    check.close("range", s.range, max - min, 0.0);
    let mean = s.mean.unwrap_or(f64::NAN);
    assert!(min <= mean && mean <= max, "{}: mean {mean:e} outside {min:e}..={max:e}", check.case);
}

#[test]
fn nist_series_meet_the_bounds() {
    for (case, values) in cases::nist() {
        check(case, &values);
    }
}

#[test]
fn named_columns_meet_the_bounds() {
    for (case, values) in cases::named() {
        check(case, &values);
    }
}

#[test]
fn a_constant_column_has_its_value_as_mean_and_no_spread_or_shape() {
    for value in [0.1, -1e308, f64::from_bits(3), 1e9 + 0.1] {
        let s = check("constant", &vec![value; 70_001]);
        assert_eq!((s.mean, s.variance, s.std_dev), (Some(value), Some(0.0), Some(0.0)));
        assert_eq!((s.variance_sample, s.std_dev_sample), (Some(0.0), Some(0.0)));
        assert_eq!((s.skewness, s.kurtosis), (None, None));
    }
}

#[test]
fn what_is_beyond_f64_is_named_and_the_rest_is_kept() {
    let s = check("largest numbers", &[f64::MAX, -f64::MAX]);
    assert_eq!(s.overflowed, ["variance", "variance_sample", "std_dev_sample", "range"]);
    assert_eq!((s.mean, s.sum, s.std_dev), (Some(0.0), Some(0.0), Some(f64::MAX)));
    let s = check("sum beyond f64", &[1.7e308, 1.6e308]);
    assert_eq!(s.overflowed, ["sum", "variance", "variance_sample"]);
}

#[test]
fn two_far_rows_of_opposite_sign_do_not_blur_the_skewness_of_the_rest() {
    let mut values = vec![3.0; 65_536];
    values.iter_mut().step_by(2).for_each(|x| *x = 3.8);
    (values[0], values[32_768]) = (1e6, -1e6);
    let (got, want) = (moments(&values).summary().skewness.unwrap(), Exact::of(&values).skewness().unwrap());
    assert!((got - want).abs() < 1e-14, "{got:e} against {want:e}");
}

#[test]
fn a_block_given_whole_or_in_halves_meets_the_same_bounds() {
    let values = cases::normal(11, 60_000);
    let exact = Exact::of(&values);
    let (first, second) = values.split_at(17);
    let merged = Moments::of_block(first).merge(&Moments::of_block(second)).summary();
    let check = Check { case: "halves", summary: &merged };
    check.spread(&exact);
    check.shape(&exact);
    assert_eq!(merged.rows, 60_000);
}

#[test]
fn spreads_of_a_few_units_in_the_last_place_are_exact() {
    for (offset, steps) in [(0.1, 2), (1e9 + 0.1, 7), (1.0 / 3.0, 40), (-1e5 / 7.0, 300)] {
        let neighbour = |k: u64| f64::from_bits(f64::to_bits(offset) + k);
        let values: Vec<f64> =
            cases::uniform(12).take(70_000).map(|u| neighbour((u * u * steps as f64) as u64)).collect();
        check("few units", &values);
        let mut one_apart = vec![offset; 65_536];
        one_apart[40_000] = neighbour(steps);
        check("one apart", &one_apart);
    }
}
