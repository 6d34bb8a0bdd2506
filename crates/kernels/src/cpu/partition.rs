//! Exact counts of every different value, by hash partitions small enough for the cache.
//!
//! Values are sent to parts by their hash, all equal ones to the same part, and each part is counted in a small
//! table. How many values each part gets is known beforehand from the hash counters of the first pass, so that they
//! go to their places at once. What does not fit into the memory that is allowed is left for another round over the
//! column.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::cpu::hash::{BUCKETS, Frequent, Tally, ValueCounts, bucket_of, hash_of};
use crate::cpu::simd::{Instructions, for_each_instruction_set};
use crate::huge_pages::zeroed;

/// Values of a part, about: its table then fits into the second cache.
const PART_VALUES: u64 = 1 << 12;

/// Parts of a round, about: more would not leave room in the cache for the lines that are being filled.
const PARTS: u64 = 1 << 12;

/// Values of one part that are sent off together: one cache line.
const LINE: usize = 8;

/// Buckets up to this many are few.
const FEW: usize = 4;

/// Rows are sifted where at most one bucket in so many takes part.
const SIFTED: usize = 4;

/// Rows that are marked or sifted in one go.
const ROWS: usize = 2_048;

/// Hash buckets that are counted in one round, and how they are grouped into parts.
#[derive(Clone, Debug)]
pub struct Round {
    /// The part of each bucket; one behind the last part for buckets that take no part in this round.
    parts: Vec<u32>,
    /// The buckets, where they are so few that rows are better compared with each.
    few: Vec<u64>,
    /// A mark for each bucket that takes part, where most do not: rows are then sifted before they are sent.
    sieve: Option<Box<[u8; BUCKETS]>>,
    /// Where each part begins among all values of the round; one more than there are parts.
    starts: Vec<usize>,
}

impl Round {
    /// Groups buckets into rounds of at most `capacity` values each (but at least one bucket), going by how many
    /// values each bucket holds; buckets that are not wanted are left out.
    pub fn plan(buckets: &[u64], capacity: u64, wanted: impl Fn(usize) -> bool) -> Vec<Round> {
        let mut rounds = Vec::new();
        let mut from = 0;
        while from < BUCKETS {
            let mut values = 0;
            let mut to = from;
            while to < BUCKETS && (to == from || values + count(buckets, to, &wanted) <= capacity) {
                values += count(buckets, to, &wanted);
                to += 1;
            }
            if values > 0 {
                rounds.push(Round::of(buckets, from..to, &wanted));
            }
            from = to;
        }
        rounds
    }

    fn of(buckets: &[u64], range: Range<usize>, wanted: &impl Fn(usize) -> bool) -> Round {
        let mut parts = vec![u32::MAX; BUCKETS];
        let mut starts = vec![0];
        let (mut values, mut end) = (0, 0);
        let all: u64 = range.clone().map(|bucket| count(buckets, bucket, wanted)).sum();
        let part_values = PART_VALUES.max(all / PARTS);
        for bucket in range {
            let more = count(buckets, bucket, wanted);
            if more == 0 {
                continue;
            }
            if values > 0 && values + more > part_values {
                starts.push(end);
                values = 0;
            }
            parts[bucket] = (starts.len() - 1) as u32;
            values += more;
            end += more as usize;
        }
        starts.push(end);
        let taking: Vec<u64> =
            (0..).zip(&parts).filter(|(_, part)| **part != u32::MAX).map(|(b, _)| b).collect();
        let behind = (starts.len() - 1) as u32;
        parts.iter_mut().for_each(|part| *part = (*part).min(behind));
        let sieve = (taking.len() <= BUCKETS / SIFTED).then(|| {
            let mut marks = Box::new([0; BUCKETS]);
            taking.iter().for_each(|bucket| marks[*bucket as usize] = 1);
            marks
        });
        let few = if taking.len() <= FEW { taking } else { Vec::new() };
        Round { parts, few, sieve, starts }
    }

    /// A mark for each bucket: 1 where it takes part.
    pub(crate) fn marks(&self) -> Vec<u8> {
        let behind = (self.starts.len() - 1) as u32;
        self.parts.iter().map(|part| u8::from(*part != behind)).collect()
    }

    /// Values that the round holds.
    pub fn values(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }
}

fn count(buckets: &[u64], bucket: usize, wanted: &impl Fn(usize) -> bool) -> u64 {
    if wanted(bucket) { buckets[bucket] } else { 0 }
}

/// The values of a round, each at a place of its part; filled by many workers at once.
pub struct Partition {
    pub(crate) round: Round,
    /// Values that are counted already.
    pub(crate) counted: Arc<Frequent>,
    places: Vec<AtomicU64>,
    /// Places taken in each part, counted from the beginning of all.
    next: Vec<AtomicUsize>,
}

/// One worker's hand in filling a partition.
pub struct Sender {
    partition: Arc<Partition>,
    lines: Vec<[u64; LINE]>,
    filled: Vec<u8>,
}

impl Partition {
    pub(crate) fn new(round: Round, counted: Arc<Frequent>) -> Partition {
        let next = round.starts.iter().map(|start| AtomicUsize::new(*start)).collect();
        let places = zeroed(round.values());
        Partition { round, counted, places, next }
    }

    /// Counts every part, once all workers have sent what they have.
    pub(crate) fn count(&self) -> ValueCounts {
        let parts = self.round.starts.par_windows(2).with_min_len(16);
        let counted = parts.map_init(Tally::default, |tally, part| {
            self.places[part[0]..part[1]].iter().for_each(|place| tally.add(place.load(Ordering::Relaxed)));
            tally.drain()
        });
        counted.reduce(ValueCounts::default, ValueCounts::plus)
    }

