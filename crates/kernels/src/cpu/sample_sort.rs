//! Everything that a sorted column tells, of a column that may be held in memory, from one pass over it.
//!
//! A sample says where to cut the line of numbers into parts of about as many values each. Every worker sends the values
//! of its blocks to parts; each part then fits into a core's cache, is sorted there, and what is wanted of it is read
//! off. No sorted column is ever written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::cpu::below::CountsBelow;
use crate::cpu::hash::ValueCounts;
use crate::cpu::runs::runs;
use crate::cpu::simd::for_each_instruction_set;
use crate::cpu::sort::sort;
use crate::huge_pages::{column, fetch_ahead};
use crate::key::{key_of, value_of};
use crate::sample::Sample;

/// Values of a part, about: both buffers that it is sorted in fit into the second cache.
const PART_VALUES: u64 = 1 << 15;

/// Parts at most: more would not leave room in the cache for the lines that are being filled.
const PARTS: u64 = 1 << 11;

/// Values of the sample that say where a part ends, about.
const SAMPLED: usize = 64;

/// Cells that the line of numbers is cut into, neighbouring ones making up parts.
const CELLS: usize = 1 << 13;

/// Values that a part is given room for at a time.
const CHUNK: usize = 512;

/// Values that a worker asks room for at a time at most, for all its parts. It takes memory only as it is used.
const SLAB: usize = 1 << 22;

/// Values of a cache line.
const LINE: usize = 8;

/// Lines ahead of the next value that are fetched: a part gets values too seldom for the processor to guess.
const AHEAD: usize = 2;

/// Lines that are fetched of a chunk before it is read: by then the processor guesses.
const FIRST: usize = 12;

/// Rows whose cells are found in one go.
const ROWS: usize = 2_048;

/// Where the line of numbers is cut.
#[derive(Clone, Debug)]
pub(crate) struct Cuts {
    ruler: Ruler,
    /// A worker asks room for two to the power of this many values at a time.
    slab_bits: u32,
    /// The part of each cell, ascending; and one behind the last part, of what is not finite.
    parts: Vec<u16>,
}

/// A map of numbers to cells that never descends.
#[derive(Clone, Copy, Debug)]
enum Ruler {
    /// Cells of the same length, from a first number on.
    Even { first: f64, per_unit: f64 },
    /// Cells of the same number of floating-point numbers, from a first key on.
    Keys { first: u64, shift: u32 },
}

/// Values that memory has to be allowed for where a column of so many rows is sorted by parts.
///
/// All of it and, of each worker, one chunk of each part. A part that got most of the column is held in two buffers
/// more while it is sorted; half of that is reckoned with, since samples are hardly ever that bad.
pub(crate) fn values_held(rows: u64) -> u64 {
    let chunks = (parts_of(rows) + 1) * rayon::current_num_threads();
    rows.saturating_mul(2).saturating_add((chunks * CHUNK) as u64)
}

fn parts_of(rows: u64) -> usize {
    (rows / PART_VALUES).clamp(1, PARTS) as usize
}

impl Cuts {
    /// Cuts for a column of so many rows.
    pub fn of(rows: u64, sample: &Sample) -> Cuts {
        let parts = parts_of(rows);
        let step = (sample.len() / (SAMPLED * parts)).max(1);
        let keys: Vec<u64> = sample.keys().iter().copied().step_by(step).collect();
        let keys = keys.as_slice();
        let [even, by_keys] =
            [Ruler::even(keys), Ruler::by_keys(keys)].map(|ruler| (ruler, ruler.cut(keys, parts)));
        let (ruler, (_, of_cells)) = if even.1.0 <= by_keys.1.0 { even } else { by_keys };
        let values = usize::try_from(rows).unwrap_or(SLAB).min(SLAB) + (parts + 1) * CHUNK;
        Cuts { ruler, slab_bits: values.next_power_of_two().min(SLAB).ilog2(), parts: of_cells }
    }

