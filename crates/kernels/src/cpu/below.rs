//! How many values lie strictly below each of some thresholds: what every order statistic, histogram, fence
//! and z-score count comes down to.

use crate::cpu::lanes::LANES;
use crate::cpu::simd::{Instructions, for_each_instruction_set};

/// Thresholds that are counted in one go over the rows: as many counters as fit into vector registers.
const GROUP: usize = 16;

/// Rows that are gone over for each group of thresholds: they stay in the nearest cache meanwhile.
const ROWS: usize = 2_048;

/// Counts of values strictly below ascending thresholds.
///
/// NaN is below nothing and -inf below everything finite; -0.0 equals 0.0.
#[derive(Clone, Debug, PartialEq)]
pub struct CountsBelow {
    /// Ascending and different.
    thresholds: Vec<f64>,
    /// One for each threshold, padded to whole groups.
    counts: Vec<u64>,
}

impl CountsBelow {
    /// Counters at 0 for some thresholds, in any order, none of them NaN.
    pub fn new(mut thresholds: Vec<f64>) -> CountsBelow {
        thresholds.iter_mut().for_each(|t| *t += 0.0);
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        let counts = vec![0; thresholds.len().next_multiple_of(GROUP)];
        CountsBelow { thresholds, counts }
    }

    /// Counts the rows of a block, or of any part of a column.
    pub fn add(&mut self, values: &[f64]) {
        for rows in values.chunks(ROWS) {
            for (thresholds, counts) in self.thresholds.chunks(GROUP).zip(self.counts.as_chunks_mut().0) {
                count_group(rows, &group(thresholds), counts);
            }
        }
    }

    /// Ascending and different.
    pub(crate) fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// Adds values counted between thresholds: those below the first, those from there to the second and so on.
    pub(crate) fn add_bins(&mut self, bins: &[u64]) {
        let mut below = 0;
        for (count, bin) in self.counts.iter_mut().zip(bins).take(self.thresholds.len()) {
            below += bin;
            *count += below;
        }
    }

    /// Adds the counts of other rows, taken with the same thresholds.
    pub fn merge(&mut self, other: &CountsBelow) {
        debug_assert_eq!(self.thresholds, other.thresholds, "counts of other thresholds");
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The count at a threshold; None for a number that is no threshold.
    pub fn below(&self, threshold: f64) -> Option<u64> {
        let place = self.thresholds.binary_search_by(|t| t.total_cmp(&(threshold + 0.0))).ok()?;
        Some(self.counts[place])
    }

    /// Each threshold with its count, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (f64, u64)> {
        self.thresholds.iter().copied().zip(self.counts.iter().copied())
    }
}

/// A whole group: what is missing is filled with NaN, below which there is nothing.
fn group(thresholds: &[f64]) -> [f64; GROUP] {
    std::array::from_fn(|i| thresholds.get(i).copied().unwrap_or(f64::NAN))
}

/// Adds, for each threshold, how many rows lie below it.
fn count_group(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64; GROUP]) {
    #[cfg(target_arch = "x86_64")]
    if Instructions::in_use() == Instructions::Avx512 {
        // SAFETY: the processor has the instructions.
        return unsafe { avx512::count_group(rows, thresholds, counts) };
    }
    count_group_in_lanes(rows, thresholds, counts);
}

for_each_instruction_set! {
    fn count_group_in_lanes(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64; GROUP])
        = count_group_portable;
}

#[inline(always)]
fn count_group_portable(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64; GROUP]) {
    const AT_ONCE: usize = 4;
    let (lane_rows, rest) = rows.as_chunks::<LANES>();
    for (thresholds, counts) in
        thresholds.as_chunks::<AT_ONCE>().0.iter().zip(counts.as_chunks_mut::<AT_ONCE>().0)
    {
        let mut below = [[0u64; LANES]; AT_ONCE];
        for row in lane_rows {
            for (below, threshold) in below.iter_mut().zip(thresholds) {
                for lane in 0..LANES {
                    below[lane] += u64::from(row[lane] < *threshold);
                }
            }
        }
        for ((count, below), threshold) in counts.iter_mut().zip(below).zip(thresholds) {
            *count += below.iter().sum::<u64>();
            *count += rest.iter().filter(|x| *x < threshold).count() as u64;
        }
    }
}

/// The intervals [from, to) whose values are gathered, apart from each other and ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Toggles {
    intervals: Vec<(f64, f64)>,
}

