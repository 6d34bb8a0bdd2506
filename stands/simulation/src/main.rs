//! Runs orchestration and journal under seeded faults in virtual time: many seeds, or one again.
//!
//! `simulation [SEEDS] [FIRST]`; `CAUDAL_SEED=N simulation` runs that seed alone, twice, and compares.

// The journal's own files, without those of its crate that read data: they alone would take minutes to build.
#[allow(dead_code)]
#[path = "../../../crates/storage/src/bucket.rs"]
mod bucket;
mod chance;
#[allow(dead_code)]
#[path = "../../../crates/storage/src/durable.rs"]
mod durable;
#[path = "../../../crates/storage/src/index.rs"]
mod index;
#[path = "../../../crates/storage/src/journal.rs"]
mod journal;
#[allow(dead_code)]
#[path = "../../../crates/storage/src/keys.rs"]
mod keys;
#[path = "../../../crates/storage/src/large.rs"]
mod large;
#[allow(dead_code)]
mod outside;
mod ports;
#[path = "../../../crates/storage/src/records.rs"]
mod records;
#[allow(dead_code)]
#[path = "../../../crates/storage/src/removal.rs"]
mod removal;
mod store;
mod world;

/// Numbers that come with a request are stored as Arrow; what they are is of no matter here.
mod inline {
    pub fn encode(table: &caudal_core::request::InlineTable) -> caudal_core::Result<Vec<u8>> {
        Ok(format!("{table:?}").into_bytes())
    }
}

/// Where the journal's files look for S3.
#[allow(unused_imports)]
mod s3 {
    pub use crate::outside::{Presigner, S3Location};
}

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outside::{S3Location, file_uri};
use world::Tally;

fn main() -> ExitCode {
    // A stage that is to fall does so in silence.
    let replayed = std::env::var("CAUDAL_SEED").ok().and_then(|seed| seed.parse().ok());
    match replayed {
        Some(seed) => replay(seed),
        None => {
            let number = |n| std::env::args().nth(n).and_then(|text| text.parse().ok());
            many(number(1).unwrap_or(10_000), number(2).unwrap_or(1))
        }
    }
}

fn simulate(seed: u64) -> Result<Tally, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|e| format!("no runtime: {e}"))?;
    let run = std::panic::AssertUnwindSafe(|| runtime.block_on(world::run(seed)));
    std::panic::catch_unwind(run).unwrap_or_else(|_| Err("it fell".into()))
}

/// The same seed gives the same run.
fn replay(seed: u64) -> ExitCode {
    let (first, second) = (simulate(seed), simulate(seed));
    println!("seed {seed}: {first:?}");
    if first != second {
        println!("the second run was another one: {second:?}");
        return ExitCode::from(2);
    }
    ExitCode::from(u8::from(first.is_err()))
}

fn many(seeds: u64, first: u64) -> ExitCode {
    let begun = std::time::Instant::now();
    let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
    let all = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || failed.load(Ordering::Relaxed) {
                        return;
                    }
                    match simulate(seed) {
                        Ok(tally) => add(&mut all.lock().expect("nobody panics with it"), &tally),
                        Err(wrong) => {
                            failed.store(true, Ordering::Relaxed);
                            println!("seed {seed}: {wrong}; again with CAUDAL_SEED={seed}");
                        }
                    }
                }
            });
        }
    });
    if failed.load(Ordering::Relaxed) {
        return ExitCode::FAILURE;
    }
    // A seed that is run twice gives the same run, or a failure could not be looked into.
    if (first..first + seeds.min(20)).any(|seed| simulate(seed) != simulate(seed)) {
        println!("a seed that was run twice gave two different runs");
        return ExitCode::FAILURE;
    }
    let tally = all.lock().expect("nobody panics with it").clone();
    println!(
        "{seeds} seeds in {:.0} s, nothing lost, nothing doubled, nothing out of order:",
        begun.elapsed().as_secs_f64()
    );
    println!("{tally:?}");
    ExitCode::SUCCESS
}

fn add(all: &mut Tally, one: &Tally) {
    all.promised += one.promised;
    all.refused += one.refused;
    all.completed += one.completed;
    all.failed += one.failed;
    all.cancelled += one.cancelled;
    all.parked += one.parked;
    all.deaths += one.deaths;
    all.takeovers += one.takeovers;
    all.retries += one.retries;
    all.requests += one.requests;
}
