//! The same bits for any number of threads and any order in which blocks arrive.

use caudal_kernels::{BLOCK_ROWS, Fit, Method, Moments, Profile, apply, fit, merge_blocks, moments, profile};

use crate::cases;

/// Seven blocks, the last not full, with missing values and both infinities.
fn column() -> Vec<f64> {
    let mut values = cases::normal(21, 6 * BLOCK_ROWS + 1234);
    values.iter_mut().step_by(1009).for_each(|x| *x = f64::NAN);
    values.iter_mut().skip(5).step_by(70_001).for_each(|x| *x = f64::INFINITY);
    values.iter_mut().skip(7).step_by(50_021).for_each(|x| *x *= 1e180);
    values
}

fn numbered(values: &[f64]) -> Vec<(u64, Moments)> {
    (0..).zip(values.chunks(BLOCK_ROWS).map(Moments::of_block)).collect()
}

fn with_threads(threads: usize, values: &[f64]) -> (Moments, Profile, Fit, Vec<u64>) {
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of a few threads starts");
    pool.install(|| {
        let fitted = fit(Method::Robust, values);
        let mut written = vec![0.0; values.len()];
        apply(&fitted.parameters, values, &mut written);
        let bits = written.iter().map(|x| x.to_bits()).collect();
        (moments(values), profile(values, true), fitted, bits)
    })
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let values = column();
    let one = with_threads(1, &values);
    for threads in [2, 3] {
        let more = with_threads(threads, &values);
        assert_eq!(one.0.to_words(), more.0.to_words());
        assert!(one == more, "{threads} threads differ from one");
    }
}

#[test]
fn blocks_in_any_order_merge_to_the_same_bits() {
    let values = column();
    let expected = moments(&values).to_words();
    let mut blocks = numbered(&values);
    for step in [1, 2, 3, 5] {
        blocks.rotate_left(step);
        blocks.swap(0, step);
        assert_eq!(merge_blocks(blocks.clone()).to_words(), expected);
    }
    blocks.reverse();
    assert_eq!(merge_blocks(blocks).to_words(), expected);
}

#[test]
fn blocks_merge_by_number_and_not_by_place() {
    let blocks = numbered(&column());
    let without = |gap: u64| -> Vec<(u64, Moments)> {
        blocks.iter().copied().filter(|(number, _)| *number != gap).collect()
    };
    let [b0, b2, b3] = [0, 2, 3].map(|i: usize| blocks[i].1);
    let four: Vec<_> = without(1).into_iter().take(3).collect();
    assert_eq!(merge_blocks(four).to_words(), b0.merge(&b2.merge(&b3)).to_words());
}

#[test]
fn an_empty_block_changes_nothing_but_the_row_count() {
    let block = Moments::of_block(&[1.0, 2.0, 4.0]);
    let empty = Moments::of_block(&[f64::NAN]);
    for merged in [block.merge(&empty), empty.merge(&block)] {
        let summary = merged.summary();
        assert_eq!((summary.rows, summary.missing, summary.count), (4, 1, 3));
        assert_eq!((summary.mean, summary.variance), (block.summary().mean, block.summary().variance));
    }
    assert_eq!(merge_blocks(vec![]).summary().rows, 0);
}

#[test]
fn a_state_survives_its_words() {
    for (case, values) in cases::named() {
        let state = moments(&values);
        assert_eq!(Moments::from_words(&state.to_words()), Some(state), "{case}");
    }
}

#[test]
fn words_that_cannot_be_a_state_are_refused() {
    let words = Moments::of_block(&[1.0, 2.0]).to_words();
    let changed = |i: usize, word: u64| {
        let mut changed = words;
        changed[i] = word;
        Moments::from_words(&changed)
    };
    assert_eq!(Moments::from_words(&words[1..]), None, "too few");
    assert_eq!(changed(1, 3), None, "more missing than rows");
    assert_eq!(changed(1, u64::MAX), None, "counts that overflow");
    assert_eq!(changed(4, 5000), None, "an exponent beyond f64");
    assert_eq!(changed(5, f64::NAN.to_bits()), None, "a mean that is not a number");
    assert_eq!(changed(13, f64::INFINITY.to_bits()), None, "a minimum above the maximum");
}
