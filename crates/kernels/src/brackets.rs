//! Brackets around wanted order statistics: where to count and what to gather, so that a pass over the rows finds
//! them exactly.
//!
//! A pass counts the values below each bracket and gathers those inside it. Counting is exact, so that the rank of
//! every gathered value is known, whatever the sample was: a wanted rank either lies inside its bracket, and is then
//! selected from what was gathered, or it is known to lie outside, and narrower brackets are drawn for one more pass.

use rayon::prelude::*;

use crate::cpu::below::{CountAndGather, CountsBelow, Toggles};
use crate::cpu::passes::Share;
use crate::key::{key_of, value_of};
use crate::sample::Sample;

/// Half of a bracket's width in standard deviations of a sampled quantile: one rank in 150,000 lies outside.
const DEVIATIONS: f64 = 4.5;

/// Values that a pass may gather for a rank that was missed, before its interval is cut up further.
const GATHERED_AT_MOST: u64 = 1 << 20;

/// Equal parts that an interval is cut into where the sample has nothing to say of it.
const PARTS: u64 = 12;

/// The key of the smallest finite number, and the one behind that of the largest.
fn first_key() -> u64 {
    key_of(f64::MIN)
}

fn end_key() -> u64 {
    key_of(f64::MAX) + 1
}

/// Where a pass counts and gathers.
#[derive(Clone, Debug, PartialEq)]
pub struct Brackets {
    pub(crate) thresholds: Vec<f64>,
    pub(crate) toggles: Toggles,
}

/// What one worker counted and gathered.
#[derive(Clone, Debug)]
pub struct Bracketed {
    counts: CountsBelow,
    toggles: Toggles,
    /// Where both are done together.
    together: Option<CountAndGather>,
    gathered: Vec<f64>,
}

/// The order statistics at some ranks, as far as they are found.
#[derive(Clone, Debug, Default)]
pub struct Ranks {
    found: Vec<(u64, f64)>,
    missed: Vec<Miss>,
}

/// A wanted rank, and the interval of keys that it is known to lie in: [from, to) holds ranks from `first` on,
/// `count` of them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Miss {
    rank: u64,
    from: u64,
    to: u64,
    first: u64,
    count: u64,
}

impl Brackets {
    /// Brackets around shares of a column (0.25 is the lower quartile), by a sample of it.
    pub fn around(shares: &[f64], sample: &Sample) -> Brackets {
        let keys = sample.keys();
        let mut cut = Cut::default();
        for share in shares {
            let (from, to) = ends(*share, keys);
            cut.gather(from, to);
            // A value that fills a good part of the bracket is counted at both of its sides, and not gathered.
            for end in [from, to] {
                let first = keys.partition_point(|k| *k < end);
                let copies = keys.partition_point(|k| *k <= end) - first;
                if copies as f64 > 0.5 * half_width(*share, keys.len()) {
                    cut.single(end);
                }
            }
        }
        cut.into_brackets()
    }

    /// Narrower brackets for ranks that were missed.
    pub fn of_missed(ranks: &Ranks, sample: &Sample) -> Brackets {
        let mut cut = Cut::default();
        for miss in &ranks.missed {
            if miss.count <= GATHERED_AT_MOST {
                cut.gather(miss.from, miss.to - 1);
                continue;
            }
            let part = ((miss.to - miss.from) / PARTS).max(1);
            (0..=PARTS).map(|i| miss.from + i * part).filter(|k| *k < miss.to).for_each(|k| cut.at(k));
            let keys = sample.keys();
            let inside =
                &keys[keys.partition_point(|k| *k < miss.from)..keys.partition_point(|k| *k < miss.to)];
            if inside.len() > 64 {
                let share = (miss.rank - miss.first) as f64 / miss.count as f64;
                let (from, to) = ends(share, inside);
                cut.gather(from.max(miss.from), to.min(miss.to - 1));
                [from, to]
                    .into_iter()
                    .filter(|k| (miss.from..miss.to).contains(k))
                    .for_each(|k| cut.single(k));
            }
        }
        cut.into_brackets()
    }

