//! The mergeable state of a column's moments, and the order in which states are merged.

use crate::dd::Dd;
use crate::power_of_two::scaled;

/// State of one block or of several merged. NaN is missing, ±inf is counted by sign, -0.0 is 0.0.
///
/// Mean and sums are of x·2^-exponent: in the column's units unless its magnitudes lie near the ends of f64.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    pub(crate) rows: u64,
    pub(crate) missing: u64,
    pub(crate) positive_infinite: u64,
    pub(crate) negative_infinite: u64,
    pub(crate) exponent: i32,
    pub(crate) mean: Dd,
    /// Sums of the second, third and fourth powers of the deviations from `mean`.
    pub(crate) m2: Dd,
    pub(crate) m3: Dd,
    pub(crate) m4: Dd,
    /// Unscaled; +inf and -inf while there is no finite value.
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Moments {
    /// Words that [`to_words`](Self::to_words) yields.
    pub const WORDS: usize = 15;

    pub(crate) const EMPTY: Moments = Moments {
        rows: 0,
        missing: 0,
        positive_infinite: 0,
        negative_infinite: 0,
        exponent: 0,
        mean: Dd::ZERO,
        m2: Dd::ZERO,
        m3: Dd::ZERO,
        m4: Dd::ZERO,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    /// Finite values seen.
    pub(crate) fn count(&self) -> u64 {
        self.rows - self.missing - self.positive_infinite - self.negative_infinite
    }

    /// The state of these rows followed by `later`'s (Pébay 2008, in double-double).
    ///
    /// Merging is not associative to the last bit: use [`merge_blocks`] where the same bits are wanted.
    pub fn merge(&self, later: &Moments) -> Moments {
        let counted = Moments {
            rows: self.rows + later.rows,
            missing: self.missing + later.missing,
            positive_infinite: self.positive_infinite + later.positive_infinite,
            negative_infinite: self.negative_infinite + later.negative_infinite,
            min: self.min.min(later.min),
            max: self.max.max(later.max),
            ..*self
        };
        if later.count() == 0 {
            return counted;
        }
        let exponent = self.magnitude().max(later.magnitude()).unwrap_or(0);
        let (a, b) = (self.at_exponent(exponent), later.at_exponent(exponent));
        if self.count() == 0 {
            return Moments { exponent, mean: b.mean, m2: b.m2, m3: b.m3, m4: b.m4, ..counted };
        }
        let [mean, m2, m3, m4] = pooled(&a, &b);
        Moments { exponent, mean, m2, m3, m4, ..counted }
    }

    /// The exponent this state is held at, or None where nothing but zeros was seen and any would do.
    fn magnitude(&self) -> Option<i32> {
        (self.count() > 0 && (self.min != 0.0 || self.max != 0.0)).then_some(self.exponent)
    }

    /// The same state held at an exponent that is not smaller; what is too small for it becomes 0.
    fn at_exponent(&self, exponent: i32) -> Moments {
        let shift = self.exponent - exponent;
        if shift == 0 {
            return *self;
        }
        let moved =
            |x: Dd, power: i32| Dd { hi: scaled(x.hi, power * shift), lo: scaled(x.lo, power * shift) };
        Moments {
            exponent,
            mean: moved(self.mean, 1),
            m2: moved(self.m2, 2),
            m3: moved(self.m3, 3),
            m4: moved(self.m4, 4),
            ..*self
        }
    }

    /// The state as words, for transport; counts, then the exponent, then the bits of the numbers.
    pub fn to_words(&self) -> [u64; Self::WORDS] {
        let bits = |x: Dd| [x.hi.to_bits(), x.lo.to_bits()];
        let [mean, mean_low] = bits(self.mean);
        let [m2, m2_low] = bits(self.m2);
        let [m3, m3_low] = bits(self.m3);
        let [m4, m4_low] = bits(self.m4);
        [
            self.rows,
            self.missing,
            self.positive_infinite,
            self.negative_infinite,
            i64::from(self.exponent) as u64,
            mean,
            mean_low,
            m2,
            m2_low,
            m3,
            m3_low,
            m4,
            m4_low,
            self.min.to_bits(),
            self.max.to_bits(),
        ]
    }

    /// The state of [`to_words`](Self::to_words); None where the words cannot be one.
    pub fn from_words(words: &[u64]) -> Option<Moments> {
        let &[rows, missing, positive_infinite, negative_infinite, exponent, ref numbers @ ..] = words else {
            return None;
        };
        let &[mean, mean_low, m2, m2_low, m3, m3_low, m4, m4_low, min, max] = numbers else {
            return None;
        };
        let dd = |hi: u64, lo: u64| {
            let number = Dd { hi: f64::from_bits(hi), lo: f64::from_bits(lo) };
            (number.hi.is_finite() && number.lo.is_finite()).then_some(number)
        };
        let apart = missing.checked_add(positive_infinite)?.checked_add(negative_infinite)?;
        let count = rows.checked_sub(apart)?;
        let (min, max) = (f64::from_bits(min), f64::from_bits(max));
        let exponent = i32::try_from(exponent as i64).ok().filter(|e| (-1074..=1023).contains(e))?;
        let range_is_sound =
            if count == 0 { min > max } else { min <= max && min.is_finite() && max.is_finite() };
        range_is_sound.then_some(Moments {
            rows,
            missing,
            positive_infinite,
            negative_infinite,
            exponent,
            mean: dd(mean, mean_low)?,
            m2: dd(m2, m2_low)?,
            m3: dd(m3, m3_low)?,
            m4: dd(m4, m4_low)?,
            min,
            max,
        })
    }
}

/// Mean, M2, M3 and M4 of two non-empty states that are held at one exponent.
fn pooled(a: &Moments, b: &Moments) -> [Dd; 4] {
    let n = Dd::from(a.count() + b.count());
    let n_a = Dd::from(a.count());
    let (share_a, share_b) = (n_a / n, Dd::from(b.count()) / n);
    let delta = b.mean - a.mean;
    let square = delta * delta;
    let between = square * n_a * share_b;
    let mean = a.mean + delta * share_b;
    let m2 = a.m2 + b.m2 + between;
    let m3 =
        a.m3 + b.m3 + between * delta * (share_a - share_b) + delta * (share_a * b.m2 - share_b * a.m2) * 3.0;
    let m4 = a.m4
        + b.m4
        + between * square * (share_a * share_a - share_a * share_b + share_b * share_b)
        + square * (share_a * share_a * b.m2 + share_b * share_b * a.m2) * 6.0
        + delta * (share_a * b.m3 - share_b * a.m3) * 4.0;
    [mean, m2.not_negative(), m3, m4.not_negative()]
}

/// Merges block states pairwise by block number: 2k with 2k+1, then those pairs likewise, up to one state.
///
/// The bits depend on the numbered blocks only, not on their order in `blocks`. Each number stands for one block.
pub fn merge_blocks(mut blocks: Vec<(u64, Moments)>) -> Moments {
    blocks.sort_by_key(|(number, _)| *number);
    while blocks.len() > 1 {
        let mut level: Vec<(u64, Moments)> = Vec::with_capacity(blocks.len().div_ceil(2));
        for (number, block) in blocks {
            match level.last_mut() {
                Some((pair, state)) if *pair == number / 2 => *state = state.merge(&block),
                _ => level.push((number / 2, block)),
            }
        }
        blocks = level;
    }
    blocks.pop().map_or(Moments::EMPTY, |(_, state)| state)
}
