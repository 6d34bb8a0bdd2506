//! One cell of text as a number.

use caudal_core::cell::loses_digits;
use caudal_core::decimal::{Decimal, plain};

/// What a cell of text means in a column of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `inexact` when an integer lost digits on its way to f64.
    Value {
        value: f64,
        inexact: bool,
    },
    Missing,
    /// No number, or one that no f64 can hold.
    No,
}

/// Digits that every integer may have without losing any in f64.
const SAFE_DIGITS: usize = 15;

/// Reads a cell: empty, NA, N/A, null and NaN (in any case) are missing; inf and infinity are infinite.
pub fn number(cell: &[u8]) -> Number {
    let cell = cell.trim_ascii();
    if let Some(Decimal { value, length, whole }) = plain(cell)
        && length == cell.len()
    {
        return Number::Value { value, inexact: whole && length > SAFE_DIGITS && is_changed(cell, value) };
    }
    match fast_float2::parse::<f64, _>(cell) {
        Ok(value) if value.is_nan() => Number::Missing,
        Ok(value) if value.is_infinite() && is_beyond(cell) => Number::No,
        Ok(value) => Number::Value { value, inexact: cell.len() > SAFE_DIGITS && is_changed(cell, value) },
        Err(_) => match is_missing(cell) {
            true => Number::Missing,
            false => Number::No,
        },
    }
}

fn is_missing(cell: &[u8]) -> bool {
    let words: [&[u8]; 5] = [b"", b"NA", b"N/A", b"null", b"NaN"];
    words.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// Whether a cell is a number that no f64 can hold; the words for infinity are none.
pub fn is_beyond(cell: &[u8]) -> bool {
    let parsed = fast_float2::parse::<f64, _>(cell.trim_ascii());
    parsed.is_ok_and(f64::is_infinite) && cell.iter().any(u8::is_ascii_digit)
}

/// Whether a plain integer is not the f64 that it was read as.
fn is_changed(cell: &[u8], value: f64) -> bool {
    let digits = cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(cell);
    digits.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(cell).is_ok_and(|text| loses_digits(text, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_missing_values_and_words_are_told_apart() {
        let value = |value| Number::Value { value, inexact: false };
        for (cell, expected) in [
            ("1.5", value(1.5)),
            (" -2e3\t", value(-2000.0)),
            ("+4", value(4.0)),
            ("inf", value(f64::INFINITY)),
            ("+Inf", value(f64::INFINITY)),
            ("-Infinity", value(f64::NEG_INFINITY)),
            ("", Number::Missing),
            ("  ", Number::Missing),
            ("n/a", Number::Missing),
            ("NULL", Number::Missing),
            ("nan", Number::Missing),
            ("1e999", Number::No),
            ("-1e999", Number::No),
            ("abc", Number::No),
            ("1,5", Number::No),
            ("0x10", Number::No),
            ("9007199254740992", value(9007199254740992.0)),
            ("9007199254740993", Number::Value { value: 9007199254740992.0, inexact: true }),
            ("00000000000000000012", value(12.0)),
        ] {
            assert_eq!(number(cell.as_bytes()), expected, "{cell:?}");
        }
    }
}