    fn count(&self) -> usize {
        usize::from(self.parts[CELLS])
    }

    /// The part that a number lies in or, of an infinite one, the part next to it.
    fn part_of(&self, x: f64) -> usize {
        let mut cells = [0; 1];
        self.ruler.cells(&[x.clamp(f64::MIN, f64::MAX)], &mut cells);
        usize::from(self.parts[cells[0] as usize])
    }
}

impl Ruler {
    /// Over what lies between a sample's ends, but for a few values far out.
    fn even(keys: &[u64]) -> Ruler {
        let (low, high) = inner_ends(keys);
        let (low, high) = (value_of(low), value_of(high));
        let per_unit = CELLS as f64 / (high - low);
        Ruler::Even { first: low, per_unit: if per_unit.is_finite() { per_unit } else { 0.0 } }
    }

    fn by_keys(keys: &[u64]) -> Ruler {
        let (low, high) = inner_ends(keys);
        let bits = u64::BITS - (high - low).leading_zeros();
        Ruler::Keys { first: low, shift: bits.saturating_sub(CELLS.ilog2()) }
    }

    /// Groups cells to parts of about as many sampled values each: how many the largest has, and the part of each cell.
    fn cut(self, keys: &[u64], parts: usize) -> (usize, Vec<u16>) {
        let mut cells = vec![0; keys.len()];
        let values: Vec<f64> = keys.iter().map(|key| value_of(*key)).collect();
        self.cells(&values, &mut cells);
        let mut counts = vec![0; CELLS + 1];
        cells.iter().for_each(|cell| counts[*cell as usize] += 1);
        let (mut part, mut seen, mut held, mut largest) = (0, 0, 0, 0);
        let mut of_cells = Vec::with_capacity(CELLS + 1);
        for count in &counts[..CELLS] {
            // A part ends where its share of the sample is closest to being used up.
            let share = keys.len() * (part + 1) / parts;
            if held > 0 && part + 1 < parts && seen + count / 2 >= share {
                part += 1;
                held = 0;
            }
            of_cells.push(part as u16);
            (seen, held) = (seen + count, held + count);
            largest = largest.max(held);
        }
        of_cells.push(part as u16 + 1);
        (largest, of_cells)
    }

    /// The cell of each row; [`CELLS`] of what is not finite.
    fn cells(self, rows: &[f64], cells: &mut [u32]) {
        match self {
            Ruler::Even { first, per_unit } => even_cells(rows, first, per_unit, cells),
            Ruler::Keys { first, shift } => key_cells(rows, first, shift, cells),
        }
    }
}

/// The keys of a sample that one in 2,000 lie below and above.
fn inner_ends(keys: &[u64]) -> (u64, u64) {
    let out = keys.len() / 2_000;
    let end = |place: usize| keys.get(place).copied().unwrap_or(key_of(0.0));
    (end(out), end((keys.len() - out).saturating_sub(1)))
}

for_each_instruction_set! {
    fn even_cells(rows: &[f64], first: f64, per_unit: f64, cells: &mut [u32]) = even_cells_portable;
}

#[inline(always)]
fn even_cells_portable(rows: &[f64], first: f64, per_unit: f64, cells: &mut [u32]) {
    /// Added to a small number, leaves it rounded in the low bits.
    const ROUNDING: f64 = (1u64 << 52) as f64;
    const LAST: f64 = (CELLS - 1) as f64;
    for (x, cell) in rows.iter().zip(cells) {
        let place = (*x - first) * per_unit;
        let place = if place > 0.0 { place } else { 0.0 };
        let place = if place < LAST { place } else { LAST };
        let inside = (place + ROUNDING).to_bits() as u32;
        *cell = if x.abs() <= f64::MAX { inside } else { CELLS as u32 };
    }
}

for_each_instruction_set! {
    fn key_cells(rows: &[f64], first: u64, shift: u32, cells: &mut [u32]) = key_cells_portable;
}

