//! The moments of whole columns, block by block.

use crate::BLOCK_ROWS;
use crate::cpu::passes::{Pass, Passes, Share};
use crate::cpu::scan::{InMemory, infallible};
use crate::moments::Moments;

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
pub fn column_moments<C: Passes>(column: &C) -> Result<Moments, C::Error> {
    Ok(Share::moments(column.go_over(&Pass::Moments)?))
}
