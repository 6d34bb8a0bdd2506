//! The first pass over a column, as a state that each worker fills block by block.

use std::sync::Arc;

use crate::brackets::{Bracketed, Brackets};
use crate::cpu::hash::{Frequent, HashCounters, Hashed};
use crate::moments::{Moments, merge_blocks};
use crate::quantile::PERCENTILES;
use crate::sample::Sample;

/// Rows that all parts of the pass go over while they lie in the nearest cache.
const ROWS: usize = 2_048;

/// What is looked for in a first pass.
#[derive(Clone, Debug)]
pub struct FirstPass {
    brackets: Brackets,
    frequent: Arc<Frequent>,
}

/// One worker's share: block moments, counts and candidates for order statistics, and hash counters for the mode.
#[derive(Debug)]
pub struct FirstShare {
    blocks: Vec<(u64, Moments)>,
    bracketed: Bracketed,
    hashed: HashCounters,
}

/// All shares together.
#[derive(Debug)]
pub(crate) struct FirstFindings {
    pub moments: Moments,
    pub bracketed: Bracketed,
    pub hashed: Hashed,
}

impl FirstPass {
    /// Drawn up by a sample of the column.
    pub fn new(sample: &Sample) -> FirstPass {
        let shares = PERCENTILES.map(|p| f64::from(p) / 100.0);
        FirstPass { brackets: Brackets::around(&shares, sample), frequent: Arc::new(Frequent::of(sample)) }
    }

    pub fn begin(&self) -> FirstShare {
        FirstShare {
            blocks: Vec::new(),
            bracketed: self.brackets.begin(),
            hashed: HashCounters::begin(&self.frequent),
        }
    }

    pub(crate) fn findings(&self, shares: Vec<FirstShare>) -> FirstFindings {
        let mut blocks = Vec::new();
        let mut bracketed = self.brackets.begin();
        let mut hashed = Vec::with_capacity(shares.len());
        for share in shares {
            blocks.extend(share.blocks);
            bracketed.merge(share.bracketed);
            hashed.push(share.hashed);
        }
        FirstFindings {
            moments: merge_blocks(blocks),
            bracketed,
            hashed: HashCounters::total(&self.frequent, &hashed),
        }
    }
}

impl FirstShare {
    /// Takes block number `block`, whole.
    pub fn add(&mut self, block: u64, values: &[f64]) {
        self.blocks.push((block, Moments::of_block(values)));
        for rows in values.chunks(ROWS) {
            self.bracketed.add(rows);
            self.hashed.add(rows);
        }
    }
}