#[inline(always)]
fn key_cells_portable(rows: &[f64], first: u64, shift: u32, cells: &mut [u32]) {
    for (x, cell) in rows.iter().zip(cells) {
        let inside = (key_of(*x).max(first) - first) >> shift;
        let inside = inside.min(CELLS as u64 - 1) as u32;
        *cell = if x.abs() <= f64::MAX { inside } else { CELLS as u32 };
    }
}

/// The finite values that one worker has seen, by part.
#[derive(Debug)]
pub(crate) struct Sorter {
    cuts: Arc<Cuts>,
    /// Room for values, in chunks that are each of one part.
    slabs: Vec<Vec<f64>>,
    /// Chunks of all slabs that are taken.
    taken: usize,
    /// Where the next value goes, counted over all slabs: of each part, and of what is not finite.
    next: Vec<usize>,
    /// The chunks of each part.
    chunks: Vec<Vec<usize>>,
}

impl Sorter {
    pub fn begin(cuts: &Arc<Cuts>) -> Sorter {
        let lists = cuts.count() + 1;
        let (next, chunks) = (vec![0; lists], vec![Vec::new(); lists]);
        let mut sorter = Sorter { cuts: cuts.clone(), slabs: Vec::new(), taken: 0, next, chunks };
        (0..lists).for_each(|list| sorter.add_chunk(list));
        sorter
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> usize {
        self.taken * CHUNK * size_of::<f64>()
    }

    /// Sends the finite values of some rows to their parts.
    pub fn add(&mut self, values: &[f64]) {
        let cuts = self.cuts.clone();
        let (shift, mask) = (cuts.slab_bits, (1 << cuts.slab_bits) - 1);
        let mut cells = [0; ROWS];
        for rows in values.chunks(ROWS) {
            let cells = &mut cells[..rows.len()];
            cuts.ruler.cells(rows, cells);
            for (x, cell) in rows.iter().zip(cells) {
                let list = usize::from(cuts.parts[*cell as usize]);
                let next = &mut self.next[list];
                let place = &mut self.slabs[*next >> shift][*next & mask];
                // -0.0 becomes 0.0.
                *place = *x + 0.0;
                fetch_ahead(place, AHEAD * LINE);
                *next += 1;
                if next.is_multiple_of(CHUNK) {
                    self.go_on(list);
                }
            }
        }
    }

    /// Finds another chunk for a part whose last one is full.
    #[cold]
    fn go_on(&mut self, list: usize) {
        if list < self.cuts.count() {
            self.add_chunk(list);
        } else {
            // What is not finite is written over.
            self.next[list] -= CHUNK;
        }
    }

    fn add_chunk(&mut self, list: usize) {
        let begin = self.taken * CHUNK;
        if begin >> self.cuts.slab_bits == self.slabs.len() {
            self.slabs.push(column(1 << self.cuts.slab_bits));
        }
        self.taken += 1;
        self.next[list] = begin;
        self.chunks[list].push(begin);
    }

    /// The values of a part, piece by piece.
    fn pieces(&self, part: usize) -> impl Iterator<Item = &[f64]> {
        let mask = (1 << self.cuts.slab_bits) - 1;
        let (last, full) = self.chunks[part].split_last().unwrap_or((&0, &[]));
        let full = full.iter().map(|begin| (*begin, CHUNK));
        full.chain([(*last, self.next[part] - last)])
            .map(move |(begin, length)| &self.slabs[begin >> self.cuts.slab_bits][begin & mask..][..length])
    }
}

/// The finite values of a whole column by part, from all workers.
pub(crate) struct Parts {
    cuts: Arc<Cuts>,
    sorters: Vec<Sorter>,
    /// The rank of each part's smallest value, and how many there are of all.
    ranks: Vec<u64>,
}

/// What the sorted parts tell.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub values: ValueCounts,
    /// The order statistics at the ranks that were asked for, once for each.
    pub ranks: Vec<(u64, f64)>,
}