    /// What all shares of a pass found.
    pub(crate) fn total(&self, shares: Vec<Share>) -> Bracketed {
        let mut all = self.begin();
        for share in shares {
            if let Share::Missed(bracketed) = share {
                all.merge(bracketed);
            }
        }
        all
    }

    /// An empty count for one worker.
    pub fn begin(&self) -> Bracketed {
        let (counts, toggles) = (CountsBelow::new(self.thresholds.clone()), self.toggles.clone());
        let together = CountAndGather::new(&counts, &toggles);
        Bracketed { counts, toggles, together, gathered: Vec::new() }
    }
}

impl Bracketed {
    /// Takes what a device found: values in each bin between the thresholds, and the gathered values in any order.
    pub(crate) fn take(&mut self, bins: &[u64], gathered: Vec<f64>) {
        self.counts.add_bins(bins);
        self.gathered.extend(gathered);
    }

    /// Counts and gathers from the rows of a block, or of any part of a column.
    pub fn add(&mut self, values: &[f64]) {
        match &mut self.together {
            Some(together) => together.add(values, &mut self.counts, &mut self.gathered),
            None => {
                self.counts.add(values);
                self.toggles.gather(values, &mut self.gathered);
            }
        }
    }

    /// Bytes that are held.
    pub(crate) fn bytes(&self) -> usize {
        self.gathered.capacity() * size_of::<f64>()
    }

    /// Adds what another worker found with the same brackets.
    pub fn merge(&mut self, other: Bracketed) {
        self.counts.merge(&other.counts);
        match self.gathered.is_empty() {
            true => self.gathered = other.gathered,
            false => self.gathered.extend(other.gathered),
        }
    }

    /// The order statistics at some ranks (0 is the smallest finite value; all below `count`), of a column of `count`
    /// finite values beside which there are `negative_infinite`.
    pub fn ranks(&self, wanted: &[u64], count: u64, negative_infinite: u64) -> Ranks {
        let segments = self.segments(count, negative_infinite);
        let found = segments.par_iter().map(|segment| segment.ranks(wanted, &self.gathered));
        found.reduce(Ranks::default, Ranks::then)
    }

    /// The line of keys cut at the thresholds.
    fn segments(&self, count: u64, negative_infinite: u64) -> Vec<Segment> {
        let starts = self.counts.iter().map(|(t, below)| (key_of(t), below - negative_infinite));
        let starts: Vec<(u64, u64)> =
            std::iter::once((first_key(), 0)).chain(starts).chain([(end_key(), count)]).collect();
        let segment = |pair: &[(u64, u64)]| Segment {
            from: pair[0].0,
            to: pair[1].0,
            first: pair[0].1,
            end: pair[1].1,
            gathered: self
                .toggles
                .intervals()
                .iter()
                .any(|(from, to)| key_of(*from) <= pair[0].0 && pair[1].0 <= key_of(*to)),
        };
        starts.windows(2).map(segment).filter(|s| s.from < s.to && s.first < s.end).collect()
    }
}

/// Keys [from, to), which hold the ranks [first, end).
struct Segment {
    from: u64,
    to: u64,
    first: u64,
    end: u64,
    gathered: bool,
}

impl Segment {
    fn ranks(&self, wanted: &[u64], gathered: &[f64]) -> Ranks {
        let mut mine: Vec<u64> =
            wanted.iter().copied().filter(|r| (self.first..self.end).contains(r)).collect();
        mine.sort_unstable();
        mine.dedup();
        if mine.is_empty() {
            return Ranks::default();
        }
        if self.to - self.from == 1 {
            let value = value_of(self.from);
            return Ranks { found: mine.iter().map(|rank| (*rank, value)).collect(), missed: Vec::new() };
        }
        if !self.gathered {
            let count = self.end - self.first;
            let miss =
                |rank: &u64| Miss { rank: *rank, from: self.from, to: self.to, first: self.first, count };
            return Ranks { found: Vec::new(), missed: mine.iter().map(miss).collect() };
        }
        let (from, last) = (value_of(self.from), value_of(self.to - 1));
        let mut inside = Vec::with_capacity((self.end - self.first) as usize);
        Toggles::new(vec![(from, last.next_up())]).gather(gathered, &mut inside);
        let mut keys: Vec<u64> = inside.iter().map(|x| key_of(*x)).collect();
        Ranks { found: select(&mut keys, self.first, &mine), missed: Vec::new() }
    }
}

