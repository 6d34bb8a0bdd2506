//! The exact percentile definition (Hyndman–Fan type 7) and what follows from the quartiles.

/// The percentiles of a profile.
pub const PERCENTILES: [u32; 8] = [1, 5, 25, 50, 75, 90, 95, 99];

/// Where percentile p of n values lies: p·(n−1) = 100·index + hundredths. For n > 0 and p <= 100.
pub(crate) fn rank(p: u32, n: u64) -> (u64, u32) {
    let position = u128::from(p) * u128::from(n - 1);
    ((position / 100) as u64, (position % 100) as u32)
}

/// The value `hundredths`/100 of the way from a to b, each operation rounded once.
pub(crate) fn interpolate(a: f64, b: f64, hundredths: u32) -> f64 {
    let t = f64::from(hundredths) / 100.0;
    let step = b - a;
    if !step.is_finite() {
        a * (1.0 - t) + b * t
    } else if t < 0.5 {
        a + step * t
    } else {
        b - step * (1.0 - t)
    }
}

/// The quartiles, their distance and the fences 1.5 of it beyond them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quartiles {
    pub q1: Option<f64>,
    pub q3: Option<f64>,
    pub iqr: Option<f64>,
    /// None also where it is beyond f64: then no value lies below it.
    pub lower_fence: Option<f64>,
    /// None also where it is beyond f64: then no value lies above it.
    pub upper_fence: Option<f64>,
    /// Which of `iqr`, `lower_bound` (the lower fence) and `upper_bound` are beyond f64.
    pub overflowed: Vec<&'static str>,
}

/// What follows from two quartiles, q1 <= q3.
pub fn quartiles(q1: f64, q3: f64) -> Quartiles {
    let iqr = q3 - q1;
    let mut overflowed = Vec::new();
    let mut kept = |name, value: f64| {
        if !value.is_finite() {
            overflowed.push(name);
        }
        value.is_finite().then_some(value + 0.0)
    };
    Quartiles {
        q1: Some(q1),
        q3: Some(q3),
        iqr: kept("iqr", iqr),
        lower_fence: kept("lower_bound", fence(q1, -1.5, iqr)),
        upper_fence: kept("upper_bound", fence(q3, 1.5, iqr)),
        overflowed,
    }
}

/// quartile + factor·iqr, on halves where only the product is beyond f64.
fn fence(quartile: f64, factor: f64, iqr: f64) -> f64 {
    let reach = factor * iqr;
    if reach.is_finite() { quartile + reach } else { (quartile / 2.0 + factor / 2.0 * iqr) * 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_exact_for_more_rows_than_f64_can_count() {
        assert_eq!(rank(99, (1 << 60) + 1), (1_141_392_289_560_778_506, 24));
        assert_eq!(rank(50, 4), (1, 50));
        assert_eq!(rank(100, 7), (6, 0));
    }

    #[test]
    fn interpolation_survives_a_difference_beyond_f64() {
        assert_eq!(interpolate(-f64::MAX, f64::MAX, 50), 0.0);
        assert_eq!(interpolate(1.0, 3.0, 25), 1.5);
        assert_eq!(interpolate(1.0, 3.0, 75), 2.5);
    }

    #[test]
    fn a_fence_is_finite_where_only_its_reach_is_not() {
        let found = quartiles(0.4e308, 1.7e308);
        assert!(found.lower_fence.is_some_and(|fence| (fence / -1.55e308 - 1.0).abs() < 1e-15), "{found:?}");
        assert_eq!((found.upper_fence, found.overflowed), (None, vec!["upper_bound"]));
    }

    #[test]
    fn a_distance_beyond_f64_is_named_with_both_fences() {
        let found = quartiles(-1e308, 1e308);
        assert_eq!((found.iqr, found.lower_fence, found.upper_fence), (None, None, None));
        assert_eq!(found.overflowed, ["iqr", "lower_bound", "upper_bound"]);
    }
}
