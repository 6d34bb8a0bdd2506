//! Reads Arrow IPC, the file form and the stream form.

use std::io::{BufReader, Read, Seek};

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Result};

use super::Reading;
use super::arrow_arrays::{convert, unfit};
use super::arrow_messages;
use super::columns::{Choice, Offered, choose};
use crate::source::{Growing, Keeper, Source, Stream};

/// Rows that are taken from a batch at once.
const PIECE_ROWS: usize = 1 << 16;

/// How a column of an Arrow schema is offered.
pub fn offer(field: &Field) -> Offered {
    Offered {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
        unfit: unfit(field.data_type()).map(str::to_owned),
    }
}

/// Reads an Arrow IPC file.
///
/// # Errors
/// `InvalidData` where it is damaged or incomplete, or has no column to process.
pub fn read_file(file: Stream, reading: &Reading<'_>) -> Result<Source> {
    let buffered = BufReader::with_capacity(1 << 20, file.clone());
    let schema = FileReader::try_new(buffered, None).map_err(|e| damaged(&e))?.schema();
    let collected = Collected::begin(&schema, reading)?;
    arrow_messages::check(&**file.base(), true, reading.room.memory)?;
    let position = file.clone();
    let buffered = BufReader::with_capacity(1 << 20, file);
    let projection = collected.choice.positions.clone();
    let batches = FileReader::try_new(buffered, Some(projection)).map_err(|e| damaged(&e))?;
    collected.collect(batches, reading, false, position)
}

/// Reads an Arrow IPC stream.
///
/// # Errors
/// As [`read_file`].
pub fn read_stream(mut file: Stream, reading: &Reading<'_>) -> Result<Source> {
    check_first_message(&mut file, reading.size)?;
    arrow_messages::check(&**file.base(), false, reading.room.memory)?;
    let position = file.clone();
    let batches =
        StreamReader::try_new(BufReader::with_capacity(1 << 20, file), None).map_err(|e| damaged(&e))?;
    let collected = Collected::begin(&batches.schema(), reading)?;
    collected.collect(batches, reading, true, position)
}

/// The reader makes room for as many bytes as a message says that it has, which in what is no stream at all
/// may be any number.
fn check_first_message(file: &mut Stream, size: u64) -> Result<()> {
    let mut start = [0; 8];
    let read = file.read_exact(&mut start).and_then(|()| file.rewind());
    read.map_err(|e| damaged(&e))?;
    let [a, b, c, d, rest @ ..] = start;
    let length = if [a, b, c, d] == [0xFF; 4] { rest } else { [a, b, c, d] };
    match u64::from(u32::from_le_bytes(length)) {
        length if length <= size => Ok(()),
        length => Err(damaged(&format!("its first message says that it has {length} bytes"))),
    }
}

struct Collected {
    choice: Choice,
    columns: Vec<Growing>,
    rows: u64,
}

impl Collected {
    fn begin(schema: &Schema, reading: &Reading<'_>) -> Result<Collected> {
        let offered: Vec<_> = schema.fields().iter().map(|field| offer(field)).collect();
        let choice = choose(&offered, reading.columns)?;
        let column = |i: &usize| {
            let field = schema.field(*i);
            Growing::new(field.name(), field.data_type().to_string())
        };
        let columns = choice.positions.iter().map(column).collect();
        Ok(Collected { choice, columns, rows: 0 })
    }

    /// `whole` batches hold every column of the source, others only the chosen ones; `position` moves with the reading.
    fn collect(
        mut self,
        batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
        reading: &Reading<'_>,
        whole: bool,
        mut position: Stream,
    ) -> Result<Source> {
        let mut keeper = Keeper::new(reading.room.clone());
        for batch in batches {
            let batch = batch.map_err(|e| damaged(&e))?;
            for from in (0..batch.num_rows()).step_by(PIECE_ROWS) {
                let piece = batch.slice(from, PIECE_ROWS.min(batch.num_rows() - from));
                self.add(&piece, whole)?;
                let held = self.columns.iter().map(Growing::bytes).sum();
                let at = position.stream_position().map_err(|e| super::unreadable(&e))?;
                reading.look_up(at, &mut keeper, held, || self.columns.iter_mut())?;
            }
        }
        let origin = reading.origin(SourceFormat::Arrow, self.rows, self.choice.skipped);
        keeper.finish(self.columns, origin)
    }

    fn add(&mut self, batch: &RecordBatch, whole: bool) -> Result<()> {
        for (i, column) in self.columns.iter_mut().enumerate() {
            let position = if whole { self.choice.positions[i] } else { i };
            let place = column.extend(batch.num_rows());
            column.inexact_integers += convert(batch.column(position).as_ref(), place)?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }
}

fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the Arrow data cannot be read: {error}"))
        .hint("is the file complete? A cut-off copy lacks its last batches and footer")
}
