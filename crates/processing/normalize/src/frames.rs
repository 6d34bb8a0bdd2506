//! Columns as an Arrow stream between two instances: written block by block, read back into a source that spills where memory
//! has no room.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use caudal_core::job::SourceDescription;
use caudal_core::{Error, ErrorKind, Result};
use caudal_storage::{BLOCK_ROWS, Datasets, Gathering, Source};

/// The key of what travels beside the columns, in the schema.
const BESIDE: &str = "caudal";

/// Cells of one batch, at most, where rows are not longer.
const BATCH_CELLS: u64 = 1 << 20;

/// Fills a slice with some rows of a column, by its number.
pub type FillPiece = dyn Fn(usize, Range<u64>, &mut [f64]) -> Result<()> + Send + Sync;

/// Writes columns as an Arrow stream, piece by piece: `beside` travels in the schema, values come from `fill`, NaN for missing.
///
/// # Errors
/// Those of `fill` and of `send`.
pub fn encode(
    names: &[String],
    rows: u64,
    beside: String,
    fill: &(impl Fn(usize, Range<u64>, &mut [f64]) -> Result<()> + ?Sized),
    mut send: impl FnMut(Bytes) -> Result<()>,
) -> Result<()> {
    let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Float64, true)).collect();
    let schema: SchemaRef =
        Arc::new(Schema::new_with_metadata(fields, HashMap::from([(BESIDE.to_owned(), beside)])));
    let unwritten = |e: arrow::error::ArrowError| {
        Error::new(ErrorKind::Internal, "columns cannot be written as Arrow").cause(e)
    };
    let mut writer = StreamWriter::try_new(Vec::new(), &schema).map_err(unwritten)?;
    let step = (BATCH_CELLS / names.len().max(1) as u64).clamp(1, BLOCK_ROWS);
    let mut begin = 0;
    while begin < rows {
        let end = rows.min(begin + step);
        let column = |i: usize| -> Result<ArrayRef> {
            let mut values = vec![0.0; (end - begin) as usize];
            fill(i, begin..end, &mut values)?;
            Ok(Arc::new(Float64Array::from(values)))
        };
        let columns: Result<Vec<ArrayRef>> = (0..names.len()).map(column).collect();
        let batch = RecordBatch::try_new(schema.clone(), columns?).map_err(unwritten)?;
        writer.write(&batch).map_err(unwritten)?;
        send(std::mem::take(writer.get_mut()).into())?;
        begin = end;
    }
    writer.finish().map_err(unwritten)?;
    send(std::mem::take(writer.get_mut()).into())
}

/// Reads an Arrow stream as it comes.
pub struct Decoding {
    datasets: Datasets,
    memory: u64,
    decoder: StreamDecoder,
    gathering: Option<Gathering>,
    beside: Option<String>,
    bytes: u64,
}

impl Decoding {
    /// Columns may take `memory` bytes, and more on the disk.
    pub fn begin(datasets: &Datasets, memory: u64) -> Decoding {
        Decoding {
            datasets: datasets.clone(),
            memory,
            decoder: StreamDecoder::new(),
            gathering: None,
            beside: None,
            bytes: 0,
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// `InvalidData` where it is no Arrow stream of numbers; those of [`Gathering`].
    pub fn add(&mut self, piece: Bytes) -> Result<()> {
        self.bytes += piece.len() as u64;
        let mut buffer = Buffer::from(piece);
        while !buffer.is_empty() {
            let batch = self.decoder.decode(&mut buffer).map_err(unreadable)?;
            self.open()?;
            if let (Some(batch), Some(gathering)) = (batch, &mut self.gathering) {
                gathering.add(&batch)?;
            }
        }
        Ok(())
    }

    fn open(&mut self) -> Result<()> {
        if self.gathering.is_none()
            && let Some(schema) = self.decoder.schema()
        {
            self.gathering = Some(Gathering::begin(&self.datasets, &schema, self.memory)?);
            self.beside = schema.metadata().get(BESIDE).cloned();
        }
        Ok(())
    }

    /// The columns, and what travelled beside them, once the stream has ended.
    ///
    /// # Errors
    /// `InvalidData` where it ended too early.
    pub fn finish(mut self) -> Result<(Source, Option<String>)> {
        self.decoder.finish().map_err(unreadable)?;
        let gathering = self.gathering.ok_or_else(|| {
            Error::new(ErrorKind::InvalidData, "the Arrow stream ended before it said which columns it has")
        })?;
        let origin = SourceDescription {
            format: None,
            rows: 0,
            bytes_read: self.bytes,
            columns: Vec::new(),
            skipped: Vec::new(),
        };
        Ok((gathering.finish(&origin)?, self.beside))
    }
}

fn unreadable(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::InvalidData, "this is no Arrow stream").cause(error)
}
