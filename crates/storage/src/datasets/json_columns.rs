//! Columns that grow while rows of JSON stream by.

use caudal_core::cell::Cell;
use caudal_core::fault::pointer;
use caudal_core::json::{JsonReader, NotJson, Text};
use caudal_core::request::{SourceFormat, UNNAMED_COLUMN};
use caudal_core::{Error, ErrorKind, Faults, Result};

use super::Reading;
use super::columns::{Offered, choose};
use super::json::Stop;
use crate::source::{Growing, Keeper, Source};

/// Numbers that are read at once, at most.
const RUN: usize = 4_096;

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

/// What the rows are, as the first of them that is not null says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    Unknown,
    Numbers,
    Objects,
}

/// A column while it is being read.
struct Draft {
    column: Growing,
    wanted: bool,
    named: bool,
    /// Whether a number has been seen.
    number: bool,
    /// The first value that was no number, in a column that nobody named.
    other: Option<(&'static str, String)>,
    /// The row that held it last.
    last: Option<usize>,
}

/// All columns of a JSON source, in the order in which they first appear.
pub struct JsonColumns<'a> {
    names: Option<&'a [String]>,
    pub places: Places,
    drafts: Vec<Draft>,
    kind: Rows,
    /// Complete rows.
    rows: usize,
    /// The line that is being read, from 1 on, where places are lines.
    pub line: usize,
    /// Where the next key is looked for first: rows mostly repeat the order of the row before.
    hint: usize,
    keeper: Keeper,
    pub faults: Faults,
}

impl<'a> JsonColumns<'a> {
    pub fn new(reading: &Reading<'a>, places: Places) -> Self {
        JsonColumns {
            names: reading.columns,
            places,
            drafts: Vec::new(),
            kind: Rows::Unknown,
            rows: 0,
            line: 0,
            hint: 0,
            keeper: Keeper::new(reading.room.clone()),
            faults: Faults::default(),
        }
    }

    /// Rows between two looks up: fewer where there are many columns.
    pub fn step(&self, most: usize) -> usize {
        (most * 8 / self.drafts.len().max(8)).max(1)
    }

    /// Looks up from the reading, and keeps the columns within their room.
    ///
    /// # Errors
    /// `Cancelled`, `InsufficientMemory`, `InsufficientDisk`.
    pub fn look_up(&mut self, reading: &Reading<'_>, position: u64) -> Result<()> {
        if self.places != Places::ColumnFirst {
            // A column that few rows have would otherwise catch up on many at once.
            let wanted = self.drafts.iter_mut().filter(|draft| draft.wanted);
            wanted.for_each(|draft| draft.column.pad_to(self.rows as u64));
        }
        let held = self.drafts.iter().map(|draft| draft.column.bytes()).sum();
        let Self { keeper, drafts, .. } = self;
        reading.look_up(position, keeper, held, || drafts.iter_mut().map(|draft| &mut draft.column))
    }

    /// Reads one row: an object, or a bare number or null, which belongs to the column `value`.
    ///
    /// # Errors
    /// Where the text is not JSON.
    pub fn row<T: Text>(&mut self, reader: &mut JsonReader<T>) -> Result<(), NotJson> {
        let read = match reader.peek() {
            Some(b'{') if self.kind != Rows::Numbers => self.object(reader),
            _ => reader.cell().map(|cell| self.bare(cell)),
        };
        self.rows += 1;
        read
    }

    fn object<T: Text>(&mut self, reader: &mut JsonReader<T>) -> Result<(), NotJson> {
        self.kind = Rows::Objects;
        self.hint = 0;
        let row = self.rows;
        reader.object(|reader| {
            let index = self.index_of(reader.key());
            let cell = reader.float().map_or_else(|| reader.cell(), |value| Ok(Cell::float(value)))?;
            if self.is_repeated(index, row) {
                let at = self.place_if_told(row, &self.drafts[index].column.name);
                self.faults.push(|| at, || "the key stands twice in its row".into());
            } else {
                self.put(index, row, cell);
            }
            Ok(())
        })
    }

    fn bare(&mut self, cell: Cell) {
        let expected = match (self.kind, &cell) {
            (Rows::Unknown | Rows::Numbers, Cell::Number { .. }) => {
                self.kind = Rows::Numbers;
                let index = self.index_of(UNNAMED_COLUMN);
                return self.put(index, self.rows, cell);
            }
            // A row in which every column is missing.
            (_, Cell::Missing) => return,
            (Rows::Unknown, _) => "a number or an object",
            (Rows::Numbers, _) => "a number or null",
            (Rows::Objects, _) => "an object",
        };
        let (row, line) = (self.rows, self.line);
        let at = || if self.places == Places::Lines { format!("line {line}") } else { format!("/{row}") };
        self.faults.push(at, || cell.unlike(expected));
    }

