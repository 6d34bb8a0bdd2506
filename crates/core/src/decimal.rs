//! Decimal digits as the f64 next to them: the plain numbers that data is made of, eight digits at a time.

/// Digits that always fit into 64 bits.
const MOST_DIGITS: usize = 19;

/// Integers up to this one are their own f64.
const EXACT: u64 = 1 << 53;

/// Powers of ten that are their own f64.
const TENS: [f64; MOST_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19,
];

/// What eight digits, or some less, move those before them by.
const MOVES: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

const RECIPROCALS: [Reciprocal; MOST_DIGITS + 1] = reciprocals();

/// A number at the beginning of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decimal {
    pub value: f64,
    /// Bytes that it takes.
    pub length: usize,
    /// Whether it has no point.
    pub whole: bool,
}

/// Reads digits, among them a point, behind a minus where there is one. None for anything else, for an exponent, for
/// a zero before other digits, and where the nearest f64 is not found quickly: whoever asks has a slower way, too.
///
/// What lies behind the number is not judged.
#[inline]
pub fn plain(text: &[u8]) -> Option<Decimal> {
    text.first_chunk().and_then(usual).or_else(|| unusual(text))
}

/// Bytes that are there behind the beginning of all numbers of a text but the last.
const USUAL: usize = 40;

/// A number of up to seven digits before a point and up to fifteen behind it, with few branches: what these would depend
/// on differs from number to number, and can be foreseen by no processor.
#[inline]
fn usual(text: &[u8; USUAL]) -> Option<Decimal> {
    let negative = text[0] == b'-';
    let begin = usize::from(negative);
    let eight = |at: usize| text.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    let bytes = eight(begin)?;
    let count = leading_digits(bytes);
    let end = begin + count;
    if count == 0 || count == 8 || (count > 1 && text[begin] == b'0') || text[end] != b'.' {
        return None;
    }
    let (first, second) = (eight(end + 1)?, eight(end + 9)?);
    let decimals = leading_digits(first);
    let more = leading_digits(second) * (decimals / 8);
    let digits = number_of(bytes, count) * MOVES[decimals] + number_of(first, decimals);
    let digits = digits.wrapping_mul(MOVES[more]).wrapping_add(number_of(second, more));
    let decimals = decimals + more;
    let length = end + 1 + decimals;
    if decimals == 0 || decimals > 15 || count + decimals > MOST_DIGITS || matches!(text[length], b'e' | b'E')
    {
        return None;
    }
    let value = if digits == 0 { 0.0 } else { RECIPROCALS[decimals].times(digits)? };
    let value = f64::from_bits(value.to_bits() | u64::from(negative) << 63);
    Some(Decimal { value, length, whole: false })
}

fn unusual(text: &[u8]) -> Option<Decimal> {
    let negative = text.first() == Some(&b'-');
    let begin = usize::from(negative);
    let (mut digits, mut end) = digits_at(text, begin, 0);
    let mut count = end - begin;
    if count == 0 || (count > 1 && text.get(begin) == Some(&b'0')) {
        return None;
    }
    let (mut decimals, whole) = (0, text.get(end) != Some(&b'.'));
    if !whole {
        let point = end + 1;
        (digits, end) = digits_at(text, point, digits);
        decimals = end - point;
        count += decimals;
        if decimals == 0 {
            return None;
        }
    }
    if count > MOST_DIGITS || matches!(text.get(end), Some(b'e' | b'E')) {
        return None;
    }
    let value = match digits {
        // Both are exact, so that one division rounds once.
        0..=EXACT => digits as f64 / TENS[decimals],
        _ => RECIPROCALS[decimals].times(digits)?,
    };
    Some(Decimal { value: if negative { -value } else { value }, length: end, whole })
}

/// The digits from `at` on, behind those of `value`, and where they end. More than 64 bits hold is nonsense.
#[inline]
fn digits_at(text: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    loop {
        let bytes = eight_bytes(text, at);
        let count = leading_digits(bytes);
        value = value.wrapping_mul(MOVES[count]).wrapping_add(number_of(bytes, count));
        at += count;
        if count < 8 {
            return (value, at);
        }
    }
}

/// The first in the lowest place; zeros behind the end.
#[inline]
fn eight_bytes(text: &[u8], at: usize) -> u64 {
    if let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        return u64::from_le_bytes(*bytes);
    }
    let left = text.len().saturating_sub(at);
    match text.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last).checked_shr(64 - 8 * left as u32).unwrap_or(0),
        None => {
            let rest = text.get(at..).unwrap_or_default();
            rest.iter().rev().fold(0, |bytes, byte| bytes << 8 | u64::from(*byte))
        }
    }
}

/// How many of eight bytes are digits before another one comes. The carries of a digit's sum and difference reach no
/// higher byte, so that the first other byte is always found.
#[inline]
fn leading_digits(bytes: u64) -> usize {
    let beyond_nine = bytes.wrapping_add(0x4646_4646_4646_4646);
    let below_zero = bytes.wrapping_sub(0x3030_3030_3030_3030);
    ((beyond_nine | below_zero) & 0x8080_8080_8080_8080).trailing_zeros() as usize / 8
}

/// The number that the first `count` of eight bytes say: pairs, then fours, then all eight.
#[inline]
fn number_of(bytes: u64, count: usize) -> u64 {
    const PAIRS: u64 = 0x0000_00FF_0000_00FF;
    let digits = bytes.wrapping_sub(0x3030_3030_3030_3030);
    let digits = digits.checked_shl(64 - 8 * count as u32).unwrap_or(0);
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let second = (pairs >> 16 & PAIRS).wrapping_mul(1 + (10_000 << 32));
    first.wrapping_add(second) >> 32
}

