//! Reads CSV: numbers as the contract has them, every fault with its row.

use std::io::{Read, Seek};

use caudal_core::cell::{Cell, shortened};
use caudal_core::job::SkippedColumn;
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Faults, Result};
use csv::{ByteRecord, Reader, ReaderBuilder};

use super::Reading;
use super::cells::{Number, is_beyond, number};
use super::columns::{Offered, choose};
use super::csv_bytes::CsvBytes;
use crate::source::{Growing, Keeper, Source, Stream};

/// Rows that decide whether a column that is not named is numeric.
const DECIDING_ROWS: u64 = 10_000;

/// Rows between two looks at cancellation, memory and progress.
const LOOK_UP: u64 = 16_384;

const UNCLOSED: &str = "expected a quote that ends the cell, found the end of the file; close the cell with a \
                        quote, or double each quote that belongs to its text";

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a CSV file with a header line. The delimiter is a comma, or a tab or semicolon where the header
/// has those and no comma.
///
/// # Errors
/// `InvalidData` with every ragged row, every cell that should be a number and a quote that nothing closes,
/// or with what is wrong with the header.
pub fn read(file: Stream, reading: &Reading<'_>) -> Result<Source> {
    let bytes = CsvBytes::new(&file);
    let Opened { mut reader, delimiter, mark } = open(file)?;
    let mut raw = Raw { bytes, delimiter, mark };
    let header = header(&mut reader)?;
    // The last row is looked at before it is taken, since a quote may be open in it: one is read ahead.
    let (mut record, mut next) = (ByteRecord::new(), ByteRecord::new());
    let mut any = reader.read_byte_record(&mut record).map_err(|e| broken(&e))?;
    if !any {
        raw.check_header()?;
    }
    let mut rows = Rows::begin(&header, reading)?;
    let mut keeper = Keeper::new(reading.room.clone());
    let mut look_at = 0;
    let step = LOOK_UP.min((LOOK_UP * 8 / header.len().max(8) as u64).max(1));
    while any {
        let ends = reader.position().byte();
        any = reader.read_byte_record(&mut next).map_err(|e| broken(&e))?;
        rows.add_with_bytes(&record, ends, &mut raw, !any)?;
        if rows.seen >= look_at {
            look_at = rows.seen + step;
            reading.look_up(reader.position().byte(), &mut keeper, rows.bytes(), || rows.columns())?;
        }
        std::mem::swap(&mut record, &mut next);
    }
    rows.finish(reading, keeper)
}

struct Opened {
    reader: Reader<Stream>,
    delimiter: u8,
    /// Bytes of the file before the reader's first.
    mark: u64,
}

fn open(mut file: Stream) -> Result<Opened> {
    let mut start = Vec::new();
    file.by_ref().take(64 * 1024).read_to_end(&mut start).map_err(|e| super::unreadable(&e))?;
    if start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]) {
        return Err(encoding("line 1", "the file is UTF-16"));
    }
    let mark = if start.starts_with(UTF8_MARK) { UTF8_MARK.len() as u64 } else { 0 };
    file.seek(std::io::SeekFrom::Start(mark)).map_err(|e| super::unreadable(&e))?;
    let line = start.split(|b| *b == b'\n').next().unwrap_or_default();
    let has = |b: u8| line.contains(&b);
    let delimiter = [b',', b'\t', b';'].into_iter().find(|d| has(*d)).unwrap_or(b',');
    let reader =
        ReaderBuilder::new().delimiter(delimiter).flexible(true).buffer_capacity(1 << 20).from_reader(file);
    Ok(Opened { reader, delimiter, mark })
}

/// The file behind the reader.
struct Raw {
    bytes: CsvBytes,
    delimiter: u8,
    mark: u64,
}

impl Raw {
    fn check_header(&mut self) -> Result<()> {
        let Some(open) = self.bytes.open_quote(self.mark, 1, self.delimiter)? else { return Ok(()) };
        let mut faults = Faults::default();
        faults.push(|| format!("line {}, column {}", open.line, open.field + 1), || UNCLOSED.into());
        Err(Error::from_faults(ErrorKind::InvalidData, faults))
    }
}

