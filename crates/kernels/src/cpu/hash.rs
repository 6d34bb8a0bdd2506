//! Hash buckets: how many values fall into each, which bounds from above how often any value occurs, beside exact
//! counts of the values that a sample says are frequent.

use std::sync::Arc;

use crate::cpu::simd::{Instructions, for_each_instruction_set};
use crate::key::value_of;
use crate::sample::Sample;

/// Bits of a bucket's number.
const BITS: u32 = 15;

/// Buckets that values are counted in.
pub(crate) const BUCKETS: usize = 1 << BITS;

/// Rows after which counters of 32 bits are emptied into counters of 64.
const ROWS_IN_32_BITS: u64 = 1 << 31;

/// Knuth's multiplicative hash: 2^64 over the golden ratio.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// A 64-bit hash whose high bits are the good ones; -0.0 has that of 0.0.
#[inline(always)]
pub(crate) fn hash_of(x: f64) -> u64 {
    hash_of_bits((x + 0.0).to_bits())
}

/// Multiplying carries information upwards only, and decimal fractions differ from each other in high bits: these are
/// folded onto the low ones first.
#[inline(always)]
fn hash_of_bits(bits: u64) -> u64 {
    (bits ^ (bits >> 32)).wrapping_mul(FACTOR)
}

/// The bucket of a hash.
#[inline(always)]
pub(crate) fn bucket_of(hash: u64) -> usize {
    (hash >> (64 - BITS)) as usize
}

/// Sets of values that are counted by themselves, and values in each.
const SETS: usize = 1 << 11;
const WAYS: usize = 4;

/// Values that a sample says are frequent, each in one of a few places that its hash leads to.
#[derive(Clone, Debug)]
pub(crate) struct Frequent {
    /// Bits of values; [`FREE`] where there is none.
    places: Box<[[u64; WAYS]; SETS]>,
}

impl Frequent {
    /// Picks values out of ascending keys of a sample, those with most copies first.
    pub fn of(sample: &Sample) -> Frequent {
        let copies = sample.keys().chunk_by(|a, b| a == b);
        let mut values: Vec<(usize, u64)> =
            copies.map(|c| (c.len(), c[0])).filter(|(copies, _)| *copies > 1).collect();
        values.sort_unstable_by_key(|(copies, key)| (std::cmp::Reverse(*copies), *key));
        let mut places = boxed(vec![[FREE; WAYS]; SETS]);
        for (_, key) in values {
            let bits = value_of(key).to_bits();
            let set = &mut places[set_of(hash_of_bits(bits))];
            if let Some(free) = set.iter_mut().find(|place| **place == FREE) {
                *free = bits;
            }
        }
        Frequent { places }
    }

    /// Bits of values by set; those of a NaN where there is none.
    pub(crate) fn places(&self) -> &[u64] {
        self.places.as_flattened()
    }

    fn iter(&self) -> impl Iterator<Item = u64> {
        self.places.iter().flatten().copied()
    }

    /// Whether a value is counted by itself.
    #[inline(always)]
    pub fn holds(&self, bits: u64, hash: u64) -> bool {
        matching(&self.places[set_of(hash)], bits) != 0
    }
}

/// A bit for each place that holds a value.
#[inline(always)]
fn matching(set: &[u64; WAYS], bits: u64) -> u32 {
    set.iter().enumerate().fold(0, |found, (way, place)| found | u32::from(*place == bits) << way)
}

/// The set of a hash: neighbouring buckets share one.
#[inline(always)]
fn set_of(hash: u64) -> usize {
    (hash >> (64 - SETS.ilog2())) as usize
}

/// How many finite values fall into each bucket, but for those that are counted by themselves.
#[derive(Debug)]
pub struct HashCounters {
    frequent: Arc<Frequent>,
    /// Of each frequent value, then of each bucket, then of what is not finite.
    narrow: Box<[u32; COUNTERS]>,
    rows: u64,
    wide: Vec<u64>,
}

const COUNTERS: usize = WAYS * SETS + BUCKETS + 1;

/// What all workers counted.
#[derive(Debug)]
pub(crate) struct Hashed {
    /// Exact, but for the frequent values.
    pub buckets: Vec<u64>,
    /// The values that were counted by themselves, each with its exact frequency.
    pub frequent: Vec<(f64, u64)>,
    pub counted: Arc<Frequent>,
}

