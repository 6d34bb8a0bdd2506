//! Normalised columns as JSON, NDJSON and CSV, and back.
//!
//! Numbers are printed in the shortest form that reads back to the same f64. Infinities are the strings
//! "Infinity" and "-Infinity" in JSON, and inf and -inf in CSV.

use std::ops::Range;

use caudal_core::Result;
use caudal_core::cell::Cell;
use caudal_kernels::huge_bytes;
use rayon::prelude::*;

use super::encode::{Slice, damaged};
use crate::datasets::{Number, number};

/// `[1.0,null,"Infinity"]`, by all threads where there are many values.
pub fn json_array(values: &[f64]) -> Vec<u8> {
    let mut out = Text::with_room(values.len() * NUMBER_BYTES);
    append_array(values, &mut out);
    out.finish()
}

fn append_array(values: &[f64], out: &mut Text) {
    out.push(b"[");
    append_elements(values, out);
    out.push(b"]");
}

/// The elements alone, with a comma between each two.
pub fn json_elements(values: &[f64]) -> Vec<u8> {
    let mut out = Text::with_room(values.len() * NUMBER_BYTES);
    append_elements(values, &mut out);
    out.finish()
}

fn append_elements(values: &[f64], out: &mut Text) {
    in_blocks(values.len(), 1, out, |rows, out| {
        for row in rows {
            if row > 0 {
                out.push(b',');
            }
            json_number(values[row], out);
        }
    });
}

/// A text in the making: what lies behind its end are zeros that take no memory before they are reached, so that many
/// threads can write to it.
struct Text {
    bytes: Vec<u8>,
    end: usize,
}

impl Text {
    /// Room for so many bytes; more are made room for when they come.
    fn with_room(bytes: usize) -> Text {
        Text { bytes: huge_bytes(bytes + 4096), end: 0 }
    }

    /// The next bytes.
    fn place(&mut self, length: usize) -> &mut [u8] {
        let (begin, end) = (self.end, self.end + length);
        if end > self.bytes.len() {
            self.bytes.resize(end + end / 4, 0);
        }
        self.end = end;
        &mut self.bytes[begin..end]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.place(bytes.len()).copy_from_slice(bytes);
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.truncate(self.end);
        self.bytes
    }
}

/// Numbers that one thread prints at a time, and threads' turns after which what they have printed is put together.
const BLOCK: usize = 1 << 13;
const TURNS: usize = 4;

/// Appends what `print` says of all rows of so many columns, in order, by all threads where there are many.
fn in_blocks(rows: usize, columns: usize, out: &mut Text, print: impl Fn(Range<usize>, &mut Vec<u8>) + Sync) {
    let block = (BLOCK / columns.max(1)).max(1);
    if rows <= block {
        let mut printed = Vec::new();
        print(0..rows, &mut printed);
        return out.push(&printed);
    }
    let mut printed = vec![Vec::new(); (rayon::current_num_threads() * TURNS).min(rows.div_ceil(block))];
    for begin in (0..rows).step_by(printed.len() * block) {
        printed.par_iter_mut().enumerate().for_each(|(i, text)| {
            text.clear();
            let first = (begin + i * block).min(rows);
            print(first..(first + block).min(rows), text);
        });
        let mut place = out.place(printed.iter().map(Vec::len).sum());
        let places: Vec<_> = printed
            .iter()
            .map(|text| {
                let (mine, behind) = std::mem::take(&mut place).split_at_mut(text.len());
                place = behind;
                (mine, text)
            })
            .collect();
        places.into_par_iter().for_each(|(place, text)| place.copy_from_slice(text));
    }
}

/// Bytes of a number with what stands around it, about.
const NUMBER_BYTES: usize = 20;

/// Bytes of the longest number.
const LONGEST: usize = 24;

/// Appends a finite number. Most of the work besides finding its digits is to append so few bytes: they are written to a
/// place of a fixed size, in pieces of fixed sizes.
fn number_text(value: f64, out: &mut Vec<u8>) {
    let mut buffer = zmij::Buffer::new();
    let (text, begin) = (buffer.format_finite(value).as_bytes(), out.len());
    out.extend_from_slice(&[0; LONGEST]);
    let end = text.len();
    match out[begin..].first_chunk_mut::<LONGEST>() {
        Some(place) if (16..=LONGEST).contains(&end) => {
            place[..16].copy_from_slice(&text[..16]);
            place[end - 8..end].copy_from_slice(&text[end - 8..]);
        }
        Some(place) if (8..16).contains(&end) => {
            place[..8].copy_from_slice(&text[..8]);
            place[end - 8..end].copy_from_slice(&text[end - 8..]);
        }
        Some(place) if (4..8).contains(&end) => {
            place[..4].copy_from_slice(&text[..4]);
            place[end - 4..end].copy_from_slice(&text[end - 4..]);
        }
        _ => out[begin..begin + end].copy_from_slice(text),
    }
    out.truncate(begin + end);
}

/// A name as a JSON string.
pub fn json_name(name: &str) -> String {
    // A string always has a JSON form.
    serde_json::Value::from(name).to_string()
}

fn json_number(value: f64, out: &mut Vec<u8>) {
    match value {
        x if x.is_finite() => number_text(x, out),
        x if x.is_nan() => out.extend_from_slice(b"null"),
        x if x > 0.0 => out.extend_from_slice(b"\"Infinity\""),
        _ => out.extend_from_slice(b"\"-Infinity\""),
    }
}

/// `{"columns": {…}}`: the whole data as one document.
pub fn json_document(columns: &[Slice<'_>]) -> Vec<u8> {
    let mut out = Text::with_room(columns.iter().map(|(_, values)| values.len() * NUMBER_BYTES).sum());
    out.push(b"{\"columns\":{");
    for (i, (name, values)) in columns.iter().enumerate() {
        out.push(&key(i, name));
        append_array(values, &mut out);
    }
    out.push(b"}}");
    out.finish()
}

/// One object a line.
pub fn ndjson(columns: &[Slice<'_>]) -> Vec<u8> {
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    let keys: Vec<Vec<u8>> = columns.iter().enumerate().map(|(i, (name, _))| key(i, name)).collect();
    let row = keys.iter().map(|key| key.len() + NUMBER_BYTES).sum::<usize>() + 2;
    let mut out = Text::with_room(rows * row);
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
    out.finish()
}

/// A name with the comma before it and the colon behind it.
fn key(position: usize, name: &str) -> Vec<u8> {
    let comma = if position > 0 { "," } else { "" };
    format!("{comma}{}:", json_name(name)).into_bytes()
}

/// One line a row, missing values empty; a header line where it is wanted.
pub fn csv(columns: &[Slice<'_>], header: bool) -> Vec<u8> {
    let rows = columns.first().map_or(0, |(_, values)| values.len());
    let mut out = Text::with_room(rows * columns.len() * NUMBER_BYTES);
    if header {
        let names: Vec<_> = columns.iter().map(|(name, _)| csv_field(name)).collect();
        out.push(names.join(",").as_bytes());
        out.push(b"\n");
    }
    in_blocks(rows, columns.len(), &mut out, |rows, out| rows.for_each(|row| csv_row(row, columns, out)));
    out.finish()
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
        x if x.is_finite() => number_text(x, out),
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