    fn take(&self, part: usize, values: &[u64]) {
        let from = self.next[part].fetch_add(values.len(), Ordering::Relaxed);
        // A column that changes while it is read could bring more values than were counted.
        let end = self.round.starts[part + 1];
        for (place, bits) in self.places[from.min(end)..end].iter().zip(values) {
            place.store(*bits, Ordering::Relaxed);
        }
    }
}

impl Sender {
    pub fn new(partition: &Arc<Partition>) -> Sender {
        // One more than there are parts, for what takes no part.
        let parts = partition.round.starts.len();
        Sender { partition: partition.clone(), lines: vec![[0; LINE]; parts], filled: vec![0; parts] }
    }

    /// Sends the finite values of some rows that take part in the round.
    pub fn send(&mut self, values: &[f64]) {
        let partition = self.partition.clone();
        let few = &partition.round.few;
        if few.is_empty() {
            match &partition.round.sieve {
                Some(marks) => values.chunks(ROWS).for_each(|rows| self.send_sifted(rows, marks)),
                None => values.iter().for_each(|x| self.send_one(*x)),
            }
            return;
        }
        let few: [u64; FEW] = std::array::from_fn(|i| few[i.min(few.len() - 1)]);
        let mut kept = [0.0; ROWS];
        for rows in values.chunks(ROWS) {
            let count = rows_in_buckets(rows, &few, &mut kept);
            kept[..count].iter().for_each(|x| self.send_one(*x));
        }
    }

    fn send_sifted(&mut self, rows: &[f64], marks: &[u8; BUCKETS]) {
        let mut kept = [0.0; ROWS];
        let mut end = 0;
        for x in rows {
            kept[end] = *x;
            end += usize::from(marks[bucket_of(hash_of(*x))]);
        }
        kept[..end].iter().for_each(|x| self.send_one(*x));
    }

    #[inline(always)]
    fn send_one(&mut self, x: f64) {
        let (hash, bits) = (hash_of(x), (x + 0.0).to_bits());
        // What takes no part is written to a line that never fills: which rows do follows no pattern, so that a
        // branch would often be mispredicted.
        let part = self.partition.round.parts[bucket_of(hash)] as usize;
        let keep = (part != self.filled.len() - 1)
            & (x.abs() <= f64::MAX)
            & !self.partition.counted.holds(bits, hash);
        let filled = &mut self.filled[part];
        self.lines[part][usize::from(*filled) % LINE] = bits;
        *filled += u8::from(keep);
        if usize::from(*filled) == LINE {
            *filled = 0;
            self.partition.take(part, &self.lines[part]);
        }
    }

    /// Sends what is left.
    pub fn finish(self) {
        let parts = self.filled.len() - 1;
        for (part, (line, filled)) in self.lines.iter().zip(&self.filled).enumerate().take(parts) {
            self.partition.take(part, &line[..usize::from(*filled)]);
        }
    }
}

/// Writes the rows that fall into one of the buckets, and perhaps some beside them, to the front of `out`; returns how many
/// they are.
fn rows_in_buckets(rows: &[f64], buckets: &[u64; FEW], out: &mut [f64; ROWS]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if Instructions::in_use() == Instructions::Avx512 {
        // SAFETY: the processor has the instructions.
        return unsafe { avx512::rows_in_buckets(rows, buckets, out) };
    }
    let mut marks = [0; ROWS];
    let marks = &mut marks[..rows.len()];
    mark_buckets(rows, buckets, marks);
    let mut end = 0;
    for (rows, marks) in rows.chunks(LINE).zip(marks.chunks(LINE)) {
        // Hardly any row takes part.
        if marks.iter().fold(0, |any, mark| any | mark) != 0 {
            out[end..end + rows.len()].copy_from_slice(rows);
            end += rows.len();
        }
    }
    end
}

for_each_instruction_set! {
    /// Sets a row's mark to 1 where it falls into one of the buckets.
    fn mark_buckets(rows: &[f64], buckets: &[u64; FEW], marks: &mut [u64]) = mark_buckets_portable;
}

#[inline(always)]
fn mark_buckets_portable(rows: &[f64], buckets: &[u64; FEW], marks: &mut [u64]) {
    for bucket in buckets {
        for (mark, x) in marks.iter_mut().zip(rows) {
            *mark |= u64::from(bucket_of(hash_of(*x)) as u64 == *bucket);
        }
    }
}

/// The same with eight hashes at a time.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{FEW, LINE, ROWS};
    use crate::cpu::hash::avx512::buckets_of;

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn rows_in_buckets(rows: &[f64], buckets: &[u64; FEW], out: &mut [f64; ROWS]) -> usize {
        let wanted = buckets.map(|bucket| _mm512_set1_epi64(bucket as i64));
        let mut end = 0;
        let (lane_rows, rest) = rows.as_chunks::<LINE>();
        for row in lane_rows {
            let found = buckets_of(row);
            let any = wanted.iter().fold(0, |any, wanted| any | _mm512_cmpeq_epi64_mask(found, *wanted));
            // Hardly any row takes part.
            if any != 0 {
                out[end..end + LINE].copy_from_slice(row);
                end += LINE;
            }
        }
        out[end..end + rest.len()].copy_from_slice(rest);
        end + rest.len()
    }
}
