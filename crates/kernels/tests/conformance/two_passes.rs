//! One pass or two over blocks give what sorting the whole column gives, whatever the sample, the memory and the
//! instructions.

use caudal_kernels::{
    BLOCK_ROWS, BlockScan, InMemory, Instructions, Method, ProfileOptions, Sample, Sampler, fit, fit_column,
    profile_column, profile_sorted, profile_surveyed, survey,
};
use proptest::prelude::*;

use crate::cases;

fn check(case: &str, values: &[f64], sample: &Sample) {
    for distinct in [true, false] {
        let expected = profile_sorted(values, distinct);
        // Held and sorted by parts; held and counted by parts; counted in several rounds.
        for held_values in [u64::MAX, values.len() as u64, 5_000] {
            let options = ProfileOptions { distinct, held_values };
            let Ok(found) = profile_column(&InMemory(values), sample, options);
            assert!(
                found == expected,
                "{case}, distinct {distinct}, {held_values}: {found:#?} {expected:#?}"
            );
        }
    }
}

/// Columns over several blocks, one for each thing that is hard for brackets or hash counters.
pub fn large() -> Vec<(&'static str, Vec<f64>)> {
    let rows = 2 * BLOCK_ROWS + 4_321;
    let count = |i: usize| i as f64;
    let normal = cases::normal(3, rows);
    let sprinkled = normal.iter().enumerate().map(|(i, x)| match i % 97 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        _ => *x,
    });
    vec![
        ("all different", normal.clone()),
        ("with all that is not finite", sprinkled.collect()),
        ("ascending", (0..rows).map(count).collect()),
        ("descending", (0..rows).rev().map(|i| count(i) / 7.0).collect()),
        (
            "one value in 99 of 100 rows",
            (0..rows).map(|i| if i % 100 == 0 { count(i) } else { 0.5 }).collect(),
        ),
        ("two values", (0..rows).map(|i| count(i % 2)).collect()),
        ("constant", vec![-3.5; rows]),
        ("all missing", vec![f64::NAN; rows]),
        ("all infinite", vec![f64::NEG_INFINITY; rows]),
        ("whole numbers up to a thousand", normal.iter().map(|x| (x * 300.0).round()).collect()),
        ("heavy tails", normal.iter().map(|x| (x * 40.0).exp()).collect()),
        ("hundredths", normal.iter().map(|x| (x.exp() * 100.0).round() / 100.0).collect()),
        ("every value twice", (0..rows).map(|i| count(i / 2)).collect()),
        (
            "neighbours of zero",
            (0..rows).map(|i| f64::from_bits(i as u64 % 5) * if i % 2 == 0 { -1.0 } else { 1.0 }).collect(),
        ),
        ("every magnitude", normal.iter().map(|x| (x * 120.0).exp() * x.signum()).collect()),
        (
            "a cluster among others",
            normal
                .iter()
                .enumerate()
                .map(|(i, x)| if i % 2 == 0 { 1.0 + x * 1e-13 } else { x * 1e9 })
                .collect(),
        ),
        ("near the ends of f64", normal.iter().map(|x| x * 2.5e307).collect()),
    ]
}

#[test]
fn columns_over_several_blocks_equal_their_sorted_selves() {
    for (case, values) in large() {
        check(case, &values, &Sample::of(&values));
    }
}

#[test]
fn named_columns_equal_their_sorted_selves() {
    for (case, values) in cases::named() {
        check(case, &values, &Sample::of(&values));
    }
}

#[test]
fn a_sample_that_tells_nothing_or_lies_changes_no_result() {
    let far: Vec<f64> = (0..20_000).map(|i| 1e12 + f64::from(i)).collect();
    for (case, values) in large().into_iter().take(7) {
        check(case, &values, &Sample::of(&[]));
        check(case, &values, &Sample::of(&far));
        check(case, &values, &Sample::of(&values[..5_000]));
    }
}

#[test]
fn every_set_of_instructions_gives_the_same_bits() {
    for (case, values) in large() {
        let sample = Sample::of(&values);
        let options = ProfileOptions::default();
        let words = |instructions: Instructions| {
            instructions.allow_at_most();
            let Ok(found) = profile_column(&InMemory(&values), &sample, options);
            (format!("{found:?}"), caudal_kernels::moments(&values).to_words())
        };
        let found = Instructions::ALL.map(words);
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{case}: {found:#?}");
    }
}

#[test]
fn a_survey_fits_every_method_as_the_whole_column_does() {
    for (case, values) in large() {
        for method in [Method::Zscore, Method::Minmax, Method::Maxabs, Method::Robust, Method::None] {
            let column = InMemory(&values);
            let Ok(surveyed) = survey(&column);
            let Ok(found) = fit_column(method, &column, &surveyed);
            assert!(found == fit(method, &values), "{case}, {method:?}");
        }
    }
}

#[test]
fn a_surveyed_column_has_the_profile_that_it_has_unsurveyed() {
    for (case, values) in large() {
        let column = InMemory(&values);
        let Ok(surveyed) = survey(&column);
        for held_values in [u64::MAX, 5_000] {
            let options = ProfileOptions { distinct: true, held_values };
            let Ok(found) = profile_surveyed(&column, &surveyed, options);
            assert!(found == profile_sorted(&values, true), "{case}, {held_values}");
        }
    }
}

#[test]
fn a_sampler_hands_the_same_sample_whatever_worker_sees_a_block() {
    let values = cases::normal(9, 3 * BLOCK_ROWS);
    let column = InMemory(&values);
    let sample = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let Ok(samplers) =
                column.scan(|| Sampler::new(column.rows()), |s, block, rows| s.add(block, rows));
            let mut all = Sampler::new(column.rows());
            samplers.into_iter().for_each(|sampler| all.merge(sampler));
            all.finish()
        })
    };
    assert_eq!(sample(1), sample(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_column_and_any_sample_equal_the_sorted_column(
        values in prop::collection::vec(
            prop_oneof![
                4 => -1e3..1e3,
                3 => (-9i32..9).prop_map(f64::from),
                1 => any::<f64>(),
                1 => Just(f64::NAN),
            ],
            1..3_000,
        ),
        sampled in prop::collection::vec(-1e3..1e3, 0..200),
    ) {
        check("random", &values, &Sample::of(&sampled));
        check("random", &values, &Sample::of(&values));
    }
}
