//! Every statistic of one column, in one pass over its blocks or in two.
//!
//! Where different values are counted and memory allows it, all values are held by parts in ascending order, which tell
//! everything (`sample_sort`). Else there are two passes.
//!
//! The first pass takes the moments, counts and gathers around wanted order statistics, counts the values that a
//! sample says are frequent, and the others by hash bucket. What it finds fixes all thresholds: histogram edges, fences,
//! three standard deviations. The second pass counts below them. A rank that its bracket missed costs a pass more, and
//! so do different values that are counted one by one; no answer is ever an approximation.

use crate::brackets::{Bracketed, Brackets, Ranks};
use crate::cpu::below::CountsBelow;
use crate::cpu::hash::{Hashed, ValueCounts};
use crate::cpu::normalize::Survey;
use crate::cpu::partition::Round;
use crate::cpu::passes::{FirstFindings, FirstPass, OnlyPass, Pass, Passes, SecondPass, Share};
use crate::cpu::sample_sort::{Parts, values_held};
use crate::cpu::scan::{InMemory, infallible};
use crate::cpu::sorted::Sorted;
use crate::histogram::{HistogramBins, histogram_edges};
use crate::moments::Moments;
use crate::quantile::{PERCENTILES, Quartiles, interpolate, quartiles, rank};
use crate::sample::Sample;
use crate::summary::MomentSummary;
use crate::zscore::{ZscoreCounts, ZscoreEnds, ZscoreThreshold};

/// Columns up to this many rows are sorted whole: two passes would not be quicker.
const SORTED_ROWS: usize = 8_192;

/// The statistics of one column, over its finite values.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pub moments: MomentSummary,
    /// In the order of [`PERCENTILES`].
    pub percentiles: [Option<f64>; 8],
    pub quartiles: Quartiles,
    /// The most frequent value, the smallest of ties, and its frequency.
    pub mode: Option<(f64, u64)>,
    /// Values strictly outside the quartiles' fences.
    pub outliers: u64,
    pub zscore: ZscoreCounts,
    pub zeros: u64,
    pub negatives: u64,
    /// None where it was not asked for.
    pub distinct: Option<u64>,
    pub histogram: HistogramBins,
}

/// What is asked of a profile.
#[derive(Clone, Copy, Debug)]
pub struct ProfileOptions {
    /// Whether different values are counted.
    pub distinct: bool,
    /// Values that may be held in memory, 8 bytes each, while different values are counted.
    pub held_values: u64,
}

impl Default for ProfileOptions {
    fn default() -> Self {
        ProfileOptions { distinct: true, held_values: u64::MAX }
    }
}

/// Profiles a column in memory on the current rayon pool; `full` counts different values too.
pub fn profile(values: &[f64], full: bool) -> Profile {
    if values.len() <= SORTED_ROWS {
        return profile_sorted(values, full);
    }
    let options = ProfileOptions { distinct: full, ..ProfileOptions::default() };
    infallible(profile_column(&InMemory(values), &Sample::of(values), options))
}

/// Profiles a column from its sorted values: the plain way, which every other must equal.
pub fn profile_sorted(values: &[f64], full: bool) -> Profile {
    let sorted = Sorted::of(values);
    let location = Location {
        moments: crate::moments(values).summary(),
        percentiles: PERCENTILES.map(|p| sorted.percentile(p)),
    };
    let counted = sorted.value_counts();
    let below = |x: f64| sorted.count_below(x);
    location.complete(below, counted.mode, full.then_some(counted.distinct))
}

/// Profiles a column block by block; the sample is of the same column.
///
/// # Errors
/// Whatever stops the column from being read.
pub fn profile_column<C: Passes>(
    column: &C,
    sample: &Sample,
    options: ProfileOptions,
) -> Result<Profile, C::Error> {
    driven(column, Profiling::begun(column.rows_to_hold(), sample.clone(), None, options))
}

/// As [`profile_column`], of a column that was surveyed: its moments are those of the survey.
///
/// # Errors
/// Whatever stops the column from being read.
pub fn profile_surveyed<C: Passes>(
    column: &C,
    survey: &Survey,
    options: ProfileOptions,
) -> Result<Profile, C::Error> {
    let Survey { sample, moments } = survey.clone();
    driven(column, Profiling::begun(column.rows_to_hold(), sample, Some(moments), options))
}

fn driven<C: Passes>(column: &C, mut profiling: Profiling) -> Result<Profile, C::Error> {
    loop {
        let shares = match profiling.pass() {
            Some(pass) => column.go_over(pass)?,
            None => return Ok(profiling.finish()),
        };
        profiling.take(shares);
    }
}

/// A profile in the making: which pass over the column comes next, and what the passes so far have found.
///
/// Whoever drives it goes over all blocks with [`pass`](Self::pass), in any order and by any number of workers, and
/// hands over the shares with [`take`](Self::take), until there is no pass left.
pub struct Profiling {
    sample: Sample,
    options: ProfileOptions,
    next: Option<Pass>,
    /// Known from the first pass on, where no survey has told them.
    moments: Option<MomentSummary>,
    first: Option<FirstFindings>,
    ranks: Option<Ranks>,
    location: Option<Location>,
    rounds: Vec<Round>,
    counts: Option<CountsBelow>,
    values: ValueCounts,
}

