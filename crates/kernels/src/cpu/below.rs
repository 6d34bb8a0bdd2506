//! How many values lie strictly below each of some thresholds: what every order statistic, histogram, fence
//! and z-score count comes down to.

use crate::cpu::lanes::LANES;
use crate::cpu::simd::{Instructions, for_each_instruction_set};

/// Thresholds that are counted in one go over the rows: as many counters as fit into vector registers.
const GROUP: usize = 16;

/// Thresholds of the last group come in units of so many.
const UNIT: usize = 4;

/// Rows that are gone over for each group of thresholds: they stay in the nearest cache meanwhile.
const ROWS: usize = 2_048;

/// Counts of values strictly below ascending thresholds.
///
/// NaN is below nothing and -inf below everything finite; -0.0 equals 0.0.
#[derive(Clone, Debug, PartialEq)]
pub struct CountsBelow {
    /// Ascending and different.
    thresholds: Vec<f64>,
    /// One for each threshold, padded to whole units.
    counts: Vec<u64>,
}

impl CountsBelow {
    /// Counters at 0 for some thresholds, in any order, none of them NaN.
    pub fn new(mut thresholds: Vec<f64>) -> CountsBelow {
        thresholds.iter_mut().for_each(|t| *t += 0.0);
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        let counts = vec![0; thresholds.len().next_multiple_of(UNIT)];
        CountsBelow { thresholds, counts }
    }