impl Toggles {
    pub fn new(intervals: Vec<(f64, f64)>) -> Toggles {
        Toggles { intervals }
    }

    pub fn intervals(&self) -> &[(f64, f64)] {
        &self.intervals
    }

    /// Appends the rows that lie inside.
    pub fn gather(&self, values: &[f64], gathered: &mut Vec<f64>) {
        if self.intervals.is_empty() {
            return;
        }
        for rows in values.chunks(ROWS) {
            let before = gathered.len();
            // Every row is written, and kept by moving on only where it lies inside: no branch to mispredict.
            gathered.resize(before + rows.len() + LANES, 0.0);
            let kept = gather(rows, &self.intervals, &mut gathered[before..]);
            gathered.truncate(before + kept);
        }
    }
}

/// Writes the rows that lie in an interval to the front of `out`, which is [`LANES`] longer than `rows`; returns how
/// many they are.
fn gather(rows: &[f64], intervals: &[(f64, f64)], out: &mut [f64]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if Instructions::in_use() == Instructions::Avx512 {
        // SAFETY: the processor has the instructions.
        return unsafe { avx512::gather(rows, intervals, out) };
    }
    let mut inside = [0u64; ROWS];
    let inside = &mut inside[..rows.len()];
    for &(from, to) in intervals {
        mark_inside(rows, from, to, inside);
    }
    let mut end = 0;
    for (x, inside) in rows.iter().zip(inside) {
        out[end] = *x;
        end += *inside as usize;
    }
    end
}

for_each_instruction_set! {
    /// Sets a row's mark to 1 where it lies in [from, to).
    fn mark_inside(rows: &[f64], from: f64, to: f64, inside: &mut [u64]) = mark_inside_portable;
}

#[inline(always)]
fn mark_inside_portable(rows: &[f64], from: f64, to: f64, inside: &mut [u64]) {
    for (mark, x) in inside.iter_mut().zip(rows) {
        *mark |= u64::from((*x >= from) & (*x < to));
    }
}

/// The same with eight comparisons to a mask at a time.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{GROUP, LANES};
    use crate::cpu::lanes::padded;

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,popcnt")]
    pub fn count_group(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64; GROUP]) {
        let one = _mm512_set1_epi64(1);
        let mut below = [_mm512_setzero_si512(); GROUP];
        let (lane_rows, rest) = rows.as_chunks::<LANES>();
        let mut add = |x: __m512d| {
            for (below, threshold) in below.iter_mut().zip(thresholds) {
                let mask = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(x, _mm512_set1_pd(*threshold));
                *below = _mm512_mask_add_epi64(*below, mask, *below, one);
            }
        };
        for row in lane_rows {
            // SAFETY: a row has eight numbers.
            add(unsafe { _mm512_loadu_pd(row.as_ptr()) });
        }
        if let Some(last) = padded(rest) {
            // SAFETY: as above.
            add(unsafe { _mm512_loadu_pd(last.as_ptr()) });
        }
        for (count, below) in counts.iter_mut().zip(below) {
            *count += _mm512_reduce_add_epi64(below) as u64;
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,popcnt")]
    pub fn gather(rows: &[f64], intervals: &[(f64, f64)], out: &mut [f64]) -> usize {
        assert!(out.len() >= rows.len() + LANES, "what is gathered has room for whole vectors");
        let mut end = 0;
        let (lane_rows, rest) = rows.as_chunks::<LANES>();
        let mut add = |x: __m512d| {
            let mut inside = 0;
            for (from, to) in intervals {
                let above = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(x, _mm512_set1_pd(*from));
                inside |= _mm512_mask_cmp_pd_mask::<_CMP_LT_OQ>(above, x, _mm512_set1_pd(*to));
            }
            // Compressed in a register and stored whole: storing while compressing is slow on some processors.
            // SAFETY: `end` is at most the number of rows before, and `out` is a vector longer than all rows.
            unsafe { _mm512_storeu_pd(out.as_mut_ptr().add(end), _mm512_maskz_compress_pd(inside, x)) };
            end += inside.count_ones() as usize;
        };
        for row in lane_rows {
            // SAFETY: a row has eight numbers.
            add(unsafe { _mm512_loadu_pd(row.as_ptr()) });
        }
        if let Some(last) = padded(rest) {
            // SAFETY: as above.
            add(unsafe { _mm512_loadu_pd(last.as_ptr()) });
        }
        end
    }
}
