//! Reads CSV: numbers as the contract has them, every fault with its row.

use std::fs::File;
use std::io::{Read, Seek};

use caudal_core::job::SkippedColumn;
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Faults, Result};
use csv::{ByteRecord, Reader, ReaderBuilder};

use super::Reading;
use super::cells::{Number, number};
use super::columns::{Offered, choose};
use crate::table::{Column, Table};

/// Rows that decide whether a column that is not named is numeric.
const DECIDING_ROWS: u64 = 10_000;

/// Rows between two looks at cancellation, memory and progress.
const LOOK_UP: u64 = 16_384;

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a CSV file with a header line. The delimiter is a comma, or a tab or semicolon where the header
/// has those and no comma.
///
/// # Errors
/// `InvalidData` with every ragged row and every cell that should be a number, or with what is wrong
/// with the header.
pub fn read(file: File, reading: &Reading<'_>) -> Result<Table> {
    let mut reader = open(file)?;
    let header = header(&mut reader)?;
    let mut rows = Rows::begin(&header, reading)?;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|e| broken(&e))? {
        rows.add(&record);
        if rows.seen.is_multiple_of(LOOK_UP) {
            reading.look_up(reader.position().byte(), rows.bytes())?;
        }
    }
    rows.finish(reading)
}

fn open(mut file: File) -> Result<Reader<File>> {
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
    Ok(ReaderBuilder::new().delimiter(delimiter).flexible(true).buffer_capacity(1 << 20).from_reader(file))
}

fn header(reader: &mut Reader<File>) -> Result<Vec<String>> {
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
    /// Nobody asked for it.
    Unwanted,
    /// One of its first rows held this text.
    Text(String),
    Numeric(Column),
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
            true => Draft::Numeric(Column {
                name: header[i].clone(),
                data_type: "number".into(),
                ..Column::default()
            }),
            false => Draft::Unwanted,
        };
        let drafts = (0..header.len()).map(draft).collect();
        Ok(Rows { header, named: reading.columns, drafts, seen: 0, faults: Faults::default() })
    }

    fn add(&mut self, record: &ByteRecord) {
        self.seen += 1;
        let row = self.seen;
        if record.len() != self.header.len() {
            let line = record.position().map_or(0, csv::Position::line);
            let detail =
                || format!("line {line}: expected {} fields, found {}", self.header.len(), record.len());
            self.faults.push(|| format!("row {row}"), detail);
        }
        for (i, draft) in self.drafts.iter_mut().enumerate() {
            let Draft::Numeric(column) = draft else { continue };
            let cell = record.get(i).unwrap_or_default();
            match number(cell) {
                Number::Value { value, inexact } => {
                    column.values.push(value);
                    column.inexact_integers += u64::from(inexact);
                }
                Number::Missing => column.values.push(f64::NAN),
                Number::No if self.named.is_none() && row <= DECIDING_ROWS => {
                    *draft = Draft::Text(shown(cell));
                }
                Number::No => {
                    column.values.push(f64::NAN);
                    let at = || format!("row {row}, column {}", column.name);
                    self.faults.push(at, || format!("expected a number, found \"{}\"", shown(cell)));
                }
            }
        }
    }

    fn bytes(&self) -> u64 {
        let bytes = |draft: &Draft| match draft {
            Draft::Numeric(column) => column.values.len() as u64 * 8,
            _ => 0,
        };
        self.drafts.iter().map(bytes).sum()
    }

    fn finish(self, reading: &Reading<'_>) -> Result<Table> {
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
        Ok(Table {
            rows: self.seen as usize,
            columns: columns.collect(),
            skipped,
            format: Some(SourceFormat::Csv),
            bytes_read: reading.size,
        })
    }
}

fn offer(name: &str, draft: &Draft) -> Offered {
    let (data_type, unfit) = match draft {
        Draft::Numeric(_) | Draft::Unwanted => ("number", None),
        Draft::Text(cell) => ("text", Some(format!("it holds text, such as \"{cell}\""))),
    };
    Offered { name: name.to_owned(), data_type: data_type.into(), unfit }
}

/// A cell in a message: at most 40 characters.
fn shown(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let mut short: String = text.chars().take(40).collect();
    if text.chars().count() > 40 {
        short.push('…');
    }
    short
}
