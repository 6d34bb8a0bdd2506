//! Reads Arrow IPC, the file form and the stream form.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{self, Block, MessageHeader, MetadataVersion};
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Result};

use super::Reading;
use super::arrow_arrays::{convert, unfit};
use super::arrow_messages::{Message, Messages};
use super::columns::{Choice, Offered, choose};
use crate::source::{Growing, Keeper, ReadAt, Source, Stream};

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
/// `InvalidData` where it is damaged or incomplete, or has no column to process; `InsufficientMemory` where a batch takes
/// more memory than one may.
pub fn read_file(file: Stream, reading: &Reading<'_>) -> Result<Source> {
    let bytes = file.base().clone();
    let footer = Footer::read(&*bytes)?;
    let mut collected = Collected::begin(&footer.schema, reading)?;
    let messages = Messages::new(bytes, reading.room.memory);
    let mut decoder = collected.decoder(footer.schema, footer.version);
    // Messages that lie upon each other would be read more often than there are bytes.
    let mut in_all = 0u64;
    for (block, holds) in &footer.blocks {
        let place = messages.place_of(block, footer.begins)?;
        let message = messages.read_at(place)?;
        in_all = in_all.saturating_add(message.bytes.len() as u64);
        if message.header != *holds || in_all > footer.begins {
            return Err(damaged(&"its footer does not fit its messages"));
        }
        collected.decode(&mut decoder, &message, reading, place.offset)?;
    }
    collected.finish(reading)
}

/// Reads an Arrow IPC stream.
///
/// # Errors
/// As [`read_file`].
pub fn read_stream(file: Stream, reading: &Reading<'_>) -> Result<Source> {
    let messages = Messages::new(file.base().clone(), reading.room.memory);
    let first = messages.place_at(0)?.ok_or_else(|| damaged(&"it is empty"))?;
    let message = messages.read_at(first)?;
    let (schema, version) = schema_of(&message)?;
    let mut collected = Collected::begin(&schema, reading)?;
    let mut decoder = collected.decoder(schema, version);
    let mut at = message.bytes.len() as u64;
    while let Some(place) = messages.place_at(at)? {
        let message = messages.read_at(place)?;
        at += message.bytes.len() as u64;
        collected.decode(&mut decoder, &message, reading, at)?;
    }
    collected.finish(reading)
}

/// What the end of a file says.
struct Footer {
    schema: Schema,
    version: MetadataVersion,
    /// Messages with dictionaries first, then those with rows.
    blocks: Vec<(Block, MessageHeader)>,
    /// Where it begins.
    begins: u64,
}

impl Footer {
    fn read(file: &dyn ReadAt) -> Result<Footer> {
        const MARK: &[u8; 6] = b"ARROW1";
        let incomplete = || damaged(&"it has no footer");
        let tail = file.size().checked_sub(10).ok_or_else(incomplete)?;
        let mut end = [0; 10];
        file.read_exact_at(&mut end, tail).map_err(|e| damaged(&e))?;
        let [a, b, c, d, mark @ ..] = end;
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        // Before the footer stands at least the mark that a file begins with.
        let begins = tail.checked_sub(length).filter(|begins| mark == *MARK && *begins >= 8);
        let begins = begins.ok_or_else(incomplete)?;
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| incomplete())?];
        file.read_exact_at(&mut bytes, begins).map_err(|e| damaged(&e))?;
        let footer = ipc::root_as_footer(&bytes).map_err(|e| damaged(&e))?;
        let mut blocks = Vec::new();
        blocks.extend(
            footer.dictionaries().into_iter().flatten().map(|block| (*block, MessageHeader::DictionaryBatch)),
        );
        blocks.extend(
            footer.recordBatches().into_iter().flatten().map(|block| (*block, MessageHeader::RecordBatch)),
        );
        let schema = schema(footer.schema())?;
        Ok(Footer { schema, version: footer.version(), blocks, begins })
    }
}

fn schema_of(message: &Message) -> Result<(Schema, MetadataVersion)> {
    let told = ipc::root_as_message(message.metadata()).map_err(|e| damaged(&e))?;
    match message.header {
        MessageHeader::Schema => Ok((schema(told.header_as_schema())?, told.version())),
        _ => Err(damaged(&"it does not begin with its schema")),
    }
}

fn schema(told: Option<ipc::Schema<'_>>) -> Result<Schema> {
    let told = told.ok_or_else(|| damaged(&"it has no schema"))?;
    if !told.endianness().equals_to_target_endianness() {
        return Err(damaged(&"its numbers are written from the other end"));
    }
    decoded(|| Ok(fb_to_schema(told)))
}

/// Runs the decoder, which panics where it meets what it was not made for.
fn decoded<T>(decode: impl FnOnce() -> Result<T, ArrowError>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(error)) => Err(damaged(&error)),
        Err(_) => Err(damaged(&"it was not made by any known writer")),
    }
}

struct Collected {
    choice: Choice,
    columns: Vec<Growing>,
    rows: u64,
    keeper: Keeper,
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
        Ok(Collected { choice, columns, rows: 0, keeper: Keeper::new(reading.room.clone()) })
    }

    /// What decodes the chosen columns, and no others.
    fn decoder(&self, schema: Schema, version: MetadataVersion) -> FileDecoder {
        FileDecoder::new(Arc::new(schema), version).with_projection(self.choice.positions.clone())
    }

    /// Takes a message in that lies at a position.
    fn decode(
        &mut self,
        decoder: &mut FileDecoder,
        message: &Message,
        reading: &Reading<'_>,
        position: u64,
    ) -> Result<()> {
        let (block, bytes) = (&message.block, &message.bytes);
        let batch = match message.header {
            MessageHeader::DictionaryBatch => return decoded(|| decoder.read_dictionary(block, bytes)),
            _ => decoded(|| decoder.read_record_batch(block, bytes))?,
        };
        let Some(batch) = batch else { return Ok(()) };
        for from in (0..batch.num_rows()).step_by(PIECE_ROWS) {
            let piece = batch.slice(from, PIECE_ROWS.min(batch.num_rows() - from));
            self.add(&piece)?;
            let held = self.columns.iter().map(Growing::bytes).sum();
            reading.look_up(position, &mut self.keeper, held, || self.columns.iter_mut())?;
        }
        Ok(())
    }

    fn finish(self, reading: &Reading<'_>) -> Result<Source> {
        let origin = reading.origin(SourceFormat::Arrow, self.rows, self.choice.skipped);
        self.keeper.finish(self.columns, origin)
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            let place = column.extend(batch.num_rows());
            column.inexact_integers += convert(array.as_ref(), place)?;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }
}

pub fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the Arrow data cannot be read: {error}"))
        .hint("is the file complete? A cut-off copy lacks its last batches and footer")
}
