//! Reads `data`, an array of numbers or an object of equally long named arrays, as it streams by.

use std::collections::HashSet;

use caudal_core::Faults;
use caudal_core::cell::Cell;
use caudal_core::fault::pointer;
use caudal_core::json::{JsonReader, NotJson};
use caudal_core::request::{InlineColumn, InlineTable, MAX_COLUMNS, MAX_INLINE_ELEMENTS, UNNAMED_COLUMN};

/// Reads `data`, and collects its faults.
#[derive(Default)]
pub struct Data {
    /// Elements over all columns; beyond the limit they are counted but no longer kept.
    pub elements: u64,
    pub faults: Faults,
}

impl Data {
    /// Reads the value of `data`; `None` where it is neither an array nor an object, which is a fault.
    ///
    /// # Errors
    /// Where the text stops being JSON.
    pub fn read(&mut self, reader: &mut JsonReader<&[u8]>) -> Result<Option<InlineTable>, NotJson> {
        match reader.peek() {
            Some(b'[') => self.unnamed(reader).map(Some),
            Some(b'{') => self.named(reader).map(Some),
            _ => {
                let cell = reader.cell()?;
                let expected = "an array of numbers or an object of equally long named arrays";
                self.faults.push(|| "/data".into(), || cell.unlike(expected));
                Ok(None)
            }
        }
    }

    fn unnamed(&mut self, reader: &mut JsonReader<&[u8]>) -> Result<InlineTable, NotJson> {
        let column = self.column(reader, UNNAMED_COLUMN, "/data")?;
        if self.elements == 0 {
            self.faults
                .push(|| "/data".into(), || "expected at least one number, found an empty array".into());
        }
        Ok(InlineTable { columns: vec![column] })
    }

    fn named(&mut self, reader: &mut JsonReader<&[u8]>) -> Result<InlineTable, NotJson> {
        let mut columns: Vec<InlineColumn> = Vec::new();
        // (name, elements), counted even where the values are no longer kept; none where it is no array.
        let mut lengths: Vec<(String, Option<u64>)> = Vec::new();
        let mut seen = HashSet::new();
        reader.object(|reader| {
            let name = reader.key().to_owned();
            let at = pointer("/data", &name);
            if !seen.insert(name.clone()) {
                self.faults.push(|| at, || format!("the column \"{name}\" stands twice"));
                return reader.skip();
            }
            if lengths.len() >= MAX_COLUMNS {
                self.faults.push(|| at, || format!("expected at most {MAX_COLUMNS} columns"));
                return reader.skip();
            }
            if reader.peek() != Some(b'[') {
                let cell = reader.cell()?;
                self.faults.push(|| at, || cell.unlike("an array of numbers"));
                lengths.push((name, None));
                return Ok(());
            }
            let before = self.elements;
            columns.push(self.column(reader, &name, &at)?);
            lengths.push((name, Some(self.elements - before)));
            Ok(())
        })?;
        check_lengths(&lengths, &mut self.faults);
        Ok(InlineTable { columns })
    }

    fn column(
        &mut self,
        reader: &mut JsonReader<&[u8]>,
        name: &str,
        at: &str,
    ) -> Result<InlineColumn, NotJson> {
        let mut column = InlineColumn { name: name.to_owned(), ..InlineColumn::default() };
        reader.runs(|reader, index| {
            // What one job may bring along fits into any usize.
            let room = MAX_INLINE_ELEMENTS.saturating_sub(self.elements) as usize;
            let run = reader.floats(room, |value| column.values.push(value));
            self.elements += run as u64 + 1;
            let value = match reader.cell()? {
                Cell::Number { value, inexact } => {
                    column.inexact_integers += u64::from(inexact);
                    value
                }
                Cell::Missing => f64::NAN,
                other => {
                    self.faults.push(|| pointer(at, index + run), || other.unlike("a number or null"));
                    f64::NAN
                }
            };
            if self.elements <= MAX_INLINE_ELEMENTS {
                column.values.push(value);
            }
            Ok::<usize, NotJson>(run + 1)
        })?;
        Ok(column)
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