fn header(reader: &mut Reader<Stream>) -> Result<Vec<String>> {
    let header = reader.byte_headers().map_err(|e| broken(&e))?;
    if header.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "the source is empty: expected a header line and rows",
        ));
    }
    let name = |cell: &[u8]| match std::str::from_utf8(cell) {
        Ok(name) => Ok(name.trim().to_owned()),
        Err(_) => Err(encoding("line 1", "the header is not UTF-8")),
    };
    header.iter().map(name).collect()
}

fn encoding(at: &str, found: &str) -> Error {
    let mut faults = Faults::default();
    faults.push(|| at.to_owned(), || format!("{found}; expected UTF-8"));
    Error::from_faults(ErrorKind::InvalidData, faults)
        .hint("convert it first, for instance with iconv -f UTF-16 -t UTF-8, or -f LATIN1")
}

fn broken(error: &csv::Error) -> Error {
    match error.kind() {
        csv::ErrorKind::Io(e) => super::unreadable(e),
        _ => Error::new(ErrorKind::InvalidData, format!("the CSV cannot be read: {error}")),
    }
}

/// A column while it is being read.
enum Draft {
    /// Nobody asked for it; whether text has been seen in it.
    Unwanted {
        text: bool,
    },
    /// One of its first rows held this text.
    Text(String),
    Numeric(Growing),
}

struct Rows<'a> {
    header: &'a [String],
    named: Option<&'a [String]>,
    drafts: Vec<Draft>,
    seen: u64,
    faults: Faults,
}

