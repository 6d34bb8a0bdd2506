//! Normalised columns as JSON, NDJSON and CSV, and back.
//!
//! Numbers are printed in the shortest form that reads back to the same f64. Infinities are the strings
//! "Infinity" and "-Infinity" in JSON, and inf and -inf in CSV.

use std::ops::Range;

use caudal_core::Result;
use caudal_core::cell::Cell;
use caudal_kernels::huge_room;
use rayon::prelude::*;

use super::encode::{Slice, damaged};
use crate::datasets::{Number, number};

/// `[1.0,null,"Infinity"]`, by all threads where there are many values.
pub fn json_array(values: &[f64]) -> Vec<u8> {
    let mut out = room(values.len());
    append_array(values, &mut out);
    out
}

fn append_array(values: &[f64], out: &mut Vec<u8>) {
    out.push(b'[');
    json_elements(values, out);
    out.push(b']');
}

/// The elements alone, with a comma between each two.
pub fn json_elements(values: &[f64], out: &mut Vec<u8>) {
    in_blocks(values.len(), 1, out, |rows, out| {
        for row in rows {
            if row > 0 {
                out.push(b',');
            }
            json_number(values[row], out);
        }
    });
}

/// Numbers that one thread prints at a time, and threads' turns after which what they have printed is appended.
const BLOCK: usize = 1 << 13;
const TURNS: usize = 4;

/// Appends what `print` says of all rows of so many columns, in order, by all threads where there are many.
fn in_blocks(
    rows: usize,
    columns: usize,
    out: &mut Vec<u8>,
    print: impl Fn(Range<usize>, &mut Vec<u8>) + Sync,
) {
    let block = (BLOCK / columns.max(1)).max(1);
    if rows <= block {
        return print(0..rows, out);
    }
    let mut printed = vec![Vec::new(); (rayon::current_num_threads() * TURNS).min(rows.div_ceil(block))];
    for begin in (0..rows).step_by(printed.len() * block) {
        printed.par_iter_mut().enumerate().for_each(|(i, text)| {
            text.clear();
            let first = (begin + i * block).min(rows);
            print(first..(first + block).min(rows), text);
        });
        printed.iter().for_each(|text| out.extend_from_slice(text));
    }
}

/// An empty text with room for so many numbers.
fn room(numbers: usize) -> Vec<u8> {
    huge_room(numbers * NUMBER_BYTES + 4096)
}

/// Bytes of a number with what stands around it, about.
const NUMBER_BYTES: usize = 20;

/// A name as a JSON string, appended.
pub fn json_name(name: &str, out: &mut Vec<u8>) {
    // A string always has a JSON form.
    out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
}

fn json_number(value: f64, out: &mut Vec<u8>) {
    match value {
        x if x.is_finite() => out.extend_from_slice(zmij::Buffer::new().format_finite(x).as_bytes()),
        x if x.is_nan() => out.extend_from_slice(b"null"),
        x if x > 0.0 => out.extend_from_slice(b"\"Infinity\""),
        _ => out.extend_from_slice(b"\"-Infinity\""),
    }
}

/// `{"columns": {…}}`: the whole data as one document.
pub fn json_document(columns: &[Slice<'_>]) -> Vec<u8> {
    let mut out = room(columns.iter().map(|(_, values)| values.len()).sum());
    out.extend_from_slice(b"{\"columns\":{");
    for (i, (name, values)) in columns.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json_name(name, &mut out);
        out.push(b':');
        append_array(values, &mut out);
    }
    out.extend_from_slice(b"}}");
    out
}

