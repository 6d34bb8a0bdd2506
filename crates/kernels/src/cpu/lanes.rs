//! Sums in eight virtual lanes, whatever the width of the SIMD unit, compensated between chunks of rows.

use crate::dd::{Dd, two_sum};

/// Virtual lanes: row i of a block belongs to lane i mod 8.
pub(crate) const LANES: usize = 8;

/// Rows summed plainly before the sums are added with compensation: at most 32 roundings in a lane.
pub(crate) const CHUNK: usize = 256;

/// One number per lane.
pub(crate) type Lanes = [f64; LANES];

/// A running sum per lane together with its accumulated rounding error.
#[derive(Clone, Copy, Default)]
pub(crate) struct CompensatedLanes {
    sum: Lanes,
    error: Lanes,
}

impl CompensatedLanes {
    #[inline(always)]
    pub fn add(&mut self, terms: &Lanes) {
        for (lane, &term) in terms.iter().enumerate() {
            let (sum, error) = two_sum(self.sum[lane], term);
            self.sum[lane] = sum;
            self.error[lane] += error;
        }
    }

    /// All lanes together, in lane order.
    pub fn total(&self) -> Dd {
        let lanes = self.sum.iter().zip(&self.error);
        lanes.fold(Dd::ZERO, |total, (&sum, &error)| total + Dd::sum(sum, error))
    }
}

/// What is left behind whole lane rows as one more, filled up with NaN; None where nothing is left.
#[inline(always)]
pub(crate) fn padded(rest: &[f64]) -> Option<Lanes> {
    let mut last = [f64::NAN; LANES];
    last.get_mut(..rest.len()).filter(|place| !place.is_empty())?.copy_from_slice(rest);
    Some(last)
}

/// Sums of a chunk of whole lane rows.
#[inline(always)]
pub(crate) fn chunk_sum(chunk: &[f64]) -> Lanes {
    let mut sum = [0.0; LANES];
    for row in chunk.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            sum[lane] += row[lane];
        }
    }
    sum
}

/// Sums of the first four powers of the deviations from `center`, over a chunk of whole lane rows.
#[inline(always)]
pub(crate) fn chunk_power_sums(chunk: &[f64], center: f64) -> [Lanes; 4] {
    let [mut s1, mut s2, mut s3, mut s4] = [[0.0; LANES]; 4];
    for row in chunk.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            let d = row[lane] - center;
            let square = d * d;
            s1[lane] += d;
            s2[lane] += square;
            s3[lane] += square * d;
            s4[lane] += square * square;
        }
    }
    [s1, s2, s3, s4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_lane_loses_beside_a_large_sum_is_kept() {
        let mut sum = CompensatedLanes::default();
        for term in [1e16, 1.0, 1.0, 1.0, -1e16] {
            sum.add(&[term; LANES]);
        }
        assert_eq!(sum.total().hi, 24.0);
    }
}