impl Profiling {
    /// In two passes; the sample is of the same column.
    pub fn new(sample: Sample, options: ProfileOptions) -> Profiling {
        Profiling::begun(None, sample, None, options)
    }

    /// In one pass where different values are counted of a column of so many rows that it may be held, else in two.
    pub fn of_rows(rows: u64, sample: Sample, options: ProfileOptions) -> Profiling {
        Profiling::begun(Some(rows), sample, None, options)
    }

    fn begun(
        rows_to_hold: Option<u64>,
        sample: Sample,
        moments: Option<MomentSummary>,
        options: ProfileOptions,
    ) -> Profiling {
        let held = |rows: &u64| options.distinct && values_held(*rows) <= options.held_values;
        let wanted = moments.is_none();
        let next = Some(match rows_to_hold.filter(held) {
            Some(rows) => Pass::Only(OnlyPass::new(rows, &sample, wanted)),
            None => Pass::First(FirstPass::new(&sample, wanted)),
        });
        Profiling {
            sample,
            options,
            next,
            moments,
            first: None,
            ranks: None,
            location: None,
            rounds: Vec::new(),
            counts: None,
            values: ValueCounts::default(),
        }
    }

    /// The next pass; None once the profile can be finished.
    pub fn pass(&self) -> Option<&Pass> {
        self.next.as_ref()
    }

    /// Takes all shares of the pass.
    pub fn take(&mut self, shares: Vec<Share>) {
        match self.next.take() {
            Some(Pass::First(pass)) => self.take_first(pass.findings(shares)),
            Some(Pass::Missed(brackets)) => self.take_missed(&brackets, shares),
            Some(Pass::Second(pass)) => {
                let (counts, values) = pass.findings(shares);
                self.values = self.values.plus(values);
                self.counts.get_or_insert(counts);
                self.next_round(Vec::new());
            }
            Some(Pass::Only(pass)) => self.take_all(pass.findings(shares)),
            Some(Pass::Moments | Pass::Survey(_)) | None => {}
        }
    }

    fn take_all(&mut self, (moments, parts): (Moments, Parts)) {
        let moments = self.moments.get_or_insert_with(|| moments.summary()).clone();
        let (n, infinite) = (moments.count, moments.negative_infinite);
        let told = parts.sorted(&ranks_of(&PERCENTILES, n));
        self.values = told.values;
        let location = Location::of(moments, &Ranks::of_found(told.ranks));
        self.counts = Some(parts.below(location.thresholds(), infinite));
        self.location = Some(location);
    }

    fn take_first(&mut self, first: FirstFindings) {
        let moments = self.moments.get_or_insert_with(|| first.moments.summary());
        let wanted = ranks_of(&PERCENTILES, moments.count);
        let ranks = first.bracketed.ranks(&wanted, moments.count, moments.negative_infinite);
        self.values = first.hashed.runs();
        self.first = Some(first);
        self.take_ranks(ranks);
    }

    fn take_missed(&mut self, brackets: &Brackets, shares: Vec<Share>) {
        let all = brackets.total(shares);
        let (Some(moments), Some(ranks)) = (&self.moments, self.ranks.take()) else { return };
        let later = all.ranks(&ranks.missed(), moments.count, moments.negative_infinite);
        self.take_ranks(ranks.refined_by(later));
    }

    fn take_ranks(&mut self, ranks: Ranks) {
        let (Some(first), Some(moments)) = (&self.first, &self.moments) else { return };
        if !ranks.is_complete() {
            self.next = Some(Pass::Missed(Brackets::of_missed(&ranks, &self.sample)));
            self.ranks = Some(ranks);
            return;
        }
        let location = Location::of(moments.clone(), &ranks);
        let thresholds = location.thresholds();
        self.rounds = first.hashed.rounds(self.options);
        self.location = Some(location);
        self.next_round(thresholds);
    }

    /// The first round of counting values goes with the second pass, the others have passes of their own.
    fn next_round(&mut self, thresholds: Vec<f64>) {
        let round = if self.rounds.is_empty() { None } else { Some(self.rounds.remove(0)) };
        if let Some(first) = self.first.as_ref().filter(|_| round.is_some() || !thresholds.is_empty()) {
            self.next = Some(Pass::Second(SecondPass::new(thresholds, &first.hashed, round)));
        }
    }

    /// The profile, once there is no pass left.
    ///
    /// # Panics
    /// Where there is one.
    pub fn finish(self) -> Profile {
        let (Some(location), Some(counts)) = (self.location, self.counts) else {
            panic!("a profile is finished after its last pass");
        };
        let infinite = location.moments.negative_infinite;
        // Every number that is asked for is among the thresholds.
        let below = |x: f64| counts.below(x).map_or(0, |below| below - infinite);
        let distinct = self.options.distinct.then_some(self.values.distinct);
        location.complete(below, self.values.mode, distinct)
    }
}

