//! Exact scaling of f64 by powers of two, over the whole range and with denormals.

/// 2^k for a k in -1022..=1023.
pub(crate) fn power_of_two(k: i32) -> f64 {
    f64::from_bits(((k + 1023) as u64) << 52)
}

/// The e with 2^e <= |x| < 2^(e+1), for a finite x that is not 0.
pub(crate) fn exponent_of(x: f64) -> i32 {
    let bits = x.abs().to_bits();
    match bits >> 52 {
        0 => -1011 - bits.leading_zeros() as i32,
        biased => biased as i32 - 1023,
    }
}

/// Two factors whose product is 2^k, which itself need not be an f64; for |k| <= 2044.
pub(crate) fn factors(k: i32) -> (f64, f64) {
    (power_of_two(k / 2), power_of_two(k - k / 2))
}

/// x·2^k rounded once; infinite where that is beyond f64.
pub(crate) fn scaled(x: f64, k: i32) -> f64 {
    if x == 0.0 || !x.is_finite() || k == 0 {
        return x;
    }
    let own = exponent_of(x);
    let (first, second) = factors(-own);
    let unit = x * first * second;
    match own + k {
        1024.. => f64::INFINITY.copysign(x),
        e @ -1022..=1023 => unit * power_of_two(e),
        e @ -1080..=-1023 => unit * power_of_two(-1022) * power_of_two(e + 1022),
        _ => 0f64.copysign(x),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_denormals_is_their_highest_bit() {
        assert_eq!(exponent_of(f64::from_bits(1)), -1074);
        assert_eq!(exponent_of(f64::MIN_POSITIVE), -1022);
        assert_eq!(exponent_of(-1.5), 0);
        assert_eq!(exponent_of(f64::MAX), 1023);
    }

    #[test]
    fn scaling_there_and_back_is_exact_from_end_to_end() {
        for x in [f64::from_bits(1), f64::from_bits(0xf_ffff_ffff_ffff), 1.0, -3.7, f64::MAX] {
            let e = exponent_of(x);
            let unit = scaled(x, -e);
            assert!((1.0..2.0).contains(&unit.abs()), "{x:e} became {unit:e}");
            assert_eq!(scaled(unit, e), x);
        }
    }

    #[test]
    fn scaling_past_the_ends_gives_infinity_and_zero() {
        assert_eq!(scaled(-1.0, 1024), f64::NEG_INFINITY);
        assert_eq!(scaled(1.0, -1076), 0.0);
        assert_eq!(scaled(1.5, -1074), f64::from_bits(2));
        assert_eq!(scaled(f64::from_bits(1), 2000), f64::INFINITY.min(scaled(1.0, 926)));
    }
}