impl<'a> Rows<'a> {
    /// Names are checked at once, so that a misspelt one is told before the whole file is read.
    fn begin(header: &'a [String], reading: &Reading<'a>) -> Result<Rows<'a>> {
        let offer = |name: &String| Offered { name: name.clone(), data_type: "number".into(), unfit: None };
        let offered: Vec<_> = header.iter().map(offer).collect();
        let choice = choose(&offered, reading.columns)?;
        let draft = |i: usize| match choice.positions.contains(&i) {
            true => Draft::Numeric(Growing::new(&header[i], "number")),
            false => Draft::Unwanted { text: false },
        };
        let drafts = (0..header.len()).map(draft).collect();
        Ok(Rows { header, named: reading.columns, drafts, seen: 0, faults: Faults::default() })
    }

    /// Takes a row whose bytes end at `ends`, and what the reader has kept to itself about it.
    fn add_with_bytes(&mut self, record: &ByteRecord, ends: u64, raw: &mut Raw, last: bool) -> Result<()> {
        let (begins, line) = record.position().map_or((0, 1), |p| (p.byte(), p.line()));
        let (from, to) = (raw.mark + begins, raw.mark + ends);
        // Empty lines are no rows to the reader; where there is one column, they are missing values.
        let most = record.as_slice().len() as u64 + u64::from(!last);
        if self.header.len() == 1 && to.saturating_sub(from) > most {
            let (lines, _) = raw.bytes.empty_lines(from, to)?;
            for _ in 0..lines {
                self.add(&ByteRecord::from(vec![""]));
            }
        }
        if last && let Some(open) = raw.bytes.open_quote(from, line, raw.delimiter)? {
            self.seen += 1;
            let column = self.header.get(open.field).map(|name| format!(", column {name}"));
            let at = || format!("row {}{}", self.seen, column.unwrap_or_default());
            self.faults.push(at, || format!("line {}: {UNCLOSED}", open.line));
            return Ok(());
        }
        if record.len() != self.header.len() {
            let (_, first_cell) = raw.bytes.empty_lines(from, to)?;
            let line = raw.bytes.line_at(first_cell, (from, line))?;
            let detail =
                || format!("line {line}: expected {} fields, found {}", self.header.len(), record.len());
            self.faults.push(|| format!("row {}", self.seen + 1), detail);
        }
        self.add(record);
        Ok(())
    }

    fn add(&mut self, record: &ByteRecord) {
        self.seen += 1;
        let decides = self.seen <= DECIDING_ROWS;
        for i in 0..self.drafts.len() {
            let cell = record.get(i).unwrap_or_default();
            match &mut self.drafts[i] {
                Draft::Unwanted { text } => *text |= decides && !*text && is_text(cell),
                Draft::Text(_) => _ = self.check_encoding(i, cell),
                Draft::Numeric(column) => match number(cell) {
                    Number::Value { value, inexact } => {
                        column.push(value);
                        column.inexact_integers += u64::from(inexact);
                    }
                    Number::Missing => column.push(f64::NAN),
                    Number::No if !self.check_encoding(i, cell) => {}
                    Number::No if decides && self.named.is_none() && is_text(cell) => {
                        self.drafts[i] = Draft::Text(shown(cell));
                    }
                    Number::No => self.faults.push(|| place(self.seen, &self.header[i]), || unlike(cell)),
                },
            }
        }
    }

    /// Tells a cell that is not UTF-8; whether it is.
    fn check_encoding(&mut self, column: usize, cell: &[u8]) -> bool {
        let Err(e) = std::str::from_utf8(cell) else { return true };
        let byte = cell.get(e.valid_up_to()).copied().unwrap_or_default();
        let detail = || {
            format!(
                "the cell is not UTF-8, it has the byte 0x{byte:02X}; \
                 convert the file, for instance with iconv -f LATIN1 -t UTF-8"
            )
        };
        self.faults.push(|| place(self.seen, &self.header[column]), detail);
        false
    }

    fn bytes(&self) -> u64 {
        let bytes = |draft: &Draft| match draft {
            Draft::Numeric(column) => column.bytes(),
            _ => 0,
        };
        self.drafts.iter().map(bytes).sum()
    }

    fn columns(&mut self) -> impl Iterator<Item = &mut Growing> {
        self.drafts.iter_mut().filter_map(|draft| match draft {
            Draft::Numeric(column) => Some(column),
            _ => None,
        })
    }

    fn finish(self, reading: &Reading<'_>, keeper: Keeper) -> Result<Source> {
        if !self.faults.is_empty() {
            return Err(Error::from_faults(ErrorKind::InvalidData, self.faults));
        }
        let offered: Vec<_> =
            self.header.iter().zip(&self.drafts).map(|(name, draft)| offer(name, draft)).collect();
        let skipped: Vec<SkippedColumn> = choose(&offered, reading.columns)?.skipped;
        let columns = self.drafts.into_iter().filter_map(|draft| match draft {
            Draft::Numeric(column) => Some(column),
            _ => None,
        });
        keeper.finish(columns.collect(), reading.origin(SourceFormat::Csv, self.seen, skipped))
    }
}

fn offer(name: &str, draft: &Draft) -> Offered {
    let (data_type, unfit) = match draft {
        Draft::Numeric(_) => ("number", None),
        Draft::Unwanted { text: false } => ("unknown", None),
        Draft::Unwanted { text: true } => ("text", None),
        Draft::Text(cell) => ("text", Some(format!("it holds text, such as \"{cell}\""))),
    };
    Offered { name: name.to_owned(), data_type: data_type.into(), unfit }
}

fn place(row: u64, column: &str) -> String {
    format!("row {row}, column {column}")
}

/// Whether a cell is neither a number nor missing.
fn is_text(cell: &[u8]) -> bool {
    number(cell) == Number::No && !is_beyond(cell)
}

fn unlike(cell: &[u8]) -> String {
    match is_beyond(cell) {
        true => Cell::Beyond(shown(cell.trim_ascii())).unlike("a number"),
        false => format!("expected a number, found \"{}\"", shown(cell)),
    }
}

/// A cell in a message.
fn shown(cell: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(cell))
}
