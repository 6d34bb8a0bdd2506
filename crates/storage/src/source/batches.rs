//! Several columns side by side, block after block: what one partition of a query reads.

use std::ops::Range;
use std::sync::Arc;

use caudal_core::Result;

use super::{BLOCK_ROWS, ColumnReader, Source};

/// Reads a range of blocks of several columns. Each column that does not lie in memory takes a block of
/// 512 KB and what its decoder holds, some pages of the file.
pub struct BatchReader {
    source: Arc<Source>,
    blocks: Range<u64>,
    lanes: Vec<Lane>,
}

/// One column.
struct Lane {
    column: usize,
    reader: ColumnReader,
    buffer: Vec<f64>,
}

/// One block of every column.
pub struct Batch<'b> {
    /// The block's number in the source.
    pub block: u64,
    /// The rows of each column, in the order in which the columns were asked for.
    pub columns: Vec<&'b [f64]>,
}

impl BatchReader {
    /// # Errors
    /// `Internal` where there is no such column.
    pub fn new(source: Arc<Source>, columns: &[usize], blocks: Range<u64>) -> Result<BatchReader> {
        let blocks = blocks.start..blocks.end.min(source.blocks());
        let rows = source.block(blocks.start).start..source.rows();
        let lane = |column: &usize| {
            let reader = source.reader(*column, rows.clone())?;
            Ok(Lane { column: *column, reader, buffer: Vec::new() })
        };
        let lanes = columns.iter().map(lane).collect::<Result<_>>()?;
        Ok(BatchReader { source, blocks, lanes })
    }

    /// The next block, or `None` behind the last.
    ///
    /// # Errors
    /// Those of [`ColumnReader::fill`].
    pub fn next_batch(&mut self) -> Result<Option<Batch<'_>>> {
        let Some(block) = self.blocks.next() else { return Ok(None) };
        let rows = self.source.block(block);
        let mut columns = Vec::with_capacity(self.lanes.len());
        for lane in &mut self.lanes {
            columns.push(match self.source.slice(lane.column, rows.clone()) {
                Some(values) => values,
                None => lane.read(rows.clone())?,
            });
        }
        Ok(Some(Batch { block, columns }))
    }
}

impl Lane {
    fn read(&mut self, rows: Range<u64>) -> Result<&[f64]> {
        self.buffer.resize(BLOCK_ROWS as usize, 0.0);
        let block = self.buffer.get_mut(..(rows.end - rows.start) as usize).unwrap_or_default();
        self.reader.skip_to(rows.start)?;
        self.reader.fill(block)?;
        Ok(block)
    }
}
