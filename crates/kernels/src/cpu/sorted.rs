//! A column in ascending order, off which every order statistic is read by position or binary search.

use rayon::prelude::*;

use crate::BLOCK_ROWS;
use crate::cpu::hash::ValueCounts;
use crate::histogram::{HistogramBins, histogram_edges};
use crate::key::{key_of, value_of};
use crate::quantile::{interpolate, rank};

/// The finite values of a column in ascending order, held as keys; 8 bytes for each.
#[derive(Clone, Debug)]
pub struct Sorted {
    keys: Vec<u64>,
}

impl Sorted {
    /// Sorts the finite values of a column on the current rayon pool; NaN and ±inf are left out.
    pub fn of(values: &[f64]) -> Sorted {
        let blocks = || values.par_chunks(BLOCK_ROWS);
        let counts: Vec<usize> =
            blocks().map(|block| block.iter().filter(|x| x.is_finite()).count()).collect();
        let mut keys = vec![0; counts.iter().sum()];
        let mut rest = keys.as_mut_slice();
        let mut slots = Vec::with_capacity(counts.len());
        for count in counts {
            let (slot, tail) = rest.split_at_mut(count);
            slots.push(slot);
            rest = tail;
        }
        slots.into_par_iter().zip(blocks()).for_each(|(slot, block)| {
            let finite = block.iter().filter(|x| x.is_finite());
            slot.iter_mut().zip(finite).for_each(|(key, &x)| *key = key_of(x));
        });
        Sorted::from_keys(keys)
    }

    /// Sorts keys as [`key_of`] gives them, of finite values only.
    pub fn from_keys(mut keys: Vec<u64>) -> Sorted {
        keys.par_sort_unstable();
        Sorted { keys }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The value at position `i` in ascending order.
    ///
    /// # Panics
    /// Where `i` is not below [`len`](Self::len).
    pub fn value(&self, i: usize) -> f64 {
        value_of(self.keys[i])
    }

    /// Percentile `p` by Hyndman and Fan's type 7; None for no values or p > 100.
    ///
    /// p·(n−1) = 100·i + r in integers; x\[i\] for r = 0, else between a = x\[i\] and b = x\[i+1\] with t = r/100:
    /// a + (b−a)·t for t < 0.5, else b − (b−a)·(1−t); a·(1−t) + b·t where b−a is beyond f64.
    pub fn percentile(&self, p: u32) -> Option<f64> {
        if self.is_empty() || p > 100 {
            return None;
        }
        let (i, hundredths) = rank(p, self.keys.len() as u64);
        let a = self.value(i as usize);
        if hundredths == 0 {
            return Some(a);
        }
        Some(interpolate(a, self.value(i as usize + 1), hundredths) + 0.0)
    }

    /// Values strictly below x, which is not NaN.
    pub fn count_below(&self, x: f64) -> u64 {
        let key = key_of(x);
        self.keys.partition_point(|&k| k < key) as u64
    }

    /// Values strictly above x, which is not NaN.
    pub fn count_above(&self, x: f64) -> u64 {
        let key = key_of(x);
        (self.keys.len() - self.keys.partition_point(|&k| k <= key)) as u64
    }

    /// The histogram between minimum and maximum; empty for no values.
    pub fn histogram(&self) -> HistogramBins {
        let (Some(&first), Some(&last)) = (self.keys.first(), self.keys.last()) else {
            return HistogramBins::default();
        };
        let edges = histogram_edges(value_of(first), value_of(last));
        HistogramBins::counted(edges, self.keys.len() as u64, |edge| self.count_below(edge))
    }

    /// How many different values there are, and the most frequent of them.
    pub fn value_counts(&self) -> ValueCounts {
        let starts = (0..self.keys.len()).into_par_iter().step_by(BLOCK_ROWS);
        starts.map(|start| self.counts_from(start)).reduce(ValueCounts::default, ValueCounts::plus)
    }

    /// The values whose first copies lie within the block at `start`, with all their copies in whatever block.
    fn counts_from(&self, start: usize) -> ValueCounts {
        let end = self.keys.len().min(start + BLOCK_ROWS);
        let mut at = match start.checked_sub(1).map(|before| self.keys[before]) {
            Some(previous) => start + self.keys[start..].partition_point(|&key| key == previous),
            None => start,
        };
        let mut counts = ValueCounts::default();
        while at < end {
            let key = self.keys[at];
            let mut stop = at + 1;
            while stop < end && self.keys[stop] == key {
                stop += 1;
            }
            if stop == end {
                stop += self.keys[end..].partition_point(|&k| k == key);
            }
            counts = counts.plus(ValueCounts::of_one(value_of(key), (stop - at) as u64));
            at = stop;
        }
        counts
    }
}
