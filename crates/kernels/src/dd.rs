//! Double-double numbers: an unevaluated sum of two f64 with about 106 bits, for merging only.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// `hi + lo` with |lo| <= ulp(hi) / 2. Its callers keep the exponents far from the ends of f64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Dd {
    pub hi: f64,
    pub lo: f64,
}

/// Sum and its exact rounding error (Knuth).
#[inline(always)]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// As `two_sum`, for |a| >= |b| (Dekker).
fn quick_two_sum(a: f64, b: f64) -> Dd {
    let hi = a + b;
    Dd { hi, lo: b - (hi - a) }
}

/// Product and its exact rounding error.
fn two_prod(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

impl Dd {
    pub const ZERO: Dd = Dd { hi: 0.0, lo: 0.0 };

    /// The exact sum of two f64.
    pub fn sum(a: f64, b: f64) -> Dd {
        let (hi, lo) = two_sum(a, b);
        Dd { hi, lo }
    }

    /// The exact difference of two f64.
    pub fn difference(a: f64, b: f64) -> Dd {
        Dd::sum(a, -b)
    }

    /// A value that cannot be negative by its meaning, freed from a rounding error below 0.
    pub fn not_negative(self) -> Dd {
        if self.hi < 0.0 { Dd::ZERO } else { self }
    }
}

impl From<f64> for Dd {
    fn from(x: f64) -> Dd {
        Dd { hi: x, lo: 0.0 }
    }
}

/// Exact for every u64.
impl From<u64> for Dd {
    fn from(n: u64) -> Dd {
        let low = n & 0xffff_ffff;
        Dd::sum((n - low) as f64, low as f64)
    }
}

impl Neg for Dd {
    type Output = Dd;
    fn neg(self) -> Dd {
        Dd { hi: -self.hi, lo: -self.lo }
    }
}

impl Add for Dd {
    type Output = Dd;
    fn add(self, other: Dd) -> Dd {
        let (high, high_error) = two_sum(self.hi, other.hi);
        let (low, low_error) = two_sum(self.lo, other.lo);
        let first = quick_two_sum(high, high_error + low);
        quick_two_sum(first.hi, first.lo + low_error)
    }
}

impl Sub for Dd {
    type Output = Dd;
    fn sub(self, other: Dd) -> Dd {
        self + -other
    }
}

impl Mul for Dd {
    type Output = Dd;
    fn mul(self, other: Dd) -> Dd {
        let (product, error) = two_prod(self.hi, other.hi);
        quick_two_sum(product, error + (self.hi * other.lo + self.lo * other.hi))
    }
}

impl Mul<f64> for Dd {
    type Output = Dd;
    fn mul(self, factor: f64) -> Dd {
        let (product, error) = two_prod(self.hi, factor);
        quick_two_sum(product, error + self.lo * factor)
    }
}

impl Div for Dd {
    type Output = Dd;
    fn div(self, divisor: Dd) -> Dd {
        let first = self.hi / divisor.hi;
        let rest = self - divisor * first;
        let second = rest.hi / divisor.hi;
        let third = (rest - divisor * second).hi / divisor.hi;
        quick_two_sum(first, second) + Dd::from(third)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_above_two_to_the_53_is_kept_exactly() {
        let n = Dd::from(u64::MAX);
        assert_eq!((n.hi, n.lo), (18_446_744_073_709_551_616.0, -1.0));
    }

    #[test]
    fn a_third_times_three_is_one_to_a_hundred_bits() {
        let third = Dd::from(1.0) / Dd::from(3.0);
        let error = third * 3.0 - Dd::from(1.0);
        assert!(third.lo != 0.0 && error.hi.abs() < 2f64.powi(-100));
    }

    #[test]
    fn adding_keeps_what_a_single_f64_would_lose() {
        let x = Dd::sum(1e16, 1.0) + Dd::from(-1e16);
        assert_eq!(x.hi, 1.0);
    }
}
