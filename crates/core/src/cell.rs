//! One JSON value seen as a cell of a numeric column.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Characters of a text that a message holds.
const TOLD_CHARACTERS: usize = 40;

/// Digits that every integer may have without losing any in f64.
pub(crate) const SAFE_DIGITS: usize = 15;

/// What a JSON value means in a column of numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number; `inexact` when an integer lost digits on its way to f64.
    Number {
        value: f64,
        inexact: bool,
    },
    /// A number that no f64 can hold: its first digits.
    Beyond(String),
    /// `null`.
    Missing,
    Text(String),
    Boolean(bool),
    /// `array` or `object`.
    Nested(&'static str),
}

impl Cell {
    pub fn float(value: f64) -> Cell {
        Cell::Number { value, inexact: false }
    }

    pub fn unsigned(value: u64) -> Cell {
        let float = value as f64;
        // 2^64 itself is what the largest integers round to, and it does not fit back into a u64.
        let inexact = float >= 18_446_744_073_709_551_616.0 || float as u64 != value;
        Cell::Number { value: float, inexact }
    }

    pub fn signed(value: i64) -> Cell {
        let float = value as f64;
        let inexact = float >= 9_223_372_036_854_775_808.0 || float as i64 != value;
        Cell::Number { value: float, inexact }
    }

    /// A number by its digits and the f64 next to it, `whole` where it has neither point nor exponent.
    pub fn of_number(digits: &str, value: f64, whole: bool) -> Cell {
        match value.is_finite() {
            true => {
                let inexact = whole && digits.len() > SAFE_DIGITS && loses_digits(digits, value);
                Cell::Number { value, inexact }
            }
            false => Cell::Beyond(shortened(digits)),
        }
    }

    /// Says that something else was expected.
    pub fn unlike(&self, expected: &str) -> String {
        match self {
            Cell::Beyond(digits) => format!("expected a number within ±{:e}, found {digits}", f64::MAX),
            other => format!("expected {expected}, found {}", other.describe()),
        }
    }

    /// How the cell is called in a message, shortened to 40 characters.
    pub fn describe(&self) -> String {
        match self {
            Cell::Number { value, .. } => format!("the number {value}"),
            Cell::Missing => "null".into(),
            Cell::Beyond(digits) => format!("the number {digits}"),
            Cell::Text(text) => format!("\"{}\"", shortened(text)),
            Cell::Boolean(value) => value.to_string(),
            Cell::Nested(kind) => format!("an {kind}"),
        }
    }
}

/// At most 40 characters of a text.
pub fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(TOLD_CHARACTERS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Whether the integer of these digits, which may have a sign, is not the finite f64 that it was read as.
pub fn loses_digits(digits: &str, value: f64) -> bool {
    if let Ok(integer) = digits.parse::<i128>()
        && value.abs() < 1.7e38
    {
        // Up to 2^127 the f64 is an integer that fits back.
        return value as i128 != integer;
    }
    let unsigned = |text: &str| text.trim_start_matches(['+', '-']).trim_start_matches('0').to_owned();
    unsigned(digits) != unsigned(&format!("{value:.0}"))
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_f64<E>(self, v: f64) -> Result<Cell, E> {
        Ok(Cell::float(v))
    }

    fn visit_u64<E>(self, v: u64) -> Result<Cell, E> {
        Ok(Cell::unsigned(v))
    }

    fn visit_i64<E>(self, v: i64) -> Result<Cell, E> {
        Ok(Cell::signed(v))
    }

    fn visit_unit<E>(self) -> Result<Cell, E> {
        Ok(Cell::Missing)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Cell, E> {
        Ok(Cell::Boolean(v))
    }

    fn visit_str<E>(self, v: &str) -> Result<Cell, E> {
        Ok(Cell::Text(v.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Cell::Nested("array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Cell::Nested("object"))
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cell, D::Error> {
        deserializer.deserialize_any(CellVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::JsonReader;

    fn cell(json: &str) -> Cell {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn integers_beyond_two_to_the_53_are_known_to_be_inexact() {
        assert_eq!(cell("9007199254740992"), Cell::float(9007199254740992.0));
        assert_eq!(cell("9007199254740993"), Cell::Number { value: 9007199254740992.0, inexact: true });
        assert_eq!(
            cell("18446744073709551615"),
            Cell::Number { value: 18446744073709551616.0, inexact: true }
        );
        assert_eq!(
            cell("-9223372036854775808"),
            Cell::Number { value: -9223372036854775808.0, inexact: false }
        );
        assert_eq!(cell("9223372036854775807"), Cell::Number { value: 9223372036854775808.0, inexact: true });
    }

    #[test]
    fn digits_beyond_the_integers_of_any_type_are_counted_where_they_are_lost() {
        let read = |text: &str| JsonReader::new(text.as_bytes()).cell().unwrap();
        let number = |value, inexact| Cell::Number { value, inexact };
        assert_eq!(read("18446744073709551616"), number(18446744073709551616.0, false));
        assert_eq!(read("18446744073709551617"), number(18446744073709551616.0, true));
        let exact = format!("{:.0}", 2f64.powi(200));
        assert_eq!(read(&exact), number(2f64.powi(200), false));
        assert_eq!(read(&format!("-{exact}")), number(-(2f64.powi(200)), false));
        assert_eq!(read(&format!("1{}", "0".repeat(50))), number(1e50, true));
        assert_eq!(read("1.8446744073709551617e19"), Cell::float(1.8446744073709552e19));
        assert!(matches!(read("-0"), Cell::Number { value, .. } if value.is_sign_negative()));
    }

    #[test]
    fn a_number_that_no_f64_can_hold_is_told_with_the_bounds() {
        let read = |text: &str| JsonReader::new(text.as_bytes()).cell().unwrap();
        let cell = read("1e999");
        assert_eq!(cell.unlike("a number"), "expected a number within ±1.7976931348623157e308, found 1e999");
        assert_eq!(read(&"9".repeat(400)), Cell::Beyond(format!("{}…", "9".repeat(40))));
        assert_eq!(read("1e-999"), Cell::float(0.0));
    }

    #[test]
    fn what_is_not_a_number_is_told_by_its_kind() {
        assert_eq!(cell("null"), Cell::Missing);
        assert_eq!(cell("\"abc\"").describe(), "\"abc\"");
        assert_eq!(cell("[1,[2]]"), Cell::Nested("array"));
        assert_eq!(cell("{\"a\":{}}"), Cell::Nested("object"));
        assert_eq!(cell("true").describe(), "true");
    }
}