/// 5^-k in 64 bits, the highest of which is set: `floor(2^(63 + bits) / 5^k)`.
#[derive(Clone, Copy)]
struct Reciprocal {
    bits: u64,
    /// `bits + k`, what the number is shifted by beside its 64 bits.
    shift: u32,
}

impl Reciprocal {
    /// The f64 next to `digits / 10^k`, for digits that are not 0; None where it is not certain.
    ///
    /// Of the product of digits, moved up to fill 64 bits, and the reciprocal, the 64 high bits are formed. Both these and
    /// the reciprocal were rounded down, so that the truth lies less than 2 above them: where the middle between two
    /// f64 does not, it is known to which side the number is rounded.
    #[inline]
    fn times(self, digits: u64) -> Option<f64> {
        let moved = digits.leading_zeros();
        let high = ((u128::from(digits << moved) * u128::from(self.bits)) >> 64) as u64;
        let top = (high >> 63) as u32;
        let half = 1 << (9 + top);
        let below = high & (2 * half - 1);
        if below.wrapping_sub(half - 2) <= 2 {
            return None;
        }
        let mantissa = ((high >> (9 + top)) + 1) >> 1;
        // The mantissa's highest bit adds 1 to the exponent, and so does a mantissa that was rounded up to 2^53.
        let exponent = u64::from(1085 + top - moved - self.shift);
        Some(f64::from_bits((exponent << 52) + mantissa))
    }
}

const fn reciprocals() -> [Reciprocal; MOST_DIGITS + 1] {
    let mut all = [Reciprocal { bits: 1 << 63, shift: 0 }; MOST_DIGITS + 1];
    let (mut power, mut k) = (5, 1);
    while k <= MOST_DIGITS {
        let bits = u64::BITS - u64::leading_zeros(power);
        all[k] = Reciprocal { bits: quotient_of_power(63 + bits, power), shift: bits + k as u32 };
        power *= 5;
        k += 1;
    }
    all
}

/// `floor(2^exponent / divisor)`, digit by binary digit.
const fn quotient_of_power(exponent: u32, divisor: u64) -> u64 {
    let (mut rest, mut quotient, mut i) = (1, 0, 0);
    while i < exponent {
        rest *= 2;
        quotient *= 2;
        if rest >= divisor {
            rest -= divisor;
            quotient += 1;
        }
        i += 1;
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, from one another.
    fn mixed(seed: u64) -> u64 {
        let x = (seed ^ seed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ x >> 31
    }

    /// What was read of a text is what the standard library reads; whether anything was.
    fn is_as_standard(text: &str) -> bool {
        let Some(found) = plain(text.as_bytes()) else { return false };
        let (number, _) = text.split_at(found.length);
        let expected: f64 = number.parse().unwrap();
        assert_eq!(found.value.to_bits(), expected.to_bits(), "{text}");
        assert_eq!(found.whole, !number.contains('.'), "{text}");
        true
    }

    #[test]
    fn numbers_of_any_length_are_rounded_as_by_the_standard_library() {
        let mut read = 0;
        for i in 0..400_000u64 {
            let (bits, form) = (mixed(i), mixed(i + 1_000_000));
            let digits = (bits >> (form % 64)).to_string();
            let point = mixed(form) as usize % (digits.len() + 1);
            let (whole, decimals) = digits.split_at(point);
            let sign = if form >> 32 & 1 == 1 { "-" } else { "" };
            let text = match (whole, decimals) {
                ("", decimals) => format!("{sign}0.{decimals},17"),
                (whole, "") => format!("{sign}{whole}]"),
                (whole, decimals) => format!("{sign}{whole}.{decimals}"),
            };
            read += u32::from(is_as_standard(&text));
        }
        assert!(read > 380_000, "only {read} of 400,000 are read quickly");
    }

    #[test]
    fn what_a_number_of_17_digits_says_is_read_quickly() {
        for i in 0..200_000u64 {
            let value = (mixed(i) >> 12) as f64 / (1u64 << 46) as f64;
            let text = format!("{value:?}");
            assert!(is_as_standard(&text) || text.contains('e') || text.starts_with("0.0"), "{text}");
        }
    }

    #[test]
    fn the_middle_between_two_numbers_is_left_to_the_slower_way() {
        for text in ["9007199254740993", "4503599627370496.5", "9007199254740993.0", "2251799813685248.25"] {
            assert!(is_as_standard(text) || plain(text.as_bytes()).is_none(), "{text}");
        }
        assert_eq!(plain(b"9007199254740993"), None);
    }

    #[test]
    fn what_is_no_plain_number_is_not_read() {
        for text in
            ["", "-", ".5", "-.5", "1.", "1.x", "01", "-00.5", "+1", "1e5", "1.5E3", "inf", "NaN", "x"]
        {
            assert_eq!(plain(text.as_bytes()), None, "{text}");
        }
        assert_eq!(plain(b"12345678901234567890"), None);
        assert_eq!(plain(b"0.12345678901234567890"), None);
        let found = plain(b"-0").unwrap();
        assert!(found.value == 0.0 && found.value.is_sign_negative() && found.whole && found.length == 2);
    }

    #[test]
    fn the_end_of_the_text_may_come_anywhere() {
        for text in
            ["1", "12", "1234567", "12345678", "123456789", "1.5", "-1.2345678", "0.12345678901234567"]
        {
            assert!(is_as_standard(text), "{text}");
        }
    }
}
