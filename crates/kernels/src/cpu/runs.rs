//! Runs of equal values in ascending order: how many there are, and the longest.

use crate::cpu::hash::ValueCounts;
use crate::cpu::simd::for_each_instruction_set;

/// Values that are compared before it is asked whether any was found.
const AT_ONCE: usize = 64;

/// How many different values there are, and the most frequent of them.
///
/// Of values that occur less than `sought` times none may be named.
pub(crate) fn runs(ascending: &[f64], sought: u64) -> ValueCounts {
    let Some((first, others)) = ascending.split_first() else { return ValueCounts::default() };
    let distinct = 1 + differences(others, ascending);
    let mode = longest(ascending, sought).or((sought <= 1).then_some((*first, 1)));
    ValueCounts { distinct, mode }
}

/// The first of the longest runs that have two values at least, and `sought`.
fn longest(ascending: &[f64], sought: u64) -> Option<(f64, u64)> {
    let mut mode = None;
    let mut length = usize::try_from(sought.max(2)).unwrap_or(usize::MAX);
    let mut from = 0;
    // A run of that length begins where a value is the same as the last that the run would have.
    while let Some(lasts) = ascending.get(from..).and_then(|rest| rest.get(length - 1..)) {
        let Some(place) = first_equal(lasts, &ascending[from..]) else { break };
        let value = lasts[place];
        let more = lasts[place..].partition_point(|x| *x == value);
        from += place + length - 1 + more;
        length += more;
        mode = Some((value, length as u64 - 1));
    }
    mode
}

/// The first place at which both have the same value.
fn first_equal(a: &[f64], b: &[f64]) -> Option<usize> {
    let begin = equal_from(a, b);
    let place = a[begin..].iter().zip(&b[begin..]).position(|(a, b)| a == b)?;
    Some(begin + place)
}

for_each_instruction_set! {
    /// A place before which no two values are the same.
    fn equal_from(a: &[f64], b: &[f64]) -> usize = equal_from_portable;
}

#[inline(always)]
fn equal_from_portable(a: &[f64], b: &[f64]) -> usize {
    let pairs = a.as_chunks::<AT_ONCE>().0.iter().zip(b.as_chunks::<AT_ONCE>().0);
    let apart = |(a, b): &(&[f64; AT_ONCE], &[f64; AT_ONCE])| {
        a.iter().zip(*b).fold(0, |equal, (a, b)| equal | u64::from(a == b)) == 0
    };
    pairs.take_while(apart).count() * AT_ONCE
}

for_each_instruction_set! {
    /// At how many places the values differ, as far as both go.
    fn differences(a: &[f64], b: &[f64]) -> u64 = differences_portable;
}

#[inline(always)]
fn differences_portable(a: &[f64], b: &[f64]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from(a != b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(value: f64, frequency: u64, distinct: u64) -> ValueCounts {
        ValueCounts { distinct, mode: Some((value, frequency)) }
    }

    #[test]
    fn the_smallest_of_the_most_frequent_values_is_the_mode() {
        for before in [0, 61, 62, 63, 64, 65, 200] {
            let mut values: Vec<f64> = (0..before).map(f64::from).collect();
            values.extend([300.0, 300.0, 300.0, 301.0, 302.0, 302.0, 302.0, 303.0, 303.0]);
            let distinct = before as u64 + 4;
            assert_eq!(runs(&values, 0), counted(300.0, 3, distinct), "{before}");
            assert_eq!(runs(&values, 3), counted(300.0, 3, distinct), "{before}");
            assert_eq!(runs(&values, 4), ValueCounts { distinct, mode: None }, "{before}");
        }
    }

    #[test]
    fn a_run_to_the_end_and_single_values_are_found() {
        assert_eq!(runs(&[], 1), ValueCounts::default());
        assert_eq!(runs(&[2.0], 1), counted(2.0, 1, 1));
        assert_eq!(runs(&[2.0, 5.0], 1), counted(2.0, 1, 2));
        assert_eq!(runs(&[7.0; 1000], 1), counted(7.0, 1000, 1));
        assert_eq!(runs(&[1.0, 7.0, 7.0], 2), counted(7.0, 2, 2));
    }
}
