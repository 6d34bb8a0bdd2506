//! The histogram definition: 20 equal bins between minimum and maximum, counted by comparison with the edges.

const BINS: u32 = 20;

/// Ascending edges and the values between each two; one count fewer than edges, both empty for no values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramBins {
    pub edges: Vec<f64>,
    pub counts: Vec<u64>,
}

impl HistogramBins {
    /// Counts `n` values by how many of them lie strictly below an edge.
    pub(crate) fn counted(edges: Vec<f64>, n: u64, count_below: impl Fn(f64) -> u64) -> HistogramBins {
        let bins = edges.len().saturating_sub(1);
        let mut starts: Vec<u64> = edges.iter().take(bins).map(|&edge| count_below(edge)).collect();
        starts.push(n);
        let counts = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        HistogramBins { edges, counts }
    }
}

/// min + (max − min)·(j/20) for j = 0..=20, equal edges merged; on halves where max − min is beyond f64.
///
/// A constant v gives [v, next f64 above]; there is none above f64::MAX, whose one bin is [v, v].
pub fn histogram_edges(min: f64, max: f64) -> Vec<f64> {
    let (min, max) = (min + 0.0, max + 0.0);
    if min == max {
        return vec![min, min.next_up().min(f64::MAX)];
    }
    let range = max - min;
    let edge = |j: u32| {
        let share = f64::from(j) / f64::from(BINS);
        if range.is_finite() {
            min + range * share
        } else {
            (min / 2.0 + (max / 2.0 - min / 2.0) * share) * 2.0
        }
    };
    let mut edges: Vec<f64> = (0..BINS).map(edge).chain([max]).collect();
    edges.dedup();
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_has_one_bin_up_to_the_next_number() {
        assert_eq!(histogram_edges(2.0, 2.0), [2.0, 2.0f64.next_up()]);
        assert_eq!(histogram_edges(-0.0, 0.0), [0.0, f64::from_bits(1)]);
        assert_eq!(histogram_edges(f64::MAX, f64::MAX), [f64::MAX, f64::MAX]);
    }

    #[test]
    fn edges_too_close_to_differ_are_merged() {
        assert_eq!(histogram_edges(1.0, 1.0f64.next_up()), [1.0, 1.0f64.next_up()]);
    }

    #[test]
    fn a_range_beyond_f64_still_has_twenty_bins() {
        let edges = histogram_edges(-f64::MAX, f64::MAX);
        assert_eq!(edges.len(), 21);
        assert!(edges.windows(2).all(|pair| pair[0] < pair[1] && pair[0].is_finite()));
    }
}
