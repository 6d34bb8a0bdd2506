//! Moments of f64 columns in exact rational arithmetic: every value is an integer times one power of two.

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

/// Exact power sums of the finite values X·2^unit of a column.
pub struct Exact {
    pub count: u64,
    unit: i64,
    sum: BigInt,
    sum_abs: BigInt,
    /// count·X − sum for each value: its deviation from the mean, times count.
    deviations: Vec<BigInt>,
    d2: BigInt,
    d3: BigInt,
    d4: BigInt,
}

/// x as (odd integer or 0)·2^exponent.
fn decomposed(x: f64) -> (i64, i64) {
    let bits = x.to_bits();
    let biased = ((bits >> 52) & 0x7ff) as i64;
    let fraction = (bits & ((1 << 52) - 1)) as i64;
    let (integer, exponent) =
        if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased - 1075) };
    let shift = if integer == 0 { 0 } else { integer.trailing_zeros() };
    (if x < 0.0 { -(integer >> shift) } else { integer >> shift }, exponent + i64::from(shift))
}

/// x·2^k, infinite beyond f64.
fn times_two_to_the(mut x: f64, mut k: i64) -> f64 {
    while k.abs() > 1000 {
        x *= 2f64.powi(1000 * k.signum() as i32);
        k -= 1000 * k.signum();
    }
    x * 2f64.powi(k as i32)
}

/// The f64 nearest to numerator/denominator·2^k (but for the last bit of a denormal).
fn rounded(numerator: &BigInt, denominator: &BigInt, k: i64) -> f64 {
    let shift = 66 + denominator.bits() as i64 - numerator.bits() as i64;
    let quotient = if shift >= 0 {
        (numerator << shift as usize) / denominator
    } else {
        numerator / (denominator << (-shift) as usize)
    };
    times_two_to_the(quotient.to_f64().expect("a quotient of 68 bits is within f64"), k - shift)
}

impl Exact {
    pub fn of(values: &[f64]) -> Exact {
        let parts: Vec<(i64, i64)> =
            values.iter().filter(|x| x.is_finite()).map(|&x| decomposed(x)).collect();
        let unit = parts.iter().filter(|(integer, _)| *integer != 0).map(|(_, e)| *e).min().unwrap_or(0);
        let integers: Vec<BigInt> = parts
            .iter()
            .map(
                |&(integer, e)| {
                    if integer == 0 { BigInt::zero() } else { BigInt::from(integer) << (e - unit) as usize }
                },
            )
            .collect();
        let count = integers.len() as u64;
        let sum: BigInt = integers.iter().sum();
        let sum_abs = integers.iter().map(|x| x.abs()).sum();
        let deviations: Vec<BigInt> = integers.iter().map(|x| x * count - &sum).collect();
        let [mut d2, mut d3, mut d4] = [BigInt::zero(), BigInt::zero(), BigInt::zero()];
        for d in &deviations {
            let square = d * d;
            d3 += &square * d;
            d4 += &square * &square;
            d2 += square;
        }
        Exact { count, unit, sum, sum_abs, deviations, d2, d3, d4 }
    }

    pub fn sum(&self) -> f64 {
        rounded(&self.sum, &1.into(), self.unit)
    }

    /// Σ|x|·1e-13.
    pub fn sum_tolerance(&self) -> f64 {
        rounded(&self.sum_abs, &10_000_000_000_000u64.into(), self.unit)
    }

    pub fn mean(&self) -> f64 {
        rounded(&self.sum, &self.count.into(), self.unit)
    }

    fn variance_parts(&self, divisor: u64) -> (&BigInt, BigInt) {
        (&self.d2, BigInt::from(self.count) * self.count * divisor)
    }

    /// The sum of squared deviations over `divisor`.
    pub fn variance(&self, divisor: u64) -> f64 {
        let (numerator, denominator) = self.variance_parts(divisor);
        rounded(numerator, &denominator, 2 * self.unit)
    }

    pub fn std_dev(&self, divisor: u64) -> f64 {
        let (numerator, denominator) = self.variance_parts(divisor);
        // The root is taken of an integer of at least 140 bits, and so is itself exact to some 70.
        let shift = 2 * (80 + denominator.bits() as usize);
        let root = ((numerator << shift) / denominator).sqrt();
        rounded(&root, &1.into(), self.unit - shift as i64 / 2)
    }

    /// None for a constant column.
    pub fn skewness(&self) -> Option<f64> {
        let cube = &self.d2 * &self.d2 * &self.d2;
        let square = (!cube.is_zero()).then(|| rounded(&(&self.d3 * &self.d3 * self.count), &cube, 0))?;
        Some(if self.d3.is_negative() { -square.sqrt() } else { square.sqrt() })
    }

    /// None for a constant column.
    pub fn kurtosis(&self) -> Option<f64> {
        let square = &self.d2 * &self.d2;
        (!square.is_zero()).then(|| rounded(&(&self.d4 * self.count - &square * 3), &square, 0))
    }

    /// Values whose squared deviation from the true mean is above nine true variances.
    pub fn beyond_three_sigma(&self) -> u64 {
        let limit = &self.d2 * 9;
        self.deviations.iter().filter(|d| *d * *d * self.count > limit).count() as u64
    }
}
