//! Random columns of mixed magnitudes, duplicates and specials, through every check.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::{accuracy, normalization, order_statistics};

fn specials() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::from_bits(1),
        f64::MIN_POSITIVE,
        f64::MAX,
        f64::MIN,
    ])
}

/// Numbers of one kind: duplicates, ordinary, close together about an offset, or of any bits.
fn kind(which: u8, offset: f64) -> BoxedStrategy<f64> {
    match which {
        0 => (-3i32..4).prop_map(f64::from).boxed(),
        1 => (-1e3f64..1e3).boxed(),
        2 => (0u64..50).prop_map(move |steps| f64::from_bits(offset.to_bits() + steps)).boxed(),
        3 => ((-1.0f64..1.0), -320i32..308).prop_map(|(x, e)| x * 10f64.powi(e)).boxed(),
        _ => any::<u64>().prop_map(f64::from_bits).boxed(),
    }
}

/// A column of one or two kinds, with specials in half of the cases.
fn column() -> impl Strategy<Value = Vec<f64>> {
    let choice = (0u8..5, 0u8..5, 1e-5f64..1e9, any::<bool>(), 0usize..300);
    choice.prop_flat_map(|(first, second, offset, with_specials, rows)| {
        let weight = u32::from(with_specials);
        let cell = prop_oneof![8 => kind(first, offset), 4 => kind(second, offset), weight.max(1) => if with_specials { specials().boxed() } else { kind(first, offset) }];
        vec(cell, rows)
    })
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn random_columns_meet_every_bound_and_definition(values in column()) {
        accuracy::check("random", &values);
        order_statistics::check("random", &values);
        normalization::check("random", &values);
    }

    #[test]
    fn merging_any_two_parts_keeps_the_counts_and_the_range(values in column(), cut in 0usize..300) {
        use caudal_kernels::Moments;
        let (first, second) = values.split_at(cut.min(values.len()));
        let merged = Moments::of_block(first).merge(&Moments::of_block(second)).summary();
        let whole = Moments::of_block(&values).summary();
        prop_assert_eq!((merged.rows, merged.missing, merged.count), (whole.rows, whole.missing, whole.count));
        prop_assert_eq!((merged.min, merged.max, merged.range), (whole.min, whole.max, whole.range));
    }
}