/// The values at ascending ranks among keys whose smallest has rank `first`.
fn select(keys: &mut [u64], first: u64, ranks: &[u64]) -> Vec<(u64, f64)> {
    let mut found = Vec::with_capacity(ranks.len());
    let (mut keys, mut first) = (keys, first);
    for &rank in ranks {
        // Each selection leaves what is larger behind it, where the next rank is looked for.
        let place = (rank - first) as usize;
        let (_, key, larger) = keys.select_nth_unstable(place);
        found.push((rank, value_of(*key)));
        (keys, first) = (larger, rank + 1);
    }
    found
}

impl Ranks {
    /// All wanted ranks with their order statistics.
    pub(crate) fn of_found(found: Vec<(u64, f64)>) -> Ranks {
        Ranks { found, missed: Vec::new() }
    }

    /// Whether every wanted rank was found.
    pub fn is_complete(&self) -> bool {
        self.missed.is_empty()
    }

    /// The order statistic at a rank, once found.
    pub fn value(&self, rank: u64) -> Option<f64> {
        self.found.iter().find(|(r, _)| *r == rank).map(|(_, value)| *value)
    }

    /// The ranks that were missed.
    pub fn missed(&self) -> Vec<u64> {
        self.missed.iter().map(|miss| miss.rank).collect()
    }

    /// These findings and those of another pass; what was missed is what the later pass still misses.
    pub fn refined_by(self, later: Ranks) -> Ranks {
        let found = self.found.into_iter().chain(later.found).collect();
        // A later pass knows its thresholds only: the narrower of both intervals is what is known.
        let missed = later.missed.into_iter().map(|late| {
            let early = self.missed.iter().find(|early| early.rank == late.rank);
            early.map_or(late, |early| if early.count < late.count { *early } else { late })
        });
        Ranks { found, missed: missed.collect() }
    }

    fn then(mut self, other: Ranks) -> Ranks {
        self.found.extend(other.found);
        self.missed.extend(other.missed);
        self
    }
}

/// The bracket around a share of ascending sampled keys, both ends inside it.
fn ends(share: f64, keys: &[u64]) -> (u64, u64) {
    let centre = share * keys.len() as f64;
    let half = half_width(share, keys.len());
    let (low, high) = ((centre - half).floor(), (centre + half).ceil());
    let from = if low < 0.0 { first_key() } else { keys.get(low as usize).copied().unwrap_or(first_key()) };
    let to = keys.get(high as usize).copied().unwrap_or(end_key() - 1);
    (from, to)
}

fn half_width(share: f64, size: usize) -> f64 {
    DEVIATIONS * (share * (1.0 - share) * size as f64).sqrt() + 2.0
}

/// Intervals to gather and keys to count at, while they are drawn up.
#[derive(Default)]
struct Cut {
    /// Both ends inside.
    gathered: Vec<(u64, u64)>,
    singles: Vec<u64>,
    counted: Vec<u64>,
}

impl Cut {
    fn gather(&mut self, from: u64, to: u64) {
        self.gathered.push((from, to));
    }

    /// A key that is counted by itself and not gathered.
    fn single(&mut self, key: u64) {
        self.singles.push(key);
    }

    /// A key below which values are counted.
    fn at(&mut self, key: u64) {
        self.counted.push(key);
    }

