//! What each kernel takes on a million rows that lie in memory: `cargo bench -p caudal-kernels`.

use caudal_kernels::{
    CountsBelow, InMemory, Instructions, Method, Moments, Pass, ProfileOptions, Profiling, Sample, apply,
    fit, huge_column, profile_column, profile_sorted,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const ROWS: usize = 1 << 20;

/// A mixture of continuous values and hundredths with a few missing ones, the same on every run.
fn column() -> Vec<f64> {
    let mut state = 42u64;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut values = huge_column(ROWS);
    for (i, x) in values.iter_mut().enumerate() {
        let bell: f64 = (0..6).map(|_| uniform()).sum::<f64>() - 3.0;
        *x = match i % 1000 {
            0 => f64::NAN,
            r if r % 5 < 2 => ((3.0 + bell).exp() * 100.0).round() / 100.0,
            _ => 50.0 + 10.0 * bell,
        };
    }
    values
}

fn sets() -> Vec<Instructions> {
    Instructions::ALL.into_iter().filter(|set| *set <= Instructions::supported()).collect()
}

#[divan::bench(args = sets())]
fn moments_of_blocks(bencher: Bencher<'_, '_>, set: Instructions) {
    set.allow_at_most();
    let values = column();
    let blocks = || values.chunks(caudal_kernels::BLOCK_ROWS).map(Moments::of_block).collect::<Vec<_>>();
    bencher.counter(ItemsCount::new(ROWS)).bench_local(blocks);
    Instructions::Avx512.allow_at_most();
}

#[divan::bench(args = sets())]
fn counts_below_32_thresholds(bencher: Bencher<'_, '_>, set: Instructions) {
    set.allow_at_most();
    let values = column();
    let counts = CountsBelow::new((0..32).map(f64::from).collect());
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| {
        let mut counts = counts.clone();
        counts.add(black_box(&values));
        counts
    });
    Instructions::Avx512.allow_at_most();
}

#[divan::bench(args = sets())]
fn first_pass(bencher: Bencher<'_, '_>, set: Instructions) {
    set.allow_at_most();
    let values = column();
    let profiling = Profiling::new(Sample::of(&values), ProfileOptions::default());
    let Some(pass) = profiling.pass() else { return };
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| over_blocks(pass, &values));
    Instructions::Avx512.allow_at_most();
}

fn over_blocks(pass: &Pass, values: &[f64]) -> caudal_kernels::Share {
    let mut share = pass.begin();
    for (block, rows) in (0..).zip(values.chunks(caudal_kernels::BLOCK_ROWS)) {
        share.add(block, rows);
    }
    share
}

/// What sends every value of a column that is held to its part, moments included.
#[divan::bench(args = sets())]
fn only_pass(bencher: Bencher<'_, '_>, set: Instructions) {
    set.allow_at_most();
    let values = column();
    let profiling = held(&values);
    let Some(pass) = profiling.pass() else { return };
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| over_blocks(pass, &values));
    Instructions::Avx512.allow_at_most();
}

/// What is left after it: every part sorted, and everything read off.
#[divan::bench(args = sets())]
fn sorted_parts(bencher: Bencher<'_, '_>, set: Instructions) {
    set.allow_at_most();
    let values = column();
    let passed = || {
        let profiling = held(&values);
        let share = profiling.pass().map(|pass| over_blocks(pass, &values));
        (profiling, share)
    };
    bencher.counter(ItemsCount::new(ROWS)).with_inputs(passed).bench_local_values(
        |(mut profiling, share)| {
            profiling.take(share.into_iter().collect());
            profiling.finish()
        },
    );
    Instructions::Avx512.allow_at_most();
}

fn held(values: &[f64]) -> Profiling {
    Profiling::of_rows(values.len() as u64, Sample::of(values), ProfileOptions::default())
}

#[divan::bench]
fn sample(bencher: Bencher<'_, '_>) {
    let values = column();
    bencher.bench_local(|| Sample::of(black_box(&values)));
}

#[divan::bench]
fn z_score_written(bencher: Bencher<'_, '_>) {
    let values = column();
    let mut out = huge_column(ROWS);
    let parameters = fit(Method::Zscore, &values).parameters;
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| apply(&parameters, black_box(&values), &mut out));
}

#[divan::bench(args = [false, true])]
fn whole_profile_with_distinct(bencher: Bencher<'_, '_>, distinct: bool) {
    let values = column();
    let sample = Sample::of(&values);
    let options = ProfileOptions { distinct, ..ProfileOptions::default() };
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench_local(|| profile_column(&InMemory(black_box(&values)), &sample, options));
}

#[divan::bench]
fn whole_profile_by_sorting(bencher: Bencher<'_, '_>) {
    let values = column();
    bencher.counter(ItemsCount::new(ROWS)).bench_local(|| profile_sorted(black_box(&values), true));
}
