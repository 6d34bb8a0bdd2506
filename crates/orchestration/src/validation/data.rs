//! Reads `data`, an array of numbers or an object of equally long named arrays, as it streams by.

use std::fmt;

use caudal_core::Faults;
use caudal_core::cell::Cell;
use caudal_core::fault::pointer;
use caudal_core::request::{InlineColumn, InlineTable, MAX_INLINE_ELEMENTS, UNNAMED_COLUMN};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Counts elements over all columns; beyond the limit they are counted but no longer kept.
#[derive(Default)]
pub struct Elements {
    pub seen: u64,
}

/// Reads `data`; `None` where it is neither an array nor an object, which is told as a fault.
pub struct DataSeed<'a> {
    pub elements: &'a mut Elements,
    pub faults: &'a mut Faults,
}

impl DataSeed<'_> {
    fn wrong<E>(self, found: &str) -> Result<Option<InlineTable>, E> {
        let detail = || {
            format!("expected an array of numbers or an object of equally long named arrays, found {found}")
        };
        self.faults.push(|| "/data".into(), detail);
        Ok(None)
    }
}

impl<'de> DeserializeSeed<'de> for DataSeed<'_> {
    type Value = Option<InlineTable>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for DataSeed<'_> {
    type Value = Option<InlineTable>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers or an object of arrays")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        let name = UNNAMED_COLUMN.to_owned();
        let column = ColumnVisitor { name, at: "/data".into(), elements: self.elements, faults: self.faults };
        let column = column.visit_seq(seq)?;
        if column.values.is_empty() && self.elements.seen == 0 {
            self.faults
                .push(|| "/data".into(), || "expected at least one number, found an empty array".into());
        }
        Ok(Some(InlineTable { columns: vec![column] }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut columns: Vec<InlineColumn> = Vec::new();
        // (name, elements), counted even where the values are no longer kept; none where it is no array.
        let mut lengths: Vec<(String, Option<u64>)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let at = pointer("/data", &name);
            if lengths.iter().any(|(known, _)| *known == name) {
                map.next_value::<IgnoredAny>()?;
                self.faults.push(|| at, || format!("the column \"{name}\" stands twice"));
                continue;
            }
            let before = self.elements.seen;
            let seed = ColumnVisitor {
                name: name.clone(),
                at,
                elements: &mut *self.elements,
                faults: &mut *self.faults,
            };
            let column = map.next_value_seed(seed)?;
            lengths.push((name, column.is_some().then(|| self.elements.seen - before)));
            columns.extend(column);
        }
        check_lengths(&lengths, self.faults);
        Ok(Some(InlineTable { columns }))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.wrong(&Cell::Text(text.to_owned()).describe())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.wrong(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.wrong(&Cell::float(value).describe())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.wrong(&Cell::signed(value).describe())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.wrong(&Cell::unsigned(value).describe())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.wrong("null")
    }
}

fn check_lengths(lengths: &[(String, Option<u64>)], faults: &mut Faults) {
    if lengths.is_empty() {
        faults.push(|| "/data".into(), || "expected at least one named array, found an empty object".into());
    }
    let mut arrays = lengths.iter().filter_map(|(name, length)| Some((name, (*length)?)));
    let Some((first, length)) = arrays.next() else { return };
    if length == 0 {
        faults
            .push(|| pointer("/data", first), || "expected at least one number, found an empty array".into());
    }
    for (name, other) in arrays.filter(|(_, other)| *other != length) {
        let detail = || format!("expected {length} elements, as in \"{first}\", found {other}");
        faults.push(|| pointer("/data", name), detail);
    }
}

/// Reads one array of numbers and nulls.
struct ColumnVisitor<'a> {
    name: String,
    at: String,
    elements: &'a mut Elements,
    faults: &'a mut Faults,
}

impl<'de> DeserializeSeed<'de> for ColumnVisitor<'_> {
    type Value = Option<InlineColumn>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(ColumnOrFault(self))
    }
}

impl<'de> Visitor<'de> for ColumnVisitor<'_> {
    type Value = InlineColumn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<InlineColumn, A::Error> {
        let mut column = InlineColumn { name: self.name, ..InlineColumn::default() };
        let mut index = 0u64;
        while let Some(cell) = seq.next_element::<Cell>()? {
            self.elements.seen += 1;
            let value = match cell {
                Cell::Number { value, inexact } => {
                    column.inexact_integers += u64::from(inexact);
                    value
                }
                Cell::Missing => f64::NAN,
                other => {
                    let detail = || format!("expected a number or null, found {}", other.describe());
                    self.faults.push(|| pointer(&self.at, index), detail);
                    f64::NAN
                }
            };
            if self.elements.seen <= MAX_INLINE_ELEMENTS {
                column.values.push(value);
            }
            index += 1;
        }
        Ok(column)
    }
}

/// A named column's value: an array, or a fault.
struct ColumnOrFault<'a>(ColumnVisitor<'a>);

impl ColumnOrFault<'_> {
    fn wrong<E>(self, found: &Cell) -> Result<Option<InlineColumn>, E> {
        let detail = || format!("expected an array of numbers, found {}", found.describe());
        self.0.faults.push(|| self.0.at, detail);
        Ok(None)
    }
}

impl<'de> Visitor<'de> for ColumnOrFault<'_> {
    type Value = Option<InlineColumn>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        self.0.visit_seq(seq).map(Some)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.wrong(&Cell::Nested("object"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.wrong(&Cell::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        self.wrong(&Cell::Boolean(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.wrong(&Cell::float(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.wrong(&Cell::signed(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.wrong(&Cell::unsigned(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        self.wrong(&Cell::Missing)
    }
}
