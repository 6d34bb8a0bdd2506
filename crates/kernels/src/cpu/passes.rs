//! Passes over a column: what is looked for, and the share of it that each worker fills block by block.

use std::sync::Arc;

use crate::brackets::{Bracketed, Brackets};
use crate::cpu::below::CountsBelow;
use crate::cpu::hash::{Frequent, HashCounters, Hashed, ValueCounts};
use crate::cpu::partition::{Partition, Round, Sender};
use crate::cpu::sample_sort::{Cuts, Parts, Sorter};
use crate::cpu::scan::BlockScan;
use crate::moments::{Moments, merge_blocks};
use crate::quantile::PERCENTILES;
use crate::sample::{Sample, Sampler};

/// Rows that all parts of a pass go over while they lie in the nearest cache.
const ROWS: usize = 2_048;

/// One going over all blocks of a column.
#[derive(Clone)]
pub enum Pass {
    /// Nothing but moments.
    Moments,
    /// Moments, and a sample of a column of so many rows.
    Survey(u64),
    First(FirstPass),
    /// For order statistics that the first pass missed.
    Missed(Brackets),
    Second(SecondPass),
    /// All at once, of a column that is held in memory.
    Only(OnlyPass),
}

/// What one worker has of a pass.
pub enum Share {
    Moments(Vec<(u64, Moments)>),
    Survey(SurveyShare),
    First(FirstShare),
    Missed(Bracketed),
    Second(SecondShare),
    Only(OnlyShare),
}

/// A column that can be gone over with passes, any number of times, on whatever device.
pub trait Passes: Sync {
    type Error: Send;

    /// Missing ones included.
    fn rows(&self) -> u64;

    /// Goes over all blocks; the shares together hold what the pass found.
    ///
    /// # Errors
    /// Whatever stops the column from being gone over.
    fn go_over(&self, pass: &Pass) -> Result<Vec<Share>, Self::Error>;

    /// Its rows, where a pass may hold the values of all of them in this host's memory.
    fn rows_to_hold(&self) -> Option<u64>;
}

/// On this host's processors.
impl<C: BlockScan> Passes for C {
    type Error = C::Error;

    fn rows(&self) -> u64 {
        BlockScan::rows(self)
    }

    fn go_over(&self, pass: &Pass) -> Result<Vec<Share>, C::Error> {
        self.scan(|| pass.begin(), Share::add)
    }

    fn rows_to_hold(&self) -> Option<u64> {
        Some(BlockScan::rows(self))
    }
}

impl Pass {
    pub fn begin(&self) -> Share {
        match self {
            Pass::Moments => Share::Moments(Vec::new()),
            Pass::Survey(rows) => {
                Share::Survey(SurveyShare { blocks: Vec::new(), sampler: Sampler::new(*rows) })
            }
            Pass::First(pass) => Share::First(pass.begin()),
            Pass::Missed(brackets) => Share::Missed(brackets.begin()),
            Pass::Second(pass) => Share::Second(pass.begin()),
            Pass::Only(pass) => Share::Only(pass.begin()),
        }
    }
}

impl Share {
    /// Takes block number `block`, whole.
    pub fn add(&mut self, block: u64, values: &[f64]) {
        match self {
            Share::Moments(blocks) => blocks.push((block, Moments::of_block(values))),
            Share::Survey(share) => {
                share.blocks.push((block, Moments::of_block(values)));
                share.sampler.add(block, values);
            }
            Share::First(share) => share.add(block, values),
            Share::Missed(bracketed) => bracketed.add(values),
            Share::Second(share) => share.add(values),
            Share::Only(share) => share.add(block, values),
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
            Share::Survey(share) => share.blocks.len() * size_of::<(u64, Moments)>(),
            Share::First(share) => share.blocks.len() * size_of::<(u64, Moments)>() + share.bracketed.bytes(),
            Share::Missed(bracketed) => bracketed.bytes(),
            Share::Second(_) => 0,
            Share::Only(share) => share.blocks.len() * size_of::<(u64, Moments)>() + share.sorter.bytes(),
        }
    }
}

/// Block moments and sampled values.
pub struct SurveyShare {
    pub(crate) blocks: Vec<(u64, Moments)>,
    pub(crate) sampler: Sampler,
}

impl SurveyShare {
    /// The moments and the sample of a column of `rows` rows, from all shares of its survey.
    pub(crate) fn findings(rows: u64, shares: Vec<Share>) -> (Moments, Sample) {
        let (mut blocks, mut sampler) = (Vec::new(), Sampler::new(rows));
        for share in shares {
            let Share::Survey(share) = share else { continue };
            blocks.extend(share.blocks);
            sampler.merge(share.sampler);
        }
        (merge_blocks(blocks), sampler.finish())
    }
}