/// A boxed array of exactly that many elements.
fn boxed<T: Copy, const N: usize>(elements: Vec<T>) -> Box<[T; N]> {
    elements.into_boxed_slice().try_into().unwrap_or_else(|_| unreachable!("made with that length"))
}

impl HashCounters {
    pub(crate) fn begin(frequent: &Arc<Frequent>) -> HashCounters {
        // Zeroed by the allocator, so that counters that are never used cost nothing.
        HashCounters {
            frequent: frequent.clone(),
            narrow: boxed(vec![0; COUNTERS]),
            rows: 0,
            wide: Vec::new(),
        }
    }

    /// What a device counted: of each frequent value, then of each bucket.
    pub(crate) fn of_device(frequent: &Arc<Frequent>, counted: &[u64]) -> HashCounters {
        let mut wide = counted.to_vec();
        wide.resize(COUNTERS, 0);
        HashCounters { wide, ..HashCounters::begin(frequent) }
    }

    /// Counts rows.
    pub fn add(&mut self, values: &[f64]) {
        self.rows += values.len() as u64;
        if self.rows > ROWS_IN_32_BITS {
            self.widen();
            self.rows = values.len() as u64;
        }
        count_rows(values, &self.frequent.places, &mut self.narrow);
    }

    fn widen(&mut self) {
        self.wide.resize(COUNTERS, 0);
        for (wide, narrow) in self.wide.iter_mut().zip(self.narrow.iter()) {
            *wide += u64::from(*narrow);
        }
        self.narrow.fill(0);
    }

    /// The sums over workers that counted the same frequent values.
    pub(crate) fn total(frequent: &Arc<Frequent>, workers: &[HashCounters]) -> Hashed {
        let mut total = vec![0; COUNTERS];
        for worker in workers {
            for (total, count) in total.iter_mut().zip(worker.narrow.iter()) {
                *total += u64::from(*count);
            }
            for (total, count) in total.iter_mut().zip(&worker.wide) {
                *total += count;
            }
        }
        total.truncate(WAYS * SETS + BUCKETS);
        let buckets = total.split_off(WAYS * SETS);
        let counted = frequent.iter().zip(total).filter(|(bits, _)| *bits != FREE);
        let counts = counted.map(|(bits, count)| (f64::from_bits(bits), count)).collect();
        Hashed { buckets, frequent: counts, counted: frequent.clone() }
    }
}

/// Counts each row in its own counter or in that of its bucket.
fn count_rows(values: &[f64], places: &[[u64; WAYS]; SETS], counters: &mut [u32; COUNTERS]) {
    #[cfg(target_arch = "x86_64")]
    if Instructions::in_use() == Instructions::Avx512 {
        // SAFETY: the processor has the instructions.
        return unsafe { avx512::count_rows(values, places, counters) };
    }
    count_rows_in_turn(values, places, counters);
}

for_each_instruction_set! {
    fn count_rows_in_turn(values: &[f64], places: &[[u64; WAYS]; SETS], counters: &mut [u32; COUNTERS])
        = count_rows_portable;
}

#[inline(always)]
fn count_rows_portable(values: &[f64], places: &[[u64; WAYS]; SETS], counters: &mut [u32; COUNTERS]) {
    for x in values {
        let (hash, bits) = (hash_of(*x), (x + 0.0).to_bits());
        let set = set_of(hash);
        let found = matching(&places[set], bits);
        let bucket = if x.abs() <= f64::MAX { bucket_of(hash) } else { BUCKETS };
        let own = WAYS * set + found.trailing_zeros() as usize % WAYS;
        // Chosen without a branch, since which of both it is follows no pattern.
        counters[std::hint::select_unpredictable(found != 0, own, WAYS * SETS + bucket)] += 1;
    }
}

