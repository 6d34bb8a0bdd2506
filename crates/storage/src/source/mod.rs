//! What a job reads, opened once and scanned as often as wanted, a block of 65,536 rows at a time.

mod batches;
mod budget;
mod column;
mod growing;
mod held;
pub(crate) mod levels;
pub(crate) mod page_header;
pub(crate) mod parquet;
mod parquet_columns;
pub(crate) mod pieces;
mod plain_pages;
mod read_at;
mod scan;
mod spill_file;
mod spilled;
mod steps;
mod stream;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use caudal_core::job::SourceDescription;
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::{KeptBlocks, Survey};

pub use self::batches::{Batch, BatchReader};
pub(crate) use self::budget::Budget;
pub use self::column::SourceColumn;
pub(crate) use self::growing::{Growing, Keeper, Room};
use self::held::Held;
pub(crate) use self::read_at::{FileAt, ReadAt};
pub use self::scan::{ScanControl, scan};
pub use self::spill_file::SpillOptions;
pub use self::steps::Steps;
pub(crate) use self::stream::Stream;
use crate::table::Table;

/// Rows of one block; block `b` is rows `b·65,536` to `(b + 1)·65,536`, and the last one may be shorter.
pub const BLOCK_ROWS: u64 = caudal_kernels::BLOCK_ROWS as u64;

/// What a job reads, opened: described at once, scanned as often as wanted with bounded memory.
pub struct Source {
    description: SourceDescription,
    layout: Box<dyn Layout>,
    /// Of each column, once they are known.
    inexact_integers: Vec<OnceLock<u64>>,
    /// Of each column, once somebody has made one.
    surveys: Vec<OnceLock<Survey>>,
    /// Of each column, what was decoded, where there is room for it.
    kept: Vec<OnceLock<KeptBlocks>>,
    keeps: bool,
}

/// How a source's rows lie: in memory, in a spill file, in Parquet files.
pub(crate) trait Layout: Send + Sync {
    fn slice(&self, column: usize, rows: Range<u64>) -> Option<&[f64]>;

    /// The rows of a column from `row` on; nothing is read yet.
    fn rows(&self, column: usize, row: u64) -> Box<dyn Rows>;

    /// Integers of a column that the conversion to f64 changed, where that is known without reading.
    fn inexact_integers(&self, column: usize) -> Option<u64>;

    /// Whether reading the rows of a column again costs more than keeping them in fresh memory.
    fn is_costly(&self, _column: usize) -> bool {
        false
    }
}

/// Rows of one column, one after the other.
pub(crate) trait Rows: Send {
    /// Fills all of `out`; returns the inexact integers among it.
    fn read(&mut self, out: &mut [f64]) -> Result<u64>;

    fn skip(&mut self, rows: u64) -> Result<()>;
}

impl Source {
    pub(crate) fn new(description: SourceDescription, layout: Box<dyn Layout>) -> Source {
        let known = |column| layout.inexact_integers(column).map_or_else(OnceLock::new, OnceLock::from);
        let inexact_integers = (0..description.columns.len()).map(known).collect();
        let surveys = description.columns.iter().map(|_| OnceLock::new()).collect();
        let kept = description.columns.iter().map(|_| OnceLock::new()).collect();
        Source { description, layout, inexact_integers, surveys, kept, keeps: false }
    }

    /// Keeps what scans decode for the scans that come, where all of it takes no more than so many bytes.
    pub(crate) fn keeping_within(mut self, bytes: u64) -> Source {
        self.keeps = self.description.cells().saturating_mul(8) <= bytes;
        self
    }

    pub fn rows(&self) -> u64 {
        self.description.rows
    }

    /// Processed columns.
    pub fn columns(&self) -> usize {
        self.description.columns.len()
    }