/// Moments, unless they are known, order statistics, and counters for the mode.
#[derive(Clone)]
pub struct FirstPass {
    /// Whether moments are wanted: not of a column whose survey has them.
    pub(crate) moments: bool,
    pub(crate) brackets: Brackets,
    pub(crate) frequent: Arc<Frequent>,
}

/// Block moments, counts and candidates for order statistics, and hash counters.
pub struct FirstShare {
    pub(crate) moments: bool,
    pub(crate) blocks: Vec<(u64, Moments)>,
    pub(crate) bracketed: Bracketed,
    pub(crate) hashed: HashCounters,
}

/// All shares of a first pass together.
pub(crate) struct FirstFindings {
    pub moments: Moments,
    pub bracketed: Bracketed,
    pub hashed: Hashed,
}

impl FirstPass {
    /// Drawn up by a sample of the column.
    pub(crate) fn new(sample: &Sample, moments: bool) -> FirstPass {
        let shares = PERCENTILES.map(|p| f64::from(p) / 100.0);
        let brackets = Brackets::around(&shares, sample);
        FirstPass { moments, brackets, frequent: Arc::new(Frequent::of(sample)) }
    }

    fn begin(&self) -> FirstShare {
        FirstShare {
            moments: self.moments,
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
        if self.moments {
            self.blocks.push((block, Moments::of_block(values)));
        }
        for rows in values.chunks(ROWS) {
            self.bracketed.add(rows);
            self.hashed.add(rows);
        }
    }
}

/// Counts below the thresholds that the first pass has found, and the values of some buckets one by one.
#[derive(Clone)]
pub struct SecondPass {
    pub(crate) counts: CountsBelow,
    pub(crate) partition: Option<Arc<Partition>>,
}

pub struct SecondShare {
    pub(crate) counts: CountsBelow,
    sender: Option<Sender>,
    /// What a device counted by itself of the values that would have been sent.
    tallied: Option<ValueCounts>,
}

impl SecondPass {
    pub(crate) fn new(thresholds: Vec<f64>, hashed: &Hashed, round: Option<Round>) -> SecondPass {
        let partition = round.map(|round| Arc::new(Partition::new(round, hashed.counted.clone())));
        SecondPass { counts: CountsBelow::new(thresholds), partition }
    }

    fn begin(&self) -> SecondShare {
        let sender = self.partition.as_ref().map(Sender::new);
        SecondShare { counts: self.counts.clone(), sender, tallied: None }
    }

    pub(crate) fn findings(&self, shares: impl IntoIterator<Item = Share>) -> (CountsBelow, ValueCounts) {
        let mut counts = self.counts.clone();
        let mut tallied = None;
        for share in shares {
            let Share::Second(share) = share else { continue };
            counts.merge(&share.counts);
            tallied = tallied.or(share.tallied);
            if let Some(sender) = share.sender {
                sender.finish();
            }
        }
        let sent =
            || self.partition.as_ref().map_or_else(ValueCounts::default, |partition| partition.count());
        (counts, tallied.unwrap_or_else(sent))
    }
}

impl SecondShare {
    /// The only share of a pass, of what a device counted.
    pub(crate) fn of_device(counts: CountsBelow, tallied: ValueCounts) -> SecondShare {
        SecondShare { counts, sender: None, tallied: Some(tallied) }
    }

    fn add(&mut self, values: &[f64]) {
        for rows in values.chunks(ROWS) {
            self.counts.add(rows);
            if let Some(sender) = &mut self.sender {
                sender.send(rows);
            }
        }
    }
}

/// Moments, unless they are known, and every value by the part of the line of numbers that it lies in.
#[derive(Clone)]
pub struct OnlyPass {
    moments: bool,
    cuts: Arc<Cuts>,
}

pub struct OnlyShare {
    moments: bool,
    blocks: Vec<(u64, Moments)>,
    sorter: Sorter,
}

impl OnlyPass {
    /// For a column of so many rows.
    pub(crate) fn new(rows: u64, sample: &Sample, moments: bool) -> OnlyPass {
        OnlyPass { moments, cuts: Arc::new(Cuts::of(rows, sample)) }
    }

    fn begin(&self) -> OnlyShare {
        OnlyShare { moments: self.moments, blocks: Vec::new(), sorter: Sorter::begin(&self.cuts) }
    }

    pub(crate) fn findings(&self, shares: impl IntoIterator<Item = Share>) -> (Moments, Parts) {
        let (mut blocks, mut sorters) = (Vec::new(), Vec::new());
        for share in shares {
            let Share::Only(share) = share else { continue };
            blocks.extend(share.blocks);
            sorters.push(share.sorter);
        }
        (merge_blocks(blocks), Parts::new(&self.cuts, sorters))
    }
}

impl OnlyShare {
    fn add(&mut self, block: u64, values: &[f64]) {
        if self.moments {
            self.blocks.push((block, Moments::of_block(values)));
        }
        self.sorter.add(values);
    }
}
