//! Reads JSON documents and NDJSON as they stream by; every fault is told, up to where it stops being JSON.

use std::io::{BufRead, BufReader, Read, Seek};

use caudal_core::json::{JsonReader, NotJson};
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Faults, Result};

use super::Reading;
use super::json_columns::{JsonColumns, Places};
use super::json_text::FileText;
use crate::source::{Source, Stream};

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
pub fn read_document(file: Stream, reading: &Reading<'_>) -> Result<Source> {
    let again = file.clone();
    let mut reader = JsonReader::new(FileText::new(file, reading.room.memory));
    let first = reader.peek();
    let places = if first == Some(b'{') { Places::ColumnFirst } else { Places::RowFirst };
    let mut columns = JsonColumns::new(reading, places);
    let read = match first {
        None => Err(Stop::Error(empty("a JSON array or object"))),
        Some(_) => document(&mut reader, &mut columns, reading),
    };
    let follows = reader.peek();
    if let Some(error) = reader.text().error() {
        return Err(error.clone());
    }
    match read {
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::NotJson(stop)) => {
            let told = stop.explain(|| from_start(&again));
            let detail = || format!("the text stops being JSON: {} at column {}", told.reason, told.column);
            columns.faults.push(|| format!("line {}", told.line), detail);
        }
        Ok(()) if follows.is_some() => {
            let line = NotJson { at: reader.position() }.line(from_start(&again));
            check_trailing(first, follows, line, &mut columns.faults)?;
        }
        Ok(()) => {}
    }
    columns.finish(SourceFormat::Json, reading)
}

/// The text again, for whoever tells what is wrong with it.
fn from_start(mut file: &Stream) -> impl BufRead {
    // A file that cannot be read again has nothing to tell.
    let _ = file.rewind();
    BufReader::with_capacity(1 << 16, file)
}

fn document(
    reader: &mut JsonReader<FileText>,
    columns: &mut JsonColumns<'_>,
    reading: &Reading<'_>,
) -> Result<(), Stop> {
    match columns.places {
        Places::ColumnFirst => {
            let mut next = Next::default();
            columns.arrays(reader, |columns, row, position| match next.is_due(row, LOOK_UP) {
                true => Ok(columns.look_up(reading, position as u64)?),
                false => Ok(()),
            })
        }
        _ if reader.peek() == Some(b'[') => {
            let mut next = Next::default();
            reader.runs(|reader, row| -> Result<usize, Stop> {
                let run = columns.bare_floats(reader) + 1;
                columns.row(reader)?;
                if next.is_due(row + run, columns.step(LOOK_UP)) {
                    columns.look_up(reading, reader.position() as u64)?;
                }
                Ok(run)
            })
        }
        _ => {
            let cell = reader.cell()?;
            let expected = "an array of numbers, an array of objects, or an object of equally long arrays";
            columns.faults.push(|| "/source".into(), || cell.unlike(expected));
            Ok(())
        }
    }
}

/// When it is time to look up again.
#[derive(Default)]
struct Next {
    last: usize,
    next: usize,
}

impl Next {
    /// Whether `step` rows have passed since the last time, or another array has begun. `row` counts from 1.
    fn is_due(&mut self, row: usize, step: usize) -> bool {
        let is_due = row <= self.last || row >= self.next;
        self.last = row;
        if is_due {
            self.next = row + step;
        }
        is_due
    }
}

/// Tells that something follows a whole document; where it looks like the next row of NDJSON, the faults of the
/// first row are none.
fn check_trailing(first: Option<u8>, follows: Option<u8>, line: usize, faults: &mut Faults) -> Result<()> {
    let is_row = |byte: Option<u8>| matches!(byte, Some(b'{' | b'-' | b'0'..=b'9'));
    let is_lines = is_row(first) && is_row(follows);
    if is_lines {
        *faults = Faults::default();
    }
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
pub fn read_lines(file: Stream, reading: &Reading<'_>) -> Result<Source> {
    let mut lines = BufReader::with_capacity(1 << 18, file);
    let mut columns = JsonColumns::new(reading, Places::Lines);
    let mut line = Vec::new();
    let mut bytes = 0;
    let longest = reading.room.memory.max(1 << 20);
    loop {
        line.clear();
        let mut rest = lines.by_ref().take(longest);
        let read = rest.read_until(b'\n', &mut line).map_err(|e| super::unreadable(&e))? as u64;
        if read == 0 {
            break;
        }
        bytes += read;
        columns.line += 1;
        if read == longest && line.last() != Some(&b'\n') {
            return Err(too_long(columns.line, longest));
        }
        read_line(line.trim_ascii_end(), &mut columns);
        if columns.line.is_multiple_of(columns.step(LOOK_UP)) {
            columns.look_up(reading, bytes)?;
        }
    }
    if bytes == 0 {
        return Err(empty("a JSON object on each line"));
    }
    columns.finish(SourceFormat::Ndjson, reading)
}

fn read_line(line: &[u8], columns: &mut JsonColumns<'_>) {
    let mut reader = JsonReader::new(line);
    if reader.peek().is_none() {
        return;
    }
    if let Err(stop) = columns.row(&mut reader).and_then(|()| reader.end()) {
        let detail = || {
            let told = stop.explain(|| line);
            format!("the line is not JSON: {} at column {}", told.reason, told.column)
        };
        columns.faults.push(|| format!("line {}", columns.line), detail);
    }
}

fn too_long(line: usize, longest: u64) -> Error {
    let detail = format!("line {line} is longer than the {longest} bytes of memory that it may take");
    Error::new(ErrorKind::InsufficientMemory, detail)
        .hint("where the file is one JSON document, name the format json; otherwise raise --memory-limit")
}

fn empty(expected: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the source is empty: expected {expected}"))
}
