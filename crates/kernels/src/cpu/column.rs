//! The moments of whole columns, block by block.

use crate::BLOCK_ROWS;
use crate::cpu::scan::{BlockScan, InMemory, infallible};
use crate::moments::{Moments, merge_blocks};

/// The moments of a column in memory, on the current rayon pool.
pub fn moments(values: &[f64]) -> Moments {
    if values.len() <= BLOCK_ROWS {
        return Moments::of_block(values);
    }
    infallible(column_moments(&InMemory(values)))
}

/// The moments of a column.
///
/// # Errors
/// Whatever stops the column from being read.
pub fn column_moments<C: BlockScan>(column: &C) -> Result<Moments, C::Error> {
    let workers =
        column.scan(Vec::new, |blocks, number, values| blocks.push((number, Moments::of_block(values))))?;
    Ok(merge_blocks(workers.into_iter().flatten().collect()))
}