impl Parts {
    pub fn new(cuts: &Arc<Cuts>, sorters: Vec<Sorter>) -> Parts {
        let mut ranks = vec![0];
        for part in 0..cuts.count() {
            let pieces = sorters.iter().flat_map(|sorter| sorter.pieces(part));
            let length: usize = pieces.map(<[f64]>::len).sum();
            ranks.push(ranks[part] + length as u64);
        }
        Parts { cuts: cuts.clone(), sorters, ranks }
    }

    fn pieces(&self, part: usize) -> impl Iterator<Item = &[f64]> {
        self.sorters.iter().flat_map(move |sorter| sorter.pieces(part))
    }

    fn gather(&self, part: usize, values: &mut Vec<f64>) {
        values.clear();
        let mut pieces = self.pieces(part).peekable();
        while let Some(piece) = pieces.next() {
            // Pieces lie apart: the processor cannot guess where the next one begins.
            let next = pieces.peek().map_or(&[][..], |next| next);
            next.iter().step_by(LINE).take(FIRST).for_each(|x| fetch_ahead(x, 0));
            values.extend_from_slice(piece);
        }
    }

    /// Sorts every part, on the current rayon pool.
    pub fn sorted(&self, wanted: &[u64]) -> Told {
        // How often a value has to occur to be the mode, as far as is known: most parts have none.
        let sought = AtomicU64::new(1);
        let next = AtomicUsize::new(0);
        let work = |_: usize| {
            let (mut values, mut room, mut told) = (Vec::new(), Vec::new(), Told::default());
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= self.cuts.count() {
                    return told;
                }
                self.gather(part, &mut values);
                room.resize(values.len().max(room.len()), 0.0);
                let length = values.len();
                sort(&mut values, &mut room[..length]);
                let counted = runs(&values, sought.load(Ordering::Relaxed));
                sought.fetch_max(counted.mode.map_or(1, |(_, frequency)| frequency), Ordering::Relaxed);
                told.values = told.values.plus(counted);
                let inside = self.ranks[part]..self.ranks[part + 1];
                let wanted = wanted.iter().copied().filter(|rank| inside.contains(rank));
                told.ranks.extend(wanted.map(|rank| (rank, values[(rank - inside.start) as usize])));
            }
        };
        let workers = (0..rayon::current_num_threads()).into_par_iter().with_max_len(1);
        let told = workers.map(work);
        told.reduce(Told::default, |mut told, other| {
            told.ranks.extend(other.ranks);
            Told { values: told.values.plus(other.values), ranks: told.ranks }
        })
    }

    /// How many values lie below some thresholds, where there are so many below all of them beside the finite ones.
    pub fn below(&self, thresholds: Vec<f64>, below_all: u64) -> CountsBelow {
        let mut counts = CountsBelow::new(thresholds);
        let parts: Vec<usize> = counts.thresholds().iter().map(|x| self.cuts.part_of(*x)).collect();
        let ends = counts.thresholds().par_iter().zip(&parts).with_max_len(1).map(|(threshold, part)| {
            let inside: u64 = self.pieces(*part).map(|piece| count_below(piece, *threshold)).sum();
            below_all + self.ranks[*part] + inside
        });
        let ends: Vec<u64> = ends.collect();
        let begins = std::iter::once(&0).chain(&ends);
        let bins: Vec<u64> = ends.iter().zip(begins).map(|(end, begin)| end - begin).collect();
        counts.add_bins(&bins);
        counts
    }
}

for_each_instruction_set! {
    fn count_below(rows: &[f64], threshold: f64) -> u64 = count_below_portable;
}

#[inline(always)]
fn count_below_portable(rows: &[f64], threshold: f64) -> u64 {
    rows.iter().map(|x| u64::from(*x < threshold)).sum()
}
