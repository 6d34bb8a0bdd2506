//! Columns that grow while rows of JSON stream by.

use std::fmt;

use caudal_core::cell::Cell;
use caudal_core::fault::pointer;
use caudal_core::request::{SourceFormat, UNNAMED_COLUMN};
use caudal_core::{Error, ErrorKind, Faults, Result};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::Reading;
use super::columns::{Offered, choose};
use crate::table::{Column, Table};

/// How the place of a cell is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Places {
    /// `/17/delay`
    RowFirst,
    /// `/delay/17`
    ColumnFirst,
    /// `line 18, column delay`
    Lines,
}

/// A column while it is being read.
struct Draft {
    column: Column,
    wanted: bool,
    named: bool,
    /// The first value that was no number, in a column that nobody named.
    other: Option<(&'static str, String)>,
}

/// All columns of a JSON source, in the order in which they first appear.
pub struct JsonColumns<'a> {
    names: Option<&'a [String]>,
    places: Places,
    drafts: Vec<Draft>,
    /// Complete rows.
    pub rows: usize,
    /// Where the next key is looked for first: rows mostly repeat the order of the row before.
    hint: usize,
    faults: Faults,
}

impl<'a> JsonColumns<'a> {
    pub fn new(names: Option<&'a [String]>, places: Places) -> Self {
        JsonColumns { names, places, drafts: Vec::new(), rows: 0, hint: 0, faults: Faults::default() }
    }

    fn index_of(&mut self, name: &str) -> usize {
        if self.drafts.get(self.hint).is_none_or(|draft| draft.column.name != name) {
            self.hint = match self.drafts.iter().position(|draft| draft.column.name == name) {
                Some(index) => index,
                None => self.begin(name),
            };
        }
        let index = self.hint;
        self.hint += 1;
        index
    }

    fn begin(&mut self, name: &str) -> usize {
        let named = self.names.is_some_and(|names| names.iter().any(|n| n == name));
        let column = Column { name: name.to_owned(), data_type: "number".into(), ..Column::default() };
        self.drafts.push(Draft { column, wanted: named || self.names.is_none(), named, other: None });
        self.drafts.len() - 1
    }

    fn put(&mut self, index: usize, row: usize, cell: Cell) {
        let draft = &mut self.drafts[index];
        if !draft.wanted {
            return;
        }
        let (value, inexact) = match cell {
            Cell::Number { value, inexact } => (value, inexact),
            Cell::Missing => (f64::NAN, false),
            other if draft.named => {
                let name = &draft.column.name;
                let at = || match self.places {
                    Places::RowFirst => pointer(&format!("/{row}"), name),
                    Places::ColumnFirst => pointer(&pointer("", name), row),
                    Places::Lines => format!("line {}, column {name}", row + 1),
                };
                self.faults.push(at, || format!("expected a number, found {}", other.describe()));
                (f64::NAN, false)
            }
            other => {
                draft.other = Some((kind(&other), other.describe()));
                draft.wanted = false;
                draft.column.values = Vec::new();
                return;
            }
        };
        let values = &mut draft.column.values;
        // A key that is missing in earlier rows is missing there; of a key that stands twice the last counts.
        values.resize(row, f64::NAN);
        values.push(value);
        draft.column.inexact_integers += u64::from(inexact);
    }

    /// Bytes that the columns take.
    pub fn bytes(&self) -> u64 {
        self.drafts.iter().map(|draft| draft.column.values.len() as u64 * 8).sum()
    }

    /// # Errors
    /// `InvalidData` with every fault, or where there is nothing to process.
    pub fn finish(mut self, format: SourceFormat, reading: &Reading<'_>) -> Result<Table> {
        if !self.faults.is_empty() {
            return Err(Error::from_faults(ErrorKind::InvalidData, self.faults));
        }
        let offered: Vec<_> = self.drafts.iter().map(offer).collect();
        if offered.is_empty() {
            return Err(super::no_rows());
        }
        let choice = choose(&offered, self.names)?;
        let mut columns = Vec::with_capacity(choice.positions.len());
        for position in choice.positions {
            let mut column = std::mem::take(&mut self.drafts[position].column);
            column.values.resize(self.rows, f64::NAN);
            columns.push(column);
        }
        let skipped = choice.skipped;
        Ok(Table { rows: self.rows, columns, skipped, format: Some(format), bytes_read: reading.size })
    }
}