    /// The name of a column; empty where there is no such column.
    pub fn name(&self, column: usize) -> &str {
        self.description.columns.get(column).map_or("", |c| &c.name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.description.columns.iter().map(|c| c.name.as_str())
    }

    pub fn describe(&self) -> SourceDescription {
        self.description.clone()
    }

    pub fn blocks(&self) -> u64 {
        self.rows().div_ceil(BLOCK_ROWS)
    }

    /// The rows of a block.
    pub fn block(&self, block: u64) -> Range<u64> {
        let begin = block.saturating_mul(BLOCK_ROWS).min(self.rows());
        begin..begin.saturating_add(BLOCK_ROWS).min(self.rows())
    }

    /// The rows of a column where they lie in memory; of what was decoded and kept, those of one block.
    pub fn slice(&self, column: usize, rows: Range<u64>) -> Option<&[f64]> {
        self.layout.slice(column, rows.clone()).or_else(|| {
            let kept = self.kept.get(column)?.get()?;
            let block = rows.start / BLOCK_ROWS;
            let begin = block * BLOCK_ROWS;
            kept.get(block as usize)?.get((rows.start - begin) as usize..(rows.end - begin) as usize)
        })
    }

    /// Where blocks of a column are kept that is costly to decode. What counts the digits that integers lose is decoded
    /// each time.
    fn kept(&self, column: usize) -> Option<&KeptBlocks> {
        if !self.keeps || self.inexact_integers(column).is_none() || !self.layout.is_costly(column) {
            return None;
        }
        Some(self.kept.get(column)?.get_or_init(|| KeptBlocks::new(self.rows() as usize)))
    }

    /// A reader of a range of rows of one column. Rows beyond the last are none.
    ///
    /// # Errors
    /// `Internal` where there is no such column.
    pub fn reader(&self, column: usize, rows: Range<u64>) -> Result<ColumnReader> {
        if column >= self.columns() {
            let detail = format!("column {column} of {} was asked for", self.columns());
            return Err(Error::new(ErrorKind::Internal, detail));
        }
        let end = rows.end.min(self.rows());
        let begin = rows.start.min(end);
        Ok(ColumnReader { rows: self.layout.rows(column, begin), at: begin, end, inexact_integers: 0 })
    }

    /// Integers of a column that the conversion to f64 changed: known from the beginning of what was
    /// gathered, of floats and of small integers, otherwise after a [`scan`] has been through the column.
    pub fn inexact_integers(&self, column: usize) -> Option<u64> {
        self.inexact_integers.get(column).and_then(OnceLock::get).copied()
    }

    fn set_inexact_integers(&self, column: usize, count: u64) {
        // Whoever was first has counted the same.
        let _ = self.inexact_integers.get(column).map(|known| known.set(count));
    }
}

impl From<Table> for Source {
    fn from(table: Table) -> Source {
        let description = table.describe();
        Source::new(description, Box::new(Held::new(table.columns)))
    }
}

/// Reads a range of rows of one column, forwards.
pub struct ColumnReader {
    rows: Box<dyn Rows>,
    at: u64,
    end: u64,
    inexact_integers: u64,
}

impl ColumnReader {
    /// The next row.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Fills `out` with the next rows, NaN for null; fewer only at the range's end.
    ///
    /// # Errors
    /// `InvalidData` where the source is damaged, `SourceUnavailable` where it cannot be read.
    pub fn fill(&mut self, out: &mut [f64]) -> Result<usize> {
        let count = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(out.len());
        let Some(place) = out.get_mut(..count).filter(|place| !place.is_empty()) else { return Ok(0) };
        self.inexact_integers += guarded(|| self.rows.read(place))?;
        self.at += count as u64;
        Ok(count)
    }

    /// Goes forward to a row; behind the range's end there is nothing left to fill.
    ///
    /// # Errors
    /// As [`fill`](Self::fill).
    pub fn skip_to(&mut self, row: u64) -> Result<()> {
        let rows = row.min(self.end).saturating_sub(self.at);
        if rows > 0 {
            guarded(|| self.rows.skip(rows))?;
        }
        self.at += rows;
        Ok(())
    }

    /// Integers that the conversion to f64 changed, among the rows delivered so far. What was gathered
    /// knows only how many a column has; it counts them with its first row, so that readers that cover a
    /// column have its count between them.
    pub fn inexact_integers(&self) -> u64 {
        self.inexact_integers
    }
}

/// A decoder that panics has met bytes that it was not made for.
fn guarded<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        Err(Error::new(ErrorKind::InvalidData, "the source cannot be decoded: it is damaged"))
    })
}