/// One object a line.
pub fn ndjson(columns: &[Slice<'_>]) -> Vec<u8> {
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    let keys: Vec<Vec<u8>> = columns.iter().enumerate().map(|(i, (name, _))| key(i, name)).collect();
    let mut out = huge_room(rows * (keys.iter().map(|key| key.len() + NUMBER_BYTES).sum::<usize>() + 2));
    in_blocks(rows, columns.len(), &mut out, |rows, out| {
        for row in rows {
            out.push(b'{');
            for (key, (_, values)) in keys.iter().zip(columns) {
                out.extend_from_slice(key);
                json_number(values[row], out);
            }
            out.extend_from_slice(b"}\n");
        }
    });
    out
}

/// A name with the comma before it and the colon behind it.
fn key(position: usize, name: &str) -> Vec<u8> {
    let mut key = if position > 0 { b",".to_vec() } else { Vec::new() };
    json_name(name, &mut key);
    key.push(b':');
    key
}

/// One line a row, missing values empty; a header line where it is wanted.
pub fn csv(columns: &[Slice<'_>], header: bool) -> Vec<u8> {
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    let mut out = room(rows * columns.len());
    if header {
        let names: Vec<_> = columns.iter().map(|(name, _)| csv_field(name)).collect();
        out.extend_from_slice(names.join(",").as_bytes());
        out.push(b'\n');
    }
    in_blocks(rows, columns.len(), &mut out, |rows, out| rows.for_each(|row| csv_row(row, columns, out)));
    out
}

fn csv_row(row: usize, columns: &[Slice<'_>], out: &mut Vec<u8>) {
    let begin = out.len();
    for (i, (_, values)) in columns.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        csv_number(values[row], out);
    }
    if out.len() == begin {
        // A line of one empty field: an empty line would be no row at all to most readers.
        out.extend_from_slice(b"\"\"");
    }
    out.push(b'\n');
}

fn csv_number(value: f64, out: &mut Vec<u8>) {
    match value {
        x if x.is_finite() => out.extend_from_slice(zmij::Buffer::new().format_finite(x).as_bytes()),
        x if x.is_nan() => {}
        x if x > 0.0 => out.extend_from_slice(b"inf"),
        _ => out.extend_from_slice(b"-inf"),
    }
}

/// Quoted where it must be (RFC 4180). A name that a spreadsheet would run as a formula gets an apostrophe before it, as
/// OWASP advises: names come from whoever made the data, and files are opened by somebody else.
fn csv_field(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\u{FF1D}', '\u{FF0B}', '\u{FF0D}', '\u{FF20}']) {
        return format!("\"'{}\"", text.replace('"', "\"\""));
    }
    match text.contains([',', '"', '\n', '\r']) || text.is_empty() {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Reads what [`csv`] wrote with a header.
pub fn read_csv(columns: usize, content: &[u8]) -> Result<Vec<Vec<f64>>> {
    let mut gathered = vec![Vec::new(); columns];
    let mut reader = csv::ReaderBuilder::new().from_reader(content);
    for record in reader.byte_records() {
        let record = record.map_err(|e| damaged(&e))?;
        for (values, cell) in gathered.iter_mut().zip(&record) {
            values.push(match number(cell) {
                Number::Value { value, .. } => value,
                Number::Missing => f64::NAN,
                Number::No => return Err(damaged(&"a cell is no number")),
            });
        }
    }
    Ok(gathered)
}

/// Reads what [`ndjson`] wrote.
pub fn read_ndjson(columns: usize, content: &[u8]) -> Result<Vec<Vec<f64>>> {
    let mut gathered = vec![Vec::new(); columns];
    for line in content.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let row: indexmap::IndexMap<String, Cell> = serde_json::from_slice(line).map_err(|e| damaged(&e))?;
        for (values, cell) in gathered.iter_mut().zip(row.into_values()) {
            values.push(stored_number(cell)?);
        }
    }
    Ok(gathered)
}

/// A cell of stored JSON.
pub fn stored_number(cell: Cell) -> Result<f64> {
    match cell {
        Cell::Number { value, .. } => Ok(value),
        Cell::Missing => Ok(f64::NAN),
        Cell::Text(text) if text == "Infinity" => Ok(f64::INFINITY),
        Cell::Text(text) if text == "-Infinity" => Ok(f64::NEG_INFINITY),
        other => Err(damaged(&other.describe())),
    }
}
