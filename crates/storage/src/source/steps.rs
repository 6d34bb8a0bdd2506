//! How far a step of a job is, summed over scans that run side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ScanControl;
use caudal_core::ports::{ProgressSink, StageInput};

/// The cells that a step goes over, in all its scans. Cheap to clone.
#[derive(Clone)]
pub struct Steps {
    input: StageInput,
    step: &'static str,
    /// Foreseen; scans beyond that only keep the bar at its end.
    total: u64,
    done: Arc<AtomicU64>,
}

impl Steps {
    pub fn new(input: &StageInput, step: &'static str, total: u64) -> Steps {
        Steps { input: input.clone(), step, total, done: Arc::default() }
    }

    /// Counts cells that somebody has gone over.
    pub fn add(&self, cells: u64) {
        let done = self.done.fetch_add(cells, Ordering::Relaxed) + cells;
        self.input.progress.report(self.step, done.min(self.total), self.total);
    }

    /// Control of one column's scans, whose progress adds to that of all.
    pub fn control(&self) -> ScanControl {
        let (steps, mine) = (self.clone(), AtomicU64::new(0));
        let add = move |_: &str, now: u64, _: u64| {
            let before = mine.swap(now, Ordering::Relaxed);
            // Each scan counts from its own beginning.
            steps.add(if now >= before { now - before } else { now });
        };
        ScanControl { progress: ProgressSink::new(add), ..ScanControl::new(&self.input, self.step) }
    }

    pub fn finish(&self) {
        self.input.progress.report(self.step, self.total, self.total);
    }
}