fn kind(cell: &Cell) -> &'static str {
    match cell {
        Cell::Boolean(_) => "boolean",
        Cell::Nested(_) => "nested",
        _ => "text",
    }
}

fn offer(draft: &Draft) -> Offered {
    let (data_type, unfit) = match &draft.other {
        None => ("number", None),
        Some((kind, found)) => (*kind, Some(format!("it holds {kind} values, such as {found}"))),
    };
    Offered { name: draft.column.name.clone(), data_type: data_type.into(), unfit }
}

/// Reads one row: an object, or a bare number or null, which belongs to the column `value`.
pub struct RowSeed<'c, 'a>(pub &'c mut JsonColumns<'a>);

impl RowSeed<'_, '_> {
    fn bare<E: serde::de::Error>(self, cell: Cell) -> Result<(), E> {
        if !matches!(cell, Cell::Number { .. } | Cell::Missing) {
            let row = self.0.rows;
            let place =
                if self.0.places == Places::Lines { format!("line {}", row + 1) } else { format!("/{row}") };
            return Err(E::custom(format!(
                "{place}: expected a number or an object, found {}",
                cell.describe()
            )));
        }
        let index = self.0.index_of(UNNAMED_COLUMN);
        self.0.put(index, self.0.rows, cell);
        self.0.end_row();
        Ok(())
    }
}

impl JsonColumns<'_> {
    fn end_row(&mut self) {
        self.rows += 1;
        self.hint = 0;
    }
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a number")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(index) = map.next_key_seed(KeySeed(self.0))? {
            let cell = map.next_value()?;
            self.0.put(index, self.0.rows, cell);
        }
        self.0.end_row();
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.bare(Cell::float(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.bare(Cell::signed(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.bare(Cell::unsigned(value))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.bare(Cell::Missing)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.bare(Cell::Boolean(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.bare(Cell::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        let row = self.0.rows;
        Err(A::Error::custom(format!("/{row}: expected a number or an object, found an array")))
    }
}

/// Reads a key as the index of its column, without keeping its text.
struct KeySeed<'c, 'a>(&'c mut JsonColumns<'a>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name")
    }

    fn visit_str<E>(self, name: &str) -> Result<usize, E> {
        Ok(self.0.index_of(name))
    }
}

/// Reads an object of equally long arrays.
pub struct ArraysVisitor<'c, 'a>(pub &'c mut JsonColumns<'a>);

impl<'de> Visitor<'de> for ArraysVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of equally long arrays")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let columns = self.0;
        let mut first: Option<(String, usize)> = None;
        while let Some(index) = map.next_key_seed(KeySeed(columns))? {
            let length = map.next_value_seed(ArraySeed(columns, index))?;
            let name = columns.drafts[index].column.name.clone();
            let (other, expected) = first.get_or_insert_with(|| (name.clone(), length));
            if length != *expected {
                let detail = || format!("expected {expected} elements, as in \"{other}\", found {length}");
                columns.faults.push(|| pointer("", &name), detail);
            }
        }
        columns.rows = first.map_or(0, |(_, length)| length);
        Ok(())
    }
}

/// Reads one array into a column; returns its length.
struct ArraySeed<'c, 'a>(&'c mut JsonColumns<'a>, usize);

impl<'de> DeserializeSeed<'de> for ArraySeed<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ArraySeed<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers, in an object of equally long arrays")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
        let ArraySeed(columns, index) = self;
        let mut row = 0;
        while let Some(cell) = seq.next_element()? {
            columns.put(index, row, cell);
            row += 1;
        }
        Ok(row)
    }
}
