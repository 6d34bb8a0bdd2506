//! Whole columns in memory, block by block on the current rayon pool.

use rayon::prelude::*;

use crate::BLOCK_ROWS;
use crate::moments::{Moments, merge_blocks};

/// The moments of a column: its blocks in parallel, merged by number.
pub fn moments(values: &[f64]) -> Moments {
    if values.len() <= BLOCK_ROWS {
        return Moments::of_block(values);
    }
    let blocks: Vec<Moments> = values.par_chunks(BLOCK_ROWS).map(Moments::of_block).collect();
    merge_blocks((0..).zip(blocks).collect())
}