    /// Counts the rows of a block, or of any part of a column.
    pub fn add(&mut self, values: &[f64]) {
        for rows in values.chunks(ROWS) {
            for (thresholds, counts) in self.thresholds.chunks(GROUP).zip(self.counts.chunks_mut(GROUP)) {
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
fn group<const N: usize>(thresholds: &[f64]) -> [f64; N] {
    std::array::from_fn(|i| thresholds.get(i).copied().unwrap_or(f64::NAN))
}

/// Adds, for as many thresholds as there are counts, how many rows lie below each; the counts are whole units.
fn count_group(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64]) {
    #[cfg(target_arch = "x86_64")]
    if Instructions::in_use() == Instructions::Avx512 {
        // SAFETY: the processor has the instructions.
        return unsafe { avx512::count_group(rows, thresholds, counts) };
    }
    count_group_in_lanes(rows, thresholds, counts);
}

for_each_instruction_set! {
    fn count_group_in_lanes(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64])
        = count_group_portable;
}

#[inline(always)]
fn count_group_portable(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64]) {
    let (lane_rows, rest) = rows.as_chunks::<LANES>();
    for (thresholds, counts) in thresholds.as_chunks::<UNIT>().0.iter().zip(counts.as_chunks_mut::<UNIT>().0)
    {
        let mut below = [[0u64; LANES]; UNIT];
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

/// Intervals that are counted at and gathered from together.
const TOGETHER: usize = GROUP / 2;

/// Counts below thresholds and gathers from intervals between them in one go over the rows: each row is compared once
/// with each end of an interval.
#[derive(Clone, Debug)]
pub(crate) struct CountAndGather {
    /// Padded with NaN, as are the others.
    from: [f64; TOGETHER],
    to: [f64; TOGETHER],
    /// Both in turn.
    ends: [f64; GROUP],
    /// Where the ends of each interval are among the thresholds.
    places: Vec<(usize, usize)>,
    /// The thresholds that are no ends, and where they are.
    others: Vec<([f64; GROUP], Vec<usize>)>,
    /// For what is gathered from some rows.
    room: Vec<f64>,
}

impl CountAndGather {
    /// None where the intervals are none or too many for that, or where it would not be quicker.
    pub fn new(counts: &CountsBelow, toggles: &Toggles) -> Option<CountAndGather> {
        let intervals = toggles.intervals();
        if !(1..=TOGETHER).contains(&intervals.len()) || Instructions::in_use() != Instructions::Avx512 {
            return None;
        }
        let (from, to): (Vec<f64>, Vec<f64>) = intervals.iter().copied().unzip();
        let place = |end: f64| counts.thresholds.iter().position(|t| *t == end);
        let places: Option<Vec<(usize, usize)>> =
            intervals.iter().map(|(from, to)| place(*from).zip(place(*to))).collect();
        let places = places?;
        let is_end = |i: &usize| places.iter().any(|(from, to)| i == from || i == to);
        let others: Vec<usize> = (0..counts.thresholds.len()).filter(|i| !is_end(i)).collect();
        if others.len() + 2 * places.len() != counts.thresholds.len() {
            return None;
        }
        let others = others.chunks(GROUP).map(|places| {
            let thresholds: Vec<f64> = places.iter().map(|i| counts.thresholds[*i]).collect();
            (group(&thresholds), places.to_vec())
        });
        let others = others.collect();
        let ends: Vec<f64> = intervals.iter().flat_map(|(from, to)| [*from, *to]).collect();
        let (from, to, ends) = (group(&from), group(&to), group(&ends));
        Some(CountAndGather { from, to, ends, places, others, room: vec![0.0; ROWS + LANES] })
    }

    /// Counts and gathers some rows.
    pub fn add(&mut self, values: &[f64], counts: &mut CountsBelow, gathered: &mut Vec<f64>) {
        for rows in values.chunks(ROWS) {
            let (reached, present, kept) = count_and_gather(rows, &self.from, &self.to, &mut self.room);
            let kept = &self.room[..kept];
            let mut ends = [0; GROUP];
            count_group(kept, &self.ends, &mut ends);
            for (i, (from, to)) in self.places.iter().enumerate() {
                let below = present - reached[i];
                counts.counts[*from] += below;
                counts.counts[*to] += below + ends[2 * i + 1] - ends[2 * i];
            }
            gathered.extend_from_slice(kept);
            for (thresholds, places) in &self.others {
                let mut below = [0; GROUP];
                count_group(rows, thresholds, &mut below[..places.len().next_multiple_of(UNIT)]);
                places.iter().zip(below).for_each(|(place, below)| counts.counts[*place] += below);
            }
        }
    }
}

/// How many rows reach each `from`, how many are not NaN, and how many lie in an interval: these are written to the front
/// of `out`, which is [`LANES`] longer than the rows.
fn count_and_gather(
    rows: &[f64],
    from: &[f64; TOGETHER],
    to: &[f64; TOGETHER],
    out: &mut [f64],
) -> ([u64; TOGETHER], u64, usize) {
    #[cfg(target_arch = "x86_64")]
    if Instructions::in_use() == Instructions::Avx512 {
        // SAFETY: the processor has the instructions.
        return unsafe { avx512::count_and_gather(rows, from, to, out) };
    }
    let intervals = || from.iter().zip(to);
    let (mut reached, mut present, mut kept) = ([0; TOGETHER], 0, 0);
    for x in rows {
        intervals().zip(&mut reached).for_each(|((from, _), reached)| *reached += u64::from(x >= from));
        present += u64::from(!x.is_nan());
        out[kept] = *x;
        kept += usize::from(intervals().any(|(from, to)| x >= from && x < to));
    }
    (reached, present, kept)
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

    use super::{GROUP, LANES, TOGETHER, UNIT};
    use crate::cpu::lanes::padded;

    /// Eight ones. A compiler that knew of them would make a vector of each mask and subtract that, which takes half as
    /// long again as adding them under the mask.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn one() -> __m512i {
        std::hint::black_box(_mm512_set1_epi64(1))
    }

    /// Hands out the rows by eight; the last ones are followed by NaN.
    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,popcnt")]
    #[inline]
    fn for_each_vector(rows: &[f64], mut take: impl FnMut(__m512d)) {
        let (lane_rows, rest) = rows.as_chunks::<LANES>();
        for row in lane_rows {
            // SAFETY: a row has eight numbers.
            take(unsafe { _mm512_loadu_pd(row.as_ptr()) });
        }
        if let Some(last) = padded(rest) {
            // SAFETY: as above.
            take(unsafe { _mm512_loadu_pd(last.as_ptr()) });
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,popcnt")]
    pub fn count_group(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64]) {
        match counts.len() / UNIT {
            0 => {}
            1 => count::<UNIT>(rows, thresholds, counts),
            2 => count::<{ 2 * UNIT }>(rows, thresholds, counts),
            3 => count::<{ 3 * UNIT }>(rows, thresholds, counts),
            _ => count::<GROUP>(rows, thresholds, counts),
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,popcnt")]
    fn count<const N: usize>(rows: &[f64], thresholds: &[f64; GROUP], counts: &mut [u64]) {
        let one = one();
        let mut below = [_mm512_setzero_si512(); N];
        for_each_vector(rows, |x| {
            for (below, threshold) in below.iter_mut().zip(thresholds) {
                let mask = _mm512_cmp_pd_mask::<_CMP_LT_OQ>(x, _mm512_set1_pd(*threshold));
                *below = _mm512_mask_add_epi64(*below, mask, *below, one);
            }
        });
        for (count, below) in counts.iter_mut().zip(below) {
            *count += _mm512_reduce_add_epi64(below) as u64;
        }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,popcnt")]
    pub fn count_and_gather(
        rows: &[f64],
        from: &[f64; TOGETHER],
        to: &[f64; TOGETHER],
        out: &mut [f64],
    ) -> ([u64; TOGETHER], u64, usize) {
        assert!(out.len() >= rows.len() + LANES, "what is gathered has room for whole vectors");
        let one = one();
        let (mut reached, mut present) = ([_mm512_setzero_si512(); TOGETHER], _mm512_setzero_si512());
        let mut end = 0;
        for_each_vector(rows, |x| {
            let mut inside = 0;
            for i in 0..TOGETHER {
                let above = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(x, _mm512_set1_pd(from[i]));
                reached[i] = _mm512_mask_add_epi64(reached[i], above, reached[i], one);
                inside |= _mm512_mask_cmp_pd_mask::<_CMP_LT_OQ>(above, x, _mm512_set1_pd(to[i]));
            }
            let there = _mm512_cmp_pd_mask::<_CMP_ORD_Q>(x, x);
            present = _mm512_mask_add_epi64(present, there, present, one);
            // SAFETY: `end` is at most the number of rows before, and `out` is a vector longer than all rows.
            unsafe { _mm512_storeu_pd(out.as_mut_ptr().add(end), _mm512_maskz_compress_pd(inside, x)) };
            end += inside.count_ones() as usize;
        });
        let sum = |counts: __m512i| _mm512_reduce_add_epi64(counts) as u64;
        (reached.map(sum), sum(present), end)
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,popcnt")]
    pub fn gather(rows: &[f64], intervals: &[(f64, f64)], out: &mut [f64]) -> usize {
        assert!(out.len() >= rows.len() + LANES, "what is gathered has room for whole vectors");
        let mut end = 0;
        for_each_vector(rows, |x| {
            let mut inside = 0;
            for (from, to) in intervals {
                let above = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(x, _mm512_set1_pd(*from));
                inside |= _mm512_mask_cmp_pd_mask::<_CMP_LT_OQ>(above, x, _mm512_set1_pd(*to));
            }
            // Compressed in a register and stored whole: storing while compressing is slow on some processors.
            // SAFETY: `end` is at most the number of rows before, and `out` is a vector longer than all rows.
            unsafe { _mm512_storeu_pd(out.as_mut_ptr().add(end), _mm512_maskz_compress_pd(inside, x)) };
            end += inside.count_ones() as usize;
        });
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_and_gathering_together_gives_what_they_give_apart() {
        let rows: Vec<f64> = (0..10_007)
            .map(|i| match i % 97 {
                0 => f64::NAN,
                1 => f64::INFINITY,
                2 => f64::NEG_INFINITY,
                3 => -0.0,
                _ => f64::from((i * 7919) % 1_009) - 500.0,
            })
            .collect();
        let sets: [&[(f64, f64)]; 3] = [
            &[(-3.0, 4.5)],
            &[(-600.0, -499.0), (0.0, 0.0f64.next_up()), (100.0, 101.0), (499.0, f64::INFINITY)],
            &[
                (-9.0, -8.0),
                (-7.0, -6.0),
                (-5.0, -4.0),
                (-3.0, -2.0),
                (1.0, 2.0),
                (3.0, 4.0),
                (5.0, 6.0),
                (7.0, 8.0),
            ],
        ];
        for intervals in sets {
            let toggles = Toggles::new(intervals.to_vec());
            let ends = intervals.iter().flat_map(|(from, to)| [*from, *to]);
            let mut apart =
                CountsBelow::new(ends.chain((0..20).map(|i| f64::from(i) * 37.0 - 300.0)).collect());
            let mut together = apart.clone();
            let Some(mut both) = CountAndGather::new(&together, &toggles) else {
                eprintln!("skipped: this processor has no AVX-512");
                return;
            };
            let (mut gathered, mut gathered_together) = (Vec::new(), Vec::new());
            apart.add(&rows);
            toggles.gather(&rows, &mut gathered);
            rows.chunks(3_001).for_each(|rows| both.add(rows, &mut together, &mut gathered_together));
            assert_eq!(together, apart);
            let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(gathered_together), bits(gathered));
        }
    }
}
