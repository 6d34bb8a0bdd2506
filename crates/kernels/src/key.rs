//! The order-preserving map between f64 and u64 on which sorting and counting work.

const SIGN: u64 = 1 << 63;

/// A key that orders as the values do; -0.0 has the key of 0.0. Meant for finite values and infinities.
///
/// Neighbouring numbers have neighbouring keys, those around 0.0 too.
#[inline]
pub fn key_of(x: f64) -> u64 {
    // Adding 0.0 turns -0.0 into 0.0 and changes nothing else.
    let bits = (x + 0.0).to_bits();
    // Below 0 the order of the bits is turned round; adding 1 closes the gap that -0.0 leaves.
    (bits ^ (((bits as i64 >> 63) as u64) | SIGN)) + (bits >> 63)
}

/// The value of a key: the inverse of [`key_of`].
#[inline]
pub fn value_of(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !(key - 1) } else { key ^ SIGN })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_values_do_and_give_them_back() {
        let ascending =
            [f64::MIN, -1.0, -f64::MIN_POSITIVE, -f64::from_bits(1), 0.0, f64::from_bits(1), 1.0, f64::MAX];
        assert!(ascending.windows(2).all(|pair| key_of(pair[0]) < key_of(pair[1])));
        assert!(ascending.iter().all(|&x| value_of(key_of(x)).to_bits() == x.to_bits()));
    }

    #[test]
    fn minus_zero_is_zero() {
        assert_eq!(key_of(-0.0), key_of(0.0));
        assert_eq!(value_of(key_of(-0.0)).to_bits(), 0);
        assert_eq!(key_of(0.0) - key_of(-f64::from_bits(1)), 1);
    }
}