/// The same with eight hashes and four comparisons at a time.
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512 {
    use std::arch::x86_64::*;

    use super::{BITS, BUCKETS, COUNTERS, FACTOR, SETS, WAYS, count_rows_portable};

    const LANES: usize = 8;

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub fn count_rows(values: &[f64], places: &[[u64; WAYS]; SETS], counters: &mut [u32; COUNTERS]) {
        let (lane_rows, rest) = values.as_chunks::<LANES>();
        for row in lane_rows {
            let (bits, sets, buckets) = hashed(row);
            for lane in 0..LANES {
                let set = sets[lane] as usize % SETS;
                // SAFETY: a set is four words.
                let held = unsafe { _mm256_loadu_si256(places[set].as_ptr().cast()) };
                let found = _mm256_cmpeq_epi64_mask(held, _mm256_set1_epi64x(bits[lane] as i64));
                let own = WAYS * set + found.trailing_zeros() as usize % WAYS;
                let bucket = WAYS * SETS + (buckets[lane] as usize).min(BUCKETS);
                counters[std::hint::select_unpredictable(found != 0, own, bucket)] += 1;
            }
        }
        count_rows_portable(rest, places, counters);
    }

    /// The bucket of each row's hash, whatever the row is.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2")]
    #[inline]
    pub fn buckets_of(row: &[f64; LANES]) -> __m512i {
        // SAFETY: a row has eight numbers.
        let x = unsafe { _mm512_add_pd(_mm512_loadu_pd(row.as_ptr()), _mm512_setzero_pd()) };
        let word = _mm512_castpd_si512(x);
        let folded = _mm512_xor_si512(word, _mm512_srli_epi64::<32>(word));
        let hash = _mm512_mullo_epi64(folded, _mm512_set1_epi64(FACTOR as i64));
        _mm512_srli_epi64::<{ 64 - BITS }>(hash)
    }

    /// The bits of each row, and the set and bucket of its hash.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2")]
    #[inline]
    fn hashed(row: &[f64; LANES]) -> ([u64; LANES], [u64; LANES], [u64; LANES]) {
        let ([mut bits, mut sets], mut buckets) = ([[0; LANES]; 2], [0; LANES]);
        // SAFETY: a row has eight numbers, and each array eight words.
        unsafe {
            let x = _mm512_add_pd(_mm512_loadu_pd(row.as_ptr()), _mm512_setzero_pd());
            let word = _mm512_castpd_si512(x);
            let folded = _mm512_xor_si512(word, _mm512_srli_epi64::<32>(word));
            let hash = _mm512_mullo_epi64(folded, _mm512_set1_epi64(FACTOR as i64));
            let finite = _mm512_cmp_pd_mask::<_CMP_LE_OQ>(_mm512_abs_pd(x), _mm512_set1_pd(f64::MAX));
            let bucket = _mm512_srli_epi64::<{ 64 - BITS }>(hash);
            let bucket = _mm512_mask_mov_epi64(_mm512_set1_epi64(BUCKETS as i64), finite, bucket);
            _mm512_storeu_si512(bits.as_mut_ptr().cast(), word);
            _mm512_storeu_si512(sets.as_mut_ptr().cast(), _mm512_srli_epi64::<{ 64 - SETS.ilog2() }>(hash));
            _mm512_storeu_si512(buckets.as_mut_ptr().cast(), bucket);
        }
        (bits, sets, buckets)
    }
}

impl Hashed {
    /// Different frequent values, and the most frequent of them.
    pub fn runs(&self) -> ValueCounts {
        let seen = self.frequent.iter().filter(|(_, count)| *count > 0);
        let each = seen.map(|(value, count)| ValueCounts::of_one(*value, *count));
        each.fold(ValueCounts::default(), ValueCounts::plus)
    }
}

/// A growing table from values to how often they occur, by open addressing.
pub(crate) struct Tally {
    /// Bits of values, [`FREE`] where there is none, and how often each occurs.
    slots: Vec<(u64, u64)>,
    /// The slots that are taken, so that emptying the table costs what filling it did.
    used: Vec<u32>,
}

/// The bits of a NaN, which is no value here.
const FREE: u64 = u64::MAX;

/// Slots that a table begins with.
const SLOTS: usize = 1 << 13;

impl Default for Tally {
    fn default() -> Tally {
        Tally { slots: vec![(FREE, 0); SLOTS], used: Vec::with_capacity(SLOTS / 2) }
    }
}

