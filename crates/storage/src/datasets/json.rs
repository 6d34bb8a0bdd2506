//! Reads JSON documents and NDJSON as they stream by; every fault is told, up to where it stops being JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use caudal_core::json::{JsonReader, NotJson};
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Faults, Result};

use super::Reading;
use super::json_columns::{JsonColumns, Places};
use crate::table::Table;

/// Rows between two looks at cancellation, memory and progress.
const LOOK_UP: usize = 16_384;

const LINES_HINT: &str = "it looks like NDJSON, one value on each line: name the format ndjson \
                          (source.format, or --input-format ndjson)";

/// Why a reading of JSON ends early.
pub enum Stop {
    NotJson(NotJson),
    /// It was cancelled, or does not fit.
    Error(Error),
}

impl From<NotJson> for Stop {
    fn from(not_json: NotJson) -> Stop {
        Stop::NotJson(not_json)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

/// Reads a document: an array of numbers, an array of objects, or an object of equally long arrays.
///
/// # Errors
/// `InvalidData` with every cell that should be a number, and the line where it is not JSON.
pub fn read_document(mut file: File, reading: &Reading<'_>) -> Result<Table> {
    reading.look_up(0, reading.size)?;
    let mut text = Vec::with_capacity(reading.size as usize);
    file.read_to_end(&mut text).map_err(|e| super::unreadable(&e))?;
    let mut reader = JsonReader::new(&text);
    let places = match reader.peek() {
        None => return Err(empty("a JSON array or object")),
        Some(b'{') => Places::ColumnFirst,
        Some(_) => Places::RowFirst,
    };
    let mut columns = JsonColumns::new(reading.columns, places);
    match document(&mut reader, &mut columns, reading) {
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::NotJson(stop)) => {
            let told = stop.explain(&text);
            let detail = || format!("the text stops being JSON: {} at column {}", told.reason, told.column);
            columns.faults.push(|| format!("line {}", told.line), detail);
        }
        Ok(()) if reader.peek().is_some() => check_trailing(&mut reader, &text, &mut columns.faults)?,
        Ok(()) => {}
    }
    columns.finish(SourceFormat::Json, reading)
}

fn document(
    reader: &mut JsonReader<'_>,
    columns: &mut JsonColumns<'_>,
    reading: &Reading<'_>,
) -> Result<(), Stop> {
    let look_up = |columns: &JsonColumns<'_>, position: usize| -> Result<(), Stop> {
        Ok(reading.look_up(position as u64, columns.bytes())?)
    };
    match columns.places {
        Places::ColumnFirst => {
            columns.arrays(reader, |columns, row, position| match row.is_multiple_of(LOOK_UP) {
                true => look_up(columns, position),
                false => Ok(()),
            })?
        }
        _ if reader.peek() == Some(b'[') => reader.array(|reader, row| {
            columns.row(reader)?;
            match row.is_multiple_of(columns.step(LOOK_UP)) {
                true => look_up(columns, reader.position()),
                false => Ok(()),
            }
        })?,
        _ => {
            let cell = reader.cell()?;
            let expected = "an array of numbers, an array of objects, or an object of equally long arrays";
            columns.faults.push(|| "/source".into(), || cell.unlike(expected));
        }
    }
    look_up(columns, reader.position())
}

/// Tells that something follows a whole document; where it looks like the next row of NDJSON, the faults of the
/// first row are none.
fn check_trailing(reader: &mut JsonReader<'_>, text: &[u8], faults: &mut Faults) -> Result<()> {
    let is_row = |byte: Option<u8>| matches!(byte, Some(b'{' | b'-' | b'0'..=b'9'));
    let is_lines = is_row(reader.peek()) && is_row(JsonReader::new(text).peek());
    if is_lines {
        *faults = Faults::default();
    }
    let before = text.get(..reader.position()).unwrap_or(text);
    let line = before.iter().filter(|b| **b == b'\n').count() + 1;
    let detail = "the document has ended, and something follows; expected one JSON array or object";
    faults.push(|| format!("line {line}"), || detail.into());
    match is_lines {
        true => Err(Error::from_faults(ErrorKind::InvalidData, std::mem::take(faults)).hint(LINES_HINT)),
        false => Ok(()),
    }
}

/// Reads one object, or one number, a line; empty lines are passed over.
///
/// # Errors
/// `InvalidData` with every line that is not JSON, and with every cell that should be a number.
pub fn read_lines(file: File, reading: &Reading<'_>) -> Result<Table> {
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let mut columns = JsonColumns::new(reading.columns, Places::Lines);
    let mut line = Vec::new();
    let mut bytes = 0;
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line).map_err(|e| super::unreadable(&e))?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        columns.line += 1;
        read_line(line.trim_ascii_end(), &mut columns);
        if columns.line.is_multiple_of(columns.step(LOOK_UP)) {
            reading.look_up(bytes, columns.bytes())?;
        }
    }
    if bytes == 0 {
        return Err(empty("a JSON object on each line"));
    }
    reading.look_up(bytes, columns.bytes())?;
    columns.finish(SourceFormat::Ndjson, reading)
}

fn read_line(line: &[u8], columns: &mut JsonColumns<'_>) {
    let mut reader = JsonReader::new(line);
    if reader.peek().is_none() {
        return;
    }
    if let Err(stop) = columns.row(&mut reader).and_then(|()| reader.end()) {
        let detail = || {
            let told = stop.explain(line);
            format!("the line is not JSON: {} at column {}", told.reason, told.column)
        };
        columns.faults.push(|| format!("line {}", columns.line), detail);
    }
}

fn empty(expected: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the source is empty: expected {expected}"))
}
