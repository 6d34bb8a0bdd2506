//! Reads JSON documents and NDJSON as they stream by.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Result};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::Reading;
use super::json_columns::{ArraysVisitor, JsonColumns, Places, RowSeed};
use crate::table::Table;

/// Lines between two looks at cancellation, memory and progress.
const LOOK_UP: usize = 16_384;

/// Reads a document: an array of numbers, an array of objects, or an object of equally long arrays.
///
/// # Errors
/// `InvalidData` with line and column where it is not JSON, and with every cell that should be a number.
pub fn read_document(mut file: File, reading: &Reading<'_>) -> Result<Table> {
    reading.look_up(0, reading.size)?;
    let mut text = Vec::with_capacity(reading.size as usize);
    file.read_to_end(&mut text).map_err(|e| super::unreadable(&e))?;
    if text.trim_ascii().is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "the source is empty: expected a JSON array or object",
        ));
    }
    let places = match text.trim_ascii_start().first() {
        Some(b'{') => Places::ColumnFirst,
        _ => Places::RowFirst,
    };
    let mut columns = JsonColumns::new(reading.columns, places);
    let mut reader = serde_json::Deserializer::from_slice(&text);
    let read =
        reader.deserialize_any(Document { columns: &mut columns, reading }).and_then(|()| reader.end());
    reading.input.cancel.check()?;
    read.map_err(|e| not_json(&e, None))?;
    columns.finish(SourceFormat::Json, reading)
}

/// Reads one object, or one number, a line; empty lines are passed over.
///
/// # Errors
/// `InvalidData` with the line that is not JSON, and with every cell that should be a number.
pub fn read_lines(file: File, reading: &Reading<'_>) -> Result<Table> {
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let mut columns = JsonColumns::new(reading.columns, Places::Lines);
    let mut line = Vec::new();
    let (mut number, mut bytes) = (0, 0);
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line).map_err(|e| super::unreadable(&e))?;
        if read == 0 {
            break;
        }
        number += 1;
        bytes += read as u64;
        if !line.trim_ascii().is_empty() {
            let mut reader = serde_json::Deserializer::from_slice(&line);
            let read = RowSeed(&mut columns).deserialize(&mut reader).and_then(|()| reader.end());
            read.map_err(|e| not_json(&e, Some(number)))?;
        }
        if columns.rows.is_multiple_of(LOOK_UP) {
            reading.look_up(bytes, columns.bytes())?;
        }
    }
    if bytes == 0 {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "the source is empty: expected a JSON object on each line",
        ));
    }
    columns.finish(SourceFormat::Ndjson, reading)
}

fn not_json(error: &serde_json::Error, line: Option<usize>) -> Error {
    let detail = match line {
        Some(line) => format!("line {line} cannot be read as JSON: {error}"),
        None => format!("the JSON cannot be read: {error}"),
    };
    Error::new(ErrorKind::InvalidData, detail)
}

struct Document<'c, 'a> {
    columns: &'c mut JsonColumns<'a>,
    reading: &'c Reading<'c>,
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers, an array of objects, or an object of equally long arrays")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(RowSeed(self.columns))?.is_some() {
            if self.columns.rows.is_multiple_of(LOOK_UP) && self.reading.input.cancel.is_cancelled() {
                return Err(serde::de::Error::custom("cancelled"));
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        ArraysVisitor(self.columns).visit_map(map)
    }
}