impl Tally {
    /// Counts one value by its bits, which are not those of -0.0.
    #[inline(always)]
    pub fn add(&mut self, bits: u64) {
        let slot = slot_of(&self.slots, bits);
        if self.slots[slot].0 == FREE {
            self.slots[slot] = (bits, 1);
            self.used.push(slot as u32);
            if self.used.len() * 2 > self.slots.len() {
                self.grow();
            }
        } else {
            self.slots[slot].1 += 1;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let size = self.slots.len() * 2;
        let slots = std::mem::replace(&mut self.slots, vec![(FREE, 0); size]);
        for place in &mut self.used {
            let entry = slots[*place as usize];
            let slot = slot_of(&self.slots, entry.0);
            self.slots[slot] = entry;
            *place = slot as u32;
        }
    }

    /// Different values and the most frequent of them; the table is empty afterwards and keeps its room.
    pub fn drain(&mut self) -> ValueCounts {
        let mut all = ValueCounts { distinct: self.used.len() as u64, mode: None };
        for slot in self.used.drain(..) {
            let (bits, count) = std::mem::replace(&mut self.slots[slot as usize], (FREE, 0));
            // Most values occur no more often than the best so far: a comparison decides.
            if all.mode.is_none_or(|(_, frequency)| count >= frequency) {
                let one = ValueCounts { distinct: 0, mode: Some((f64::from_bits(bits), count)) };
                all = all.plus(one);
            }
        }
        all
    }
}

/// Where a value is, or where it would go.
#[inline(always)]
fn slot_of(slots: &[(u64, u64)], bits: u64) -> usize {
    let mask = slots.len() - 1;
    // Buckets were told apart by the highest bits, so that places are taken from those below.
    let hash = hash_of_bits(bits);
    let mut slot = ((hash ^ (hash >> 32)) >> 4) as usize & mask;
    while slots[slot].0 != FREE && slots[slot].0 != bits {
        slot = (slot + 1) & mask;
    }
    slot
}

/// How many different values there are, and the most frequent of them, the smallest of ties.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueCounts {
    pub distinct: u64,
    pub mode: Option<(f64, u64)>,
}

impl ValueCounts {
    /// One value that occurs `count` times.
    pub fn of_one(value: f64, count: u64) -> ValueCounts {
        ValueCounts { distinct: 1, mode: Some((value, count)) }
    }

    /// These values and others, none of which are the same.
    pub fn plus(self, other: ValueCounts) -> ValueCounts {
        let mode = match (self.mode, other.mode) {
            (Some(a), Some(b)) if (b.1, a.0) > (a.1, b.0) => Some(b),
            (a, b) => a.or(b),
        };
        ValueCounts { distinct: self.distinct + other.distinct, mode }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equally_frequent_values_the_smallest_is_the_mode() {
        let of = |value, count| ValueCounts::of_one(value, count);
        for (a, b) in [(of(1.0, 3), of(2.0, 3)), (of(2.0, 3), of(1.0, 3)), (of(9.0, 2), of(1.0, 3))] {
            assert_eq!(a.plus(b).mode, Some((1.0, 3)));
        }
        assert_eq!(ValueCounts::default().plus(of(5.0, 1)), of(5.0, 1));
    }

    #[test]
    fn a_tally_grows_counts_on_and_can_be_used_again() {
        let mut tally = Tally::default();
        for _ in 0..2 {
            for i in 0..60_001u64 {
                tally.add(((i % 20_000) as f64 + 0.5).to_bits());
            }
            assert_eq!(tally.drain(), ValueCounts { distinct: 20_000, mode: Some((0.5, 4)) });
        }
        assert_eq!(tally.drain(), ValueCounts::default());
    }

    #[test]
    fn counters_that_would_overflow_are_widened() {
        let frequent = Arc::new(Frequent::of(&Sample::of(&[])));
        let mut counters = HashCounters { rows: ROWS_IN_32_BITS, ..HashCounters::begin(&frequent) };
        counters.narrow[WAYS * SETS + bucket_of(hash_of(2.5))] = u32::MAX;
        counters.add(&[2.5, -0.0, 0.0, f64::NAN]);
        let total = HashCounters::total(&frequent, &[counters]).buckets;
        assert_eq!(total[bucket_of(hash_of(2.5))], u64::from(u32::MAX) + 1);
        assert_eq!(total[bucket_of(hash_of(0.0))], 2);
    }

    #[test]
    fn frequent_values_are_counted_by_themselves_and_not_in_their_buckets() {
        let values: Vec<f64> = (0..9_000).map(|i| if i % 3 == 0 { -0.0 } else { f64::from(i) }).collect();
        let frequent = Arc::new(Frequent::of(&Sample::of(&values)));
        let mut counters = HashCounters::begin(&frequent);
        counters.add(&values);
        let hashed = HashCounters::total(&frequent, &[counters]);
        assert_eq!(hashed.runs().mode, Some((0.0, 3_000)));
        let others = hashed.frequent.iter().map(|(_, count)| count).sum::<u64>() - 3_000;
        assert_eq!(hashed.buckets.iter().sum::<u64>() + others, 6_000);
    }
}