    /// Reads an object of equally long arrays; `look_up` is called after each element.
    ///
    /// # Errors
    /// Where the text is not JSON, and what `look_up` says.
    pub fn arrays<T: Text>(
        &mut self,
        reader: &mut JsonReader<T>,
        mut look_up: impl FnMut(&mut Self, usize, usize) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut first: Option<(String, usize)> = None;
        reader.object(|reader| {
            let key = reader.key().to_owned();
            let index = self.index_of(&key);
            if self.is_repeated(index, 0) {
                reader.skip()?;
                self.faults.push(|| pointer("", &key), || format!("the column \"{key}\" stands twice"));
                return Ok(());
            }
            if reader.peek() != Some(b'[') {
                let cell = reader.cell()?;
                self.faults.push(|| pointer("", &key), || cell.unlike("an array of numbers"));
                return Ok(());
            }
            let mut length = 0;
            reader.runs(|reader, row| -> Result<usize, Stop> {
                let run = self.put_floats(index, row, reader);
                let last = row + run;
                let cell = reader.float().map_or_else(|| reader.cell(), |value| Ok(Cell::float(value)))?;
                self.put(index, last, cell);
                length = last + 1;
                look_up(self, length, reader.position())?;
                Ok(run + 1)
            })?;
            self.rows = self.rows.max(length);
            let (other, expected) = first.get_or_insert_with(|| (key.clone(), length));
            if length != *expected {
                let detail = || format!("expected {expected} elements, as in \"{other}\", found {length}");
                self.faults.push(|| pointer("", &key), detail);
            }
            Ok(())
        })
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
        let column = Growing::new(name, "number");
        let wanted = named || self.names.is_none();
        self.drafts.push(Draft { column, wanted, named, number: false, other: None, last: None });
        self.drafts.len() - 1
    }

    fn is_repeated(&mut self, index: usize, row: usize) -> bool {
        self.drafts[index].last.replace(row) == Some(row)
    }

    /// Reads numbers of a column's array as long as they are plain, from a row on; how many there were.
    fn put_floats<T: Text>(&mut self, index: usize, row: usize, reader: &mut JsonReader<T>) -> usize {
        let draft = &mut self.drafts[index];
        if !draft.wanted {
            return 0;
        }
        let column = &mut draft.column;
        column.pad_to(row as u64);
        let mut number = false;
        let run = reader.floats(RUN, |value| {
            number |= !value.is_nan();
            column.push(value);
        });
        draft.number |= number;
        run
    }

    /// Reads rows of an array that are bare numbers, as long as they are plain and the columns hold nothing else; how
    /// many there were.
    pub fn bare_floats<T: Text>(&mut self, reader: &mut JsonReader<T>) -> usize {
        if self.kind != Rows::Numbers {
            return 0;
        }
        let index = self.index_of(UNNAMED_COLUMN);
        let run = self.put_floats(index, self.rows, reader);
        self.rows += run;
        run
    }

    fn place(&self, row: usize, name: &str) -> String {
        match self.places {
            Places::RowFirst => pointer(&format!("/{row}"), name),
            Places::ColumnFirst => pointer(&pointer("", name), row),
            Places::Lines => format!("line {}, column {name}", self.line),
        }
    }

    fn put(&mut self, index: usize, row: usize, cell: Cell) {
        let draft = &mut self.drafts[index];
        if !draft.wanted {
            return draft.note(&cell);
        }
        let (value, inexact) = match cell {
            Cell::Number { value, inexact } => (value, inexact),
            Cell::Missing => (f64::NAN, false),
            other if draft.named || matches!(other, Cell::Beyond(_)) => {
                let draft = &self.drafts[index];
                let at = self.place_if_told(row, &draft.column.name);
                return self.faults.push(|| at, || other.unlike("a number"));
            }
            other => {
                draft.note(&other);
                draft.wanted = false;
                draft.column.clear();
                return;
            }
        };
        draft.number |= !value.is_nan();
        // A key that is missing in earlier rows is missing there.
        draft.column.pad_to(row as u64);
        draft.column.push(value);
        draft.column.inexact_integers += u64::from(inexact);
    }

    /// The place of a cell, where there is still room to tell it.
    fn place_if_told(&self, row: usize, name: &str) -> String {
        match self.faults.first.len() < caudal_core::fault::FAULTS_TOLD {
            true => self.place(row, name),
            false => String::new(),
        }
    }

    /// # Errors
    /// `InvalidData` with every fault, or where there is nothing to process.
    pub fn finish(mut self, format: SourceFormat, reading: &Reading<'_>) -> Result<Source> {
        if !self.faults.is_empty() {
            return Err(Error::from_faults(ErrorKind::InvalidData, self.faults));
        }
        if self.drafts.is_empty() && self.rows > 0 && self.kind == Rows::Unknown {
            self.begin(UNNAMED_COLUMN);
        }
        let offered: Vec<_> = self.drafts.iter().map(offer).collect();
        if offered.is_empty() {
            return Err(self.without_columns());
        }
        let choice = choose(&offered, self.names)?;
        let mut columns = Vec::with_capacity(choice.positions.len());
        for position in choice.positions {
            columns.push(std::mem::take(&mut self.drafts[position].column));
        }
        self.keeper.finish(columns, reading.origin(format, self.rows as u64, choice.skipped))
    }

    fn without_columns(&self) -> Error {
        let detail = match self.places {
            Places::ColumnFirst => "expected at least one named array, found an object without keys",
            _ if self.rows > 0 => "the objects have no keys, and objects without keys hold no columns",
            _ => return super::no_rows(),
        };
        Error::new(ErrorKind::InvalidData, detail)
    }
}

impl Draft {
    /// Remembers what a column holds that is not processed.
    fn note(&mut self, cell: &Cell) {
        let kind = match cell {
            Cell::Missing => return,
            Cell::Number { .. } | Cell::Beyond(_) => {
                self.number = true;
                return;
            }
            Cell::Boolean(_) => "boolean",
            Cell::Nested(_) => "nested",
            Cell::Text(_) => "text",
        };
        self.other.get_or_insert_with(|| (kind, cell.describe()));
    }
}

fn offer(draft: &Draft) -> Offered {
    let (data_type, unfit) = match &draft.other {
        None if draft.wanted || draft.number => ("number", None),
        None => ("unknown", None),
        Some((kind, found)) => (*kind, Some(format!("it holds {kind} values, such as {found}"))),
    };
    Offered { name: draft.column.name.clone(), data_type: data_type.into(), unfit }
}
