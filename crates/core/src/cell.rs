//! One JSON value seen as a cell of a numeric column.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What a JSON value means in a column of numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number; `inexact` when an integer lost digits on its way to f64.
    Number {
        value: f64,
        inexact: bool,
    },
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

    /// How the cell is called in a message, shortened to 40 characters.
    pub fn describe(&self) -> String {
        match self {
            Cell::Number { value, .. } => format!("the number {value}"),
            Cell::Missing => "null".into(),
            Cell::Text(text) if text.chars().count() > 40 => {
                format!("\"{}…\"", text.chars().take(40).collect::<String>())
            }
            Cell::Text(text) => format!("\"{text}\""),
            Cell::Boolean(value) => value.to_string(),
            Cell::Nested(kind) => format!("an {kind}"),
        }
    }
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
    fn what_is_not_a_number_is_told_by_its_kind() {
        assert_eq!(cell("null"), Cell::Missing);
        assert_eq!(cell("\"abc\"").describe(), "\"abc\"");
        assert_eq!(cell("[1,[2]]"), Cell::Nested("array"));
        assert_eq!(cell("{\"a\":{}}"), Cell::Nested("object"));
        assert_eq!(cell("true").describe(), "true");
    }
}
