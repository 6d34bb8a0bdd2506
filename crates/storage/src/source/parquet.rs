//! Columns of Parquet files, decoded anew by every reader: nothing is kept but the files' metadata.

use std::io::{BufReader, Read};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use caudal_core::{Error, ErrorKind, Result};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

pub(crate) use super::parquet_columns::Place;
use super::parquet_columns::{Decoder, decoder};
use super::{Layout, ReadAt, Rows};

/// A column chunk of at most this many bytes is read at once, so that small row groups cost one read.
const WINDOW: usize = 256 * 1024;

/// Buffers of pages that are kept for the next page.
const KEPT_BUFFERS: usize = 16;

/// A larger buffer is not kept.
const KEPT_BYTES: usize = 8 << 20;

/// Opens the bytes of a file, anew for each reader where there may be many files.
pub(crate) type Opener = Box<dyn Fn() -> Result<Arc<dyn ReadAt>> + Send + Sync>;

/// One file: how to open it, and where the processed columns lie in it.
pub(crate) struct ParquetFile {
    pub open: Opener,
    pub metadata: ArrowReaderMetadata,
    pub places: Vec<Place>,
}

/// Files whose rows follow each other.
pub(crate) struct ParquetRows {
    files: Vec<ParquetFile>,
    /// Row groups that hold rows, in order.
    groups: Vec<Group>,
    rows: u64,
    pages: Arc<PageBuffers>,
}

#[derive(Clone, Copy)]
struct Group {
    file: usize,
    index: usize,
    first_row: u64,
}

