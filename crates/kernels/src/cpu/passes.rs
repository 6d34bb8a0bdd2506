//! Passes over a column: what is looked for, and the share of it that each worker fills block by block.

use std::sync::Arc;

use crate::brackets::{Bracketed, Brackets};
use crate::cpu::below::CountsBelow;
use crate::cpu::hash::{Frequent, HashCounters, Hashed, ValueCounts};
use crate::cpu::partition::{Partition, Round, Sender};
use crate::moments::{Moments, merge_blocks};
use crate::quantile::PERCENTILES;
use crate::sample::Sample;

/// Rows that all parts of a pass go over while they lie in the nearest cache.
const ROWS: usize = 2_048;

/// One going over all blocks of a column.
#[derive(Clone)]
pub enum Pass {
    /// Nothing but moments.
    Moments,
    First(FirstPass),
    /// For order statistics that the first pass missed.
    Missed(Brackets),
    Second(SecondPass),
}

/// What one worker has of a pass.
pub enum Share {
    Moments(Vec<(u64, Moments)>),
    First(FirstShare),
    Missed(Bracketed),
    Second(SecondShare),
}

impl Pass {
    pub fn begin(&self) -> Share {
        match self {
            Pass::Moments => Share::Moments(Vec::new()),
            Pass::First(pass) => Share::First(pass.begin()),
            Pass::Missed(brackets) => Share::Missed(brackets.begin()),
            Pass::Second(pass) => Share::Second(pass.begin()),
        }
    }
}

impl Share {
    /// Takes block number `block`, whole.
    pub fn add(&mut self, block: u64, values: &[f64]) {
        match self {
            Share::Moments(blocks) => blocks.push((block, Moments::of_block(values))),
            Share::First(share) => share.add(block, values),
            Share::Missed(bracketed) => bracketed.add(values),
            Share::Second(share) => share.add(values),
        }
    }

    /// The moments of a column, from all shares of a pass for them.
    pub fn moments(shares: Vec<Share>) -> Moments {
        let blocks = shares.into_iter().flat_map(|share| match share {
            Share::Moments(blocks) => blocks,
            _ => Vec::new(),
        });
        merge_blocks(blocks.collect())
    }

    /// Bytes that the share holds, about.
    pub fn bytes(&self) -> usize {
        match self {
            Share::Moments(blocks) => blocks.len() * size_of::<(u64, Moments)>(),
            Share::First(share) => share.blocks.len() * size_of::<(u64, Moments)>() + share.bracketed.bytes(),
            Share::Missed(bracketed) => bracketed.bytes(),
            Share::Second(_) => 0,
        }
    }
}

/// Moments, order statistics, and counters for the mode.
#[derive(Clone)]
pub struct FirstPass {
    brackets: Brackets,
    frequent: Arc<Frequent>,
}

/// Block moments, counts and candidates for order statistics, and hash counters.
pub struct FirstShare {
    blocks: Vec<(u64, Moments)>,
    bracketed: Bracketed,
    hashed: HashCounters,
}

/// All shares of a first pass together.
pub(crate) struct FirstFindings {
    pub moments: Moments,
    pub bracketed: Bracketed,
    pub hashed: Hashed,
}

impl FirstPass {
    /// Drawn up by a sample of the column.
    pub(crate) fn new(sample: &Sample) -> FirstPass {
        let shares = PERCENTILES.map(|p| f64::from(p) / 100.0);
        FirstPass { brackets: Brackets::around(&shares, sample), frequent: Arc::new(Frequent::of(sample)) }
    }

    fn begin(&self) -> FirstShare {
        FirstShare {
            blocks: Vec::new(),
            bracketed: self.brackets.begin(),
            hashed: HashCounters::begin(&self.frequent),
        }
    }

    pub(crate) fn findings(&self, shares: impl IntoIterator<Item = Share>) -> FirstFindings {
        let mut blocks = Vec::new();
        let mut bracketed = self.brackets.begin();
        let mut hashed = Vec::new();
        for share in shares {
            let Share::First(share) = share else { continue };
            blocks.extend(share.blocks);
            bracketed.merge(share.bracketed);
            hashed.push(share.hashed);
        }
        let hashed = HashCounters::total(&self.frequent, &hashed);
        FirstFindings { moments: merge_blocks(blocks), bracketed, hashed }
    }
}

impl FirstShare {
    fn add(&mut self, block: u64, values: &[f64]) {
        self.blocks.push((block, Moments::of_block(values)));
        for rows in values.chunks(ROWS) {
            self.bracketed.add(rows);
            self.hashed.add(rows);
        }
    }
}

/// Counts below the thresholds that the first pass has found, and the values of some buckets one by one.
#[derive(Clone)]
pub struct SecondPass {
    counts: CountsBelow,
    partition: Option<Arc<Partition>>,
}

pub struct SecondShare {
    counts: CountsBelow,
    sender: Option<Sender>,
}

impl SecondPass {
    pub(crate) fn new(thresholds: Vec<f64>, hashed: &Hashed, round: Option<Round>) -> SecondPass {
        let partition = round.map(|round| Arc::new(Partition::new(round, hashed.counted.clone())));
        SecondPass { counts: CountsBelow::new(thresholds), partition }
    }

    fn begin(&self) -> SecondShare {
        SecondShare { counts: self.counts.clone(), sender: self.partition.as_ref().map(Sender::new) }
    }

    pub(crate) fn findings(&self, shares: impl IntoIterator<Item = Share>) -> (CountsBelow, ValueCounts) {
        let mut counts = self.counts.clone();
        for share in shares {
            let Share::Second(share) = share else { continue };
            counts.merge(&share.counts);
            if let Some(sender) = share.sender {
                sender.finish();
            }
        }
        let values = self.partition.as_ref().map_or_else(ValueCounts::default, |partition| partition.count());
        (counts, values)
    }
}

impl SecondShare {
    fn add(&mut self, values: &[f64]) {
        for rows in values.chunks(ROWS) {
            self.counts.add(rows);
            if let Some(sender) = &mut self.sender {
                sender.send(rows);
            }
        }
    }
}
