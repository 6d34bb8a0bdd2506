//! A sample of a column, from which brackets for its order statistics are drawn.
//!
//! A sample decides how much work an exact answer takes, never what the answer is.

use crate::BLOCK_ROWS;
use crate::cpu::sort::sort;
use crate::key::{key_of, value_of};

/// Finite values of a column, taken without regard to their size, as ascending keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    keys: Vec<u64>,
}

/// Sampled values for a column of some number of rows: about its power of 2/3, where sorting the sample and
/// sorting what the brackets gather cost the same.
pub fn sample_size(rows: u64) -> usize {
    let wanted = (rows as f64).powf(2.0 / 3.0);
    (wanted as usize)
        .next_power_of_two()
        .clamp(1 << 10, 1 << 20)
        .min(usize::try_from(rows).unwrap_or(1 << 20))
}

/// Takes a sample while the blocks of a column go by.
#[derive(Clone, Debug)]
pub struct Sampler {
    per_block: f64,
    keys: Vec<u64>,
}

impl Sampler {
    /// For a column of `rows` rows.
    pub fn new(rows: u64) -> Sampler {
        let blocks = rows.div_ceil(BLOCK_ROWS as u64).max(1);
        Sampler { per_block: sample_size(rows) as f64 / blocks as f64, keys: Vec::new() }
    }

    /// Takes some values of a block: the same ones whenever the block comes.
    pub fn add(&mut self, block: u64, values: &[f64]) {
        let places = self.places(block, values.len() as u64);
        self.take(places.filter_map(|place| values.get(place as usize).copied()));
    }

    /// Which of a block's rows are taken.
    pub(crate) fn places(&self, block: u64, rows: u64) -> impl Iterator<Item = u64> + use<> {
        // Of a share below one in each block, some blocks give one value and the others none.
        let share = self.per_block * (block + 1) as f64;
        let taken = share.floor() - (self.per_block * block as f64).floor();
        (0..taken as u64).map(move |i| scaled_to(mixed(block << 20 | i), rows))
    }

    /// Takes the values of the rows that are to be taken.
    pub(crate) fn take(&mut self, values: impl Iterator<Item = f64>) {
        self.keys.extend(values.filter(|x| x.is_finite()).map(key_of));
    }

    /// Adds what another sampler took of the same column.
    pub fn merge(&mut self, other: Sampler) {
        self.keys.extend(other.keys);
    }

    pub fn finish(self) -> Sample {
        Sample { keys: ascending(self.keys.into_iter().map(value_of).collect()) }
    }
}

impl Sample {
    /// A sample of a column that lies in memory.
    pub fn of(values: &[f64]) -> Sample {
        let rows = values.len() as u64;
        let places = (0..sample_size(rows) as u64).map(|i| scaled_to(mixed(i), rows) as usize);
        let sampled = places.filter_map(|place| values.get(place).copied()).filter(|x| x.is_finite());
        // -0.0 becomes 0.0.
        Sample { keys: ascending(sampled.map(|x| x + 0.0).collect()) }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn keys(&self) -> &[u64] {
        &self.keys
    }
}

fn ascending(mut values: Vec<f64>) -> Vec<u64> {
    let mut room = vec![0.0; values.len()];
    sort(&mut values, &mut room);
    values.into_iter().map(key_of).collect()
}

/// SplitMix64's output function (Steele, Lea and Flood, 2014).
fn mixed(i: u64) -> u64 {
    let x = i.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A 64-bit number mapped onto 0..n.
fn scaled_to(x: u64, n: u64) -> u64 {
    ((u128::from(x) * u128::from(n)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sampler_takes_about_what_was_asked_however_the_blocks_come() {
        let values: Vec<f64> = (0..BLOCK_ROWS).map(|i| i as f64).collect();
        for blocks in [1, 3, 40] {
            let rows = (blocks * BLOCK_ROWS) as u64;
            let (mut one, mut two) = (Sampler::new(rows), Sampler::new(rows));
            for block in 0..blocks as u64 {
                if block % 3 == 0 { &mut one } else { &mut two }.add(block, &values);
            }
            two.merge(one);
            let taken = two.finish().len();
            assert!(taken.abs_diff(sample_size(rows)) <= 1, "{taken} of {}", sample_size(rows));
        }
    }

    #[test]
    fn what_is_not_finite_is_not_sampled() {
        assert!(Sample::of(&[f64::NAN, f64::INFINITY]).is_empty());
        assert_eq!(Sample::of(&[]).len(), 0);
    }
}