impl Hashed {
    /// What has to be counted value by value.
    ///
    /// The mode is proven where no bucket holds as many other values as it has copies. Buckets that do, or all of
    /// them where different values are counted, are left.
    fn rounds(&self, options: ProfileOptions) -> Vec<Round> {
        let frequency = self.runs().mode.map_or(1, |(_, frequency)| frequency);
        let wanted = |bucket: usize| options.distinct || self.buckets[bucket] >= frequency;
        Round::plan(&self.buckets, options.held_values, wanted)
    }
}

/// The ranks that percentiles of n values are interpolated between.
pub(crate) fn ranks_of(percentiles: &[u32], n: u64) -> Vec<u64> {
    if n == 0 {
        return Vec::new();
    }
    let pair = |p: &u32| {
        let (i, hundredths) = rank(*p, n);
        [i, if hundredths == 0 { i } else { i + 1 }]
    };
    percentiles.iter().flat_map(pair).collect()
}

/// Finds ranks by what was bracketed, going over the column again for those that were missed.
pub(crate) fn all_ranks<C: Passes>(
    column: &C,
    sample: &Sample,
    bracketed: &Bracketed,
    ranks: &[u64],
    moments: &MomentSummary,
) -> Result<Ranks, C::Error> {
    let (n, infinite) = (moments.count, moments.negative_infinite);
    let mut found = bracketed.ranks(ranks, n, infinite);
    while !found.is_complete() {
        let brackets = Brackets::of_missed(&found, sample);
        let shares = column.go_over(&Pass::Missed(brackets.clone()))?;
        let all = brackets.total(shares);
        let later = all.ranks(&found.missed(), n, infinite);
        found = found.refined_by(later);
    }
    Ok(found)
}

/// Percentile p of n values whose order statistics are found.
pub(crate) fn percentile(p: u32, n: u64, found: &Ranks) -> Option<f64> {
    let (i, hundredths) = rank(p, n.max(1));
    let a = found.value(i)?;
    match hundredths {
        0 => Some(a),
        _ => Some(interpolate(a, found.value(i + 1)?, hundredths) + 0.0),
    }
}

/// Where the values of a column lie: what fixes everything that is left to count.
#[derive(Clone, Debug)]
pub struct Location {
    pub moments: MomentSummary,
    /// In the order of [`PERCENTILES`].
    pub percentiles: [Option<f64>; 8],
}

impl Location {
    pub(crate) fn of(moments: MomentSummary, found: &Ranks) -> Location {
        let n = moments.count;
        Location { percentiles: PERCENTILES.map(|p| percentile(p, n, found)), moments }
    }

    /// Q1, Q3 and what follows from them; all None for no values.
    pub fn quartiles(&self) -> Quartiles {
        let pair = self.percentiles[2].zip(self.percentiles[4]);
        pair.map_or_else(Quartiles::default, |(q1, q3)| quartiles(q1, q3))
    }

    fn edges(&self) -> Vec<f64> {
        let ends = self.moments.min.zip(self.moments.max);
        ends.map_or_else(Vec::new, |(min, max)| histogram_edges(min, max))
    }

    fn zscore_ends(&self) -> Option<ZscoreEnds> {
        let pair = self.moments.mean.zip(self.moments.std_dev).filter(|(_, std_dev)| *std_dev > 0.0);
        pair.map(|(mean, std_dev)| ZscoreThreshold::new(mean, std_dev).ends())
    }

    /// Every number below which [`complete`](Self::complete) asks for the count of values.
    pub fn thresholds(&self) -> Vec<f64> {
        let quartiles = self.quartiles();
        let mut edges = self.edges();
        // All values lie below the end of the last bin, or on it.
        edges.pop();
        let fences = quartiles.lower_fence.into_iter().chain(quartiles.upper_fence.map(f64::next_up));
        let ends = self.zscore_ends();
        let ends = ends.iter().flat_map(ZscoreEnds::thresholds);
        edges.into_iter().chain([0.0, 0.0f64.next_up()]).chain(fences).chain(ends).collect()
    }

    /// The profile, given how many finite values lie strictly below each of the thresholds.
    pub fn complete(
        self,
        below: impl Fn(f64) -> u64,
        mode: Option<(f64, u64)>,
        distinct: Option<u64>,
    ) -> Profile {
        let n = self.moments.count;
        let quartiles = self.quartiles();
        let above = |fence: f64| n - below(fence.next_up());
        let negatives = below(0.0);
        Profile {
            outliers: quartiles.lower_fence.map_or(0, &below) + quartiles.upper_fence.map_or(0, above),
            zscore: self.zscore_ends().map_or_else(ZscoreCounts::default, |ends| ends.counts(n, &below)),
            zeros: below(0.0f64.next_up()) - negatives,
            negatives,
            histogram: HistogramBins::counted(self.edges(), n, &below),
            quartiles,
            mode,
            distinct,
            percentiles: self.percentiles,
            moments: self.moments,
        }
    }
}