impl ParquetRows {
    /// # Errors
    /// `InvalidData` where the row groups say that they hold fewer than no rows, or more than there can be.
    pub fn new(files: Vec<ParquetFile>) -> Result<ParquetRows> {
        let (mut groups, mut rows) = (Vec::new(), 0u64);
        for (file, opened) in files.iter().enumerate() {
            for (index, group) in opened.metadata.metadata().row_groups().iter().enumerate() {
                let count = u64::try_from(group.num_rows())
                    .map_err(|_| damaged(&"a row group says that it holds fewer than no rows"))?;
                if count > 0 {
                    groups.push(Group { file, index, first_row: rows });
                }
                rows = rows.checked_add(count).filter(|rows| *rows <= MOST_ROWS).ok_or_else(too_many_rows)?;
            }
        }
        Ok(ParquetRows { files, groups, rows, pages: Arc::default() })
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// More rows than this are a lie, and would overflow counts of cells.
const MOST_ROWS: u64 = 1 << 44;

fn too_many_rows() -> Error {
    damaged(&"its row groups say that they hold more rows than any file can")
}

/// Files whose rows follow each other, shared by their readers.
pub(crate) struct ParquetLayout(pub Arc<ParquetRows>);

impl Layout for ParquetLayout {
    fn slice(&self, _: usize, _: Range<u64>) -> Option<&[f64]> {
        None
    }

    fn rows(&self, column: usize, row: u64) -> Box<dyn Rows> {
        Box::new(ParquetReader { rows: self.0.clone(), column, at: row, file: None, group: None })
    }

    fn inexact_integers(&self, column: usize) -> Option<u64> {
        let exact = |file: &ParquetFile| file.places.get(column).is_some_and(|place| place.is_exact());
        self.0.files.iter().all(exact).then_some(0)
    }

    fn is_costly(&self, column: usize) -> bool {
        let plain = |file: &ParquetFile| {
            let groups = file.metadata.metadata().row_groups();
            let chunk = |place: &Place| groups.first().and_then(|group| place.plain_chunk(group));
            file.places.get(column).is_some_and(|place| groups.is_empty() || chunk(place).is_some())
        };
        !self.0.files.iter().all(plain)
    }
}

struct ParquetReader {
    rows: Arc<ParquetRows>,
    column: usize,
    at: u64,
    /// The open file and its number.
    file: Option<(usize, Arc<dyn ReadAt>)>,
    group: Option<OpenGroup>,
}

struct OpenGroup {
    end: u64,
    decoder: Box<dyn Decoder>,
}

impl Rows for ParquetReader {
    fn read(&mut self, out: &mut [f64]) -> Result<u64> {
        self.decode(out).map_err(|error| self.blame(error))
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        self.pass_over(rows).map_err(|error| self.blame(error))
    }
}

impl ParquetReader {
    /// What a store does not give is no fault of the file.
    fn blame(&self, error: Error) -> Error {
        self.file.as_ref().and_then(|(_, bytes)| bytes.failure()).unwrap_or(error)
    }

    fn decode(&mut self, out: &mut [f64]) -> Result<u64> {
        let (mut filled, mut inexact) = (0, 0);
        while filled < out.len() {
            let at = self.at;
            let group = self.group()?;
            let count = usize::try_from(group.end - at).unwrap_or(usize::MAX).min(out.len() - filled);
            inexact += group.decoder.read(&mut out[filled..filled + count])?;
            filled += count;
            self.advance(count as u64)?;
        }
        Ok(inexact)
    }

    fn pass_over(&mut self, rows: u64) -> Result<()> {
        let to = self.at + rows;
        match &mut self.group {
            Some(group) if to < group.end => group.decoder.skip(rows)?,
            _ => self.group = None,
        }
        self.at = to;
        Ok(())
    }

    /// The row group that holds the next row, opened at it.
    fn group(&mut self) -> Result<&mut OpenGroup> {
        if self.group.is_none() {
            let opened = self.open_group()?;
            return Ok(self.group.insert(opened));
        }
        self.group.as_mut().ok_or_else(|| damaged(&"a row group is gone"))
    }

    fn open_group(&mut self) -> Result<OpenGroup> {
        let rows = self.rows.clone();
        let next = rows.groups.partition_point(|group| group.first_row <= self.at);
        let beyond = || damaged(&"it holds fewer rows than it says");
        let group = next.checked_sub(1).and_then(|i| rows.groups.get(i)).ok_or_else(beyond)?;
        let end = rows.groups.get(next).map_or(rows.rows, |group| group.first_row);
        let file = rows.files.get(group.file).ok_or_else(beyond)?;
        let place = file.places.get(self.column).ok_or_else(beyond)?;
        let bytes = match &self.file {
            Some((number, bytes)) if *number == group.file => bytes.clone(),
            _ => self.file.insert((group.file, (file.open)()?)).1.clone(),
        };
        let chunks = Chunks { bytes, window: None, pages: rows.pages.clone() };
        let mut decoder = decoder(chunks, &file.metadata, group.index, *place)?;
        if self.at > group.first_row {
            decoder.skip(self.at - group.first_row)?;
        }
        Ok(OpenGroup { end, decoder })
    }

    fn advance(&mut self, rows: u64) -> Result<()> {
        self.at += rows;
        if let Some(mut group) = self.group.take_if(|group| group.end <= self.at)
            && !group.decoder.is_at_end()?
        {
            return Err(damaged(&"a row group is longer than it says"));
        }
        Ok(())
    }
}

/// A file as the decoders read it: piece by piece, into buffers that are used again.
#[derive(Clone)]
pub(crate) struct Chunks {
    pub bytes: Arc<dyn ReadAt>,
    /// A stretch of the file that was read at once, and where it begins.
    pub window: Option<(u64, Bytes)>,
    pub pages: Arc<PageBuffers>,
}

impl Chunks {
    pub fn new(bytes: Arc<dyn ReadAt>) -> Chunks {
        Chunks { bytes, window: None, pages: Arc::default() }
    }

    /// Goes on to a stretch that is read to its end, at once where it is small.
    pub fn window(mut self, start: u64, length: u64) -> parquet::errors::Result<Chunks> {
        self.bytes.expect(start..start.saturating_add(length));
        if let Some(length) = usize::try_from(length).ok().filter(|length| *length <= WINDOW) {
            self.window = Some((start, self.get_bytes(start, length)?));
        }
        Ok(self)
    }

    fn within(&self, start: u64) -> Option<Bytes> {
        let (begin, bytes) = self.window.as_ref()?;
        let skipped = usize::try_from(start.checked_sub(*begin)?).ok()?;
        (skipped <= bytes.len()).then(|| bytes.slice(skipped..))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.bytes.size()
    }
}

impl ChunkReader for Chunks {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match self.within(start) {
            Some(bytes) => Box::new(bytes.reader()),
            // Page headers are read through this, and are small.
            None => Box::new(BufReader::with_capacity(
                1024,
                ReadOn { bytes: self.bytes.clone(), position: start },
            )),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if let Some(found) = self.within(start).filter(|bytes| length <= bytes.len()) {
            return Ok(found.slice(..length));
        }
        // The length comes from the file: what is not there is not made room for.
        let there = self.bytes.size().saturating_sub(start);
        if length as u64 > there {
            return Err(ParquetError::EOF(format!("expected {length} bytes, found {there}")));
        }
        let mut buffer = self.pages.take(length);
        self.bytes.read_exact_at(&mut buffer[..length], start)?;
        Ok(Bytes::from_owner(PageBuffer { buffer, length, pages: self.pages.clone() }))
    }
}

/// Reads on from a position.
struct ReadOn {
    bytes: Arc<dyn ReadAt>,
    position: u64,
}

impl Read for ReadOn {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let there = self.bytes.size().saturating_sub(self.position);
        let count = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
        self.bytes.read_exact_at(&mut buffer[..count], self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

/// Buffers of pages that were read, for the pages that come: fresh memory costs more than decoding.
#[derive(Default)]
pub(crate) struct PageBuffers(Mutex<Vec<Vec<u8>>>);

impl PageBuffers {
    /// At least `length` bytes, whatever they hold.
    fn take(&self, length: usize) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = kept.iter().position(|buffer| buffer.len() >= length);
        let buffer = fitting.map(|i| kept.swap_remove(i)).or_else(|| kept.pop());
        drop(kept);
        let mut buffer = buffer.unwrap_or_default();
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        buffer
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_BUFFERS && buffer.len() <= KEPT_BYTES {
            kept.push(buffer);
        }
    }
}

struct PageBuffer {
    buffer: Vec<u8>,
    length: usize,
    pages: Arc<PageBuffers>,
}

impl AsRef<[u8]> for PageBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for PageBuffer {
    fn drop(&mut self) {
        self.pages.give_back(std::mem::take(&mut self.buffer));
    }
}

pub(crate) fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the Parquet file cannot be read: {error}"))
        .hint("is the file complete? A Parquet file ends with its footer, which a cut-off copy lacks")
}
