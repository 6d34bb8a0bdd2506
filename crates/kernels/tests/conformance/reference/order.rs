//! Order statistics and counts by their plain definitions, one value at a time.

use std::collections::HashMap;

/// The finite values in ascending order, -0.0 as 0.0.
pub fn ascending(values: &[f64]) -> Vec<f64> {
    let mut finite: Vec<f64> = values.iter().filter(|x| x.is_finite()).map(|x| x + 0.0).collect();
    finite.sort_by(f64::total_cmp);
    finite
}

/// Hyndman and Fan's type 7 on ascending values.
pub fn percentile(x: &[f64], p: usize) -> Option<f64> {
    let last = x.len().checked_sub(1)?;
    let (i, r) = (p * last / 100, p * last % 100);
    if r == 0 {
        return Some(x[i]);
    }
    let (a, b, t) = (x[i], x[i + 1], r as f64 / 100.0);
    Some(if (b - a).is_infinite() {
        a * (1.0 - t) + b * t
    } else if r < 50 {
        a + (b - a) * t
    } else {
        b - (b - a) * (1.0 - t)
    })
}

/// The most frequent value, the smallest of ties, and the number of different values.
pub fn mode_and_distinct(x: &[f64]) -> (Option<(f64, u64)>, u64) {
    let mut frequencies: HashMap<u64, u64> = HashMap::new();
    for value in x {
        *frequencies.entry(value.to_bits()).or_default() += 1;
    }
    let all = frequencies.iter().map(|(&bits, &frequency)| (f64::from_bits(bits), frequency));
    let mode = all.max_by(|(a, fa), (b, fb)| fa.cmp(fb).then(b.total_cmp(a)));
    (mode, frequencies.len() as u64)
}

/// Each value put, by comparison, into the last bin that does not begin above it.
pub fn histogram_counts(x: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len().saturating_sub(1)];
    for &value in x {
        let last = edges.iter().rposition(|&edge| edge <= value).expect("no value is below the first edge");
        let bin = last.min(counts.len() - 1);
        counts[bin] += 1;
    }
    counts
}

/// Edges for a range that is within f64 and is not 0.
pub fn histogram_edges(min: f64, max: f64) -> Vec<f64> {
    let mut edges: Vec<f64> = Vec::new();
    for j in 0..=20 {
        let edge = if j == 20 { max } else { min + (max - min) * (j as f64 / 20.0) };
        if edges.last() != Some(&edge) {
            edges.push(edge);
        }
    }
    edges
}