    fn into_brackets(mut self) -> Brackets {
        self.singles.sort_unstable();
        self.singles.dedup();
        self.gathered.sort_unstable();
        let mut intervals: Vec<(u64, u64)> = Vec::new();
        for (from, to) in self.gathered {
            match intervals.last_mut() {
                Some((_, end)) if from <= *end => *end = (*end).max(to + 1),
                _ => intervals.push((from, to + 1)),
            }
        }
        for key in &self.singles {
            intervals = intervals.into_iter().flat_map(|interval| without(interval, *key)).collect();
        }
        // An interval of one key needs no gathering either.
        let (ones, intervals): (Vec<_>, Vec<_>) =
            intervals.into_iter().partition(|(from, to)| to - from == 1);
        let ends = intervals.iter().chain(&ones).flat_map(|(from, to)| [*from, *to]);
        let singles = self.singles.iter().flat_map(|key| [*key, key + 1]);
        let mut thresholds: Vec<u64> = ends.chain(singles).chain(self.counted).collect();
        thresholds.sort_unstable();
        thresholds.dedup();
        Brackets {
            thresholds: thresholds.into_iter().map(value_of).collect(),
            toggles: Toggles::new(
                intervals.into_iter().map(|(from, to)| (value_of(from), value_of(to))).collect(),
            ),
        }
    }
}

/// What is left of an interval without one key.
fn without((from, to): (u64, u64), key: u64) -> impl Iterator<Item = (u64, u64)> {
    let parts = if (from..to).contains(&key) { [(from, key), (key + 1, to)] } else { [(from, to), (to, to)] };
    parts.into_iter().filter(|(from, to)| from < to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bracketed(brackets: &Brackets, values: &[f64]) -> Bracketed {
        let mut counted = brackets.begin();
        counted.add(values);
        counted
    }

    #[test]
    fn a_sample_of_something_else_costs_passes_and_never_the_answer() {
        let values: Vec<f64> = (0..50_000).map(|i| f64::from(i) * 0.5).collect();
        let foreign: Vec<f64> = (0..50_000).map(|i| 1e9 + f64::from(i)).collect();
        let sample = Sample::of(&foreign);
        let wanted = [0, 12_499, 12_500, 25_000, 49_999];
        let mut found =
            bracketed(&Brackets::around(&[0.25, 0.5], &sample), &values).ranks(&wanted, 50_000, 0);
        let mut passes = 1;
        while !found.is_complete() {
            let again = bracketed(&Brackets::of_missed(&found, &sample), &values);
            let later = again.ranks(&found.missed(), 50_000, 0);
            found = found.refined_by(later);
            passes += 1;
        }
        assert!((2..5).contains(&passes), "{passes} passes");
        for rank in wanted {
            assert_eq!(found.value(rank), Some(rank as f64 * 0.5));
        }
    }

    #[test]
    fn a_value_that_fills_a_bracket_is_not_gathered() {
        let values: Vec<f64> = (0..100_000).map(|i| if i % 10 < 8 { 0.0 } else { f64::from(i) }).collect();
        let brackets = Brackets::around(&[0.25, 0.5, 0.75], &Sample::of(&values));
        let counted = bracketed(&brackets, &values);
        assert!(counted.gathered.len() < 5_000, "{} gathered", counted.gathered.len());
        let found = counted.ranks(&[25_000, 50_000, 75_000], 100_000, 0);
        assert!(found.is_complete() && found.value(50_000) == Some(0.0));
    }

    #[test]
    fn infinities_are_below_and_above_every_rank() {
        let values = [f64::NEG_INFINITY, 3.0, 1.0, f64::INFINITY, f64::NAN, 2.0];
        let found = bracketed(&Brackets::around(&[0.0, 0.5, 1.0], &Sample::of(&values)), &values);
        let ranks = found.ranks(&[0, 1, 2], 3, 1);
        assert_eq!([0, 1, 2].map(|r| ranks.value(r)), [Some(1.0), Some(2.0), Some(3.0)]);
    }
}
