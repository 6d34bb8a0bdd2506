//! A column as something that can be gone over block by block, any number of times, on every core.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::BLOCK_ROWS;

/// Blocks that a worker takes at once.
const UNIT: usize = 4;

/// A column of numbers, NaN for missing, wherever it lies.
pub trait BlockScan: Sync {
    type Error: Send;

    /// Missing ones included.
    fn rows(&self) -> u64;

    /// Hands each block (its number and its rows) to one of several workers, each with a state of its own, and gives
    /// the states back. Which worker gets which block is not defined.
    ///
    /// # Errors
    /// Whatever stops the column from being read.
    fn scan<S: Send>(
        &self,
        begin: impl Fn() -> S + Sync,
        add: impl Fn(&mut S, u64, &[f64]) + Sync,
    ) -> Result<Vec<S>, Self::Error>;
}

/// A column in memory, gone over on the current rayon pool.
pub struct InMemory<'v>(pub &'v [f64]);

impl BlockScan for InMemory<'_> {
    type Error = Infallible;

    fn rows(&self) -> u64 {
        self.0.len() as u64
    }

    fn scan<S: Send>(
        &self,
        begin: impl Fn() -> S + Sync,
        add: impl Fn(&mut S, u64, &[f64]) + Sync,
    ) -> Result<Vec<S>, Infallible> {
        let units: Vec<&[f64]> = self.0.chunks(UNIT * BLOCK_ROWS).collect();
        let next = AtomicUsize::new(0);
        let states = Mutex::new(Vec::new());
        let work = || {
            let mut state = begin();
            while let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) {
                let place = (unit.as_ptr() as usize - self.0.as_ptr() as usize) / size_of::<f64>();
                for (i, block) in unit.chunks(BLOCK_ROWS).enumerate() {
                    add(&mut state, (place / BLOCK_ROWS + i) as u64, block);
                }
            }
            states.lock().unwrap_or_else(PoisonError::into_inner).push(state);
        };
        match units.len().min(rayon::current_num_threads()) {
            0 | 1 => work(),
            workers => rayon::scope(|scope| (0..workers).for_each(|_| scope.spawn(|_| work()))),
        }
        Ok(states.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The answer of something that cannot fail.
pub(crate) fn infallible<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}
