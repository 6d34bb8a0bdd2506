//! A column of which each block is written once, by whoever comes first, and read by everybody from then on.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crate::BLOCK_ROWS;
use crate::huge_pages::zeroed;

const EMPTY: u8 = 0;
const CLAIMED: u8 = 1;
const THERE: u8 = 2;

/// Rows in memory, block by block as they become known.
pub struct KeptBlocks {
    rows: Vec<AtomicU64>,
    states: Vec<AtomicU8>,
}

impl KeptBlocks {
    /// Room for so many rows.
    pub fn new(rows: usize) -> KeptBlocks {
        let states = (0..rows.div_ceil(BLOCK_ROWS)).map(|_| AtomicU8::new(EMPTY)).collect();
        KeptBlocks { rows: zeroed(rows), states }
    }

    /// Fills a block, of which nobody has anything yet, and returns it. None where somebody else does or did; after an
    /// error the block stays unknown for good.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn fill<E>(
        &self,
        block: usize,
        fill: impl FnOnce(&mut [f64]) -> Result<(), E>,
    ) -> Option<Result<&[f64], E>> {
        let state = self.states.get(block)?;
        state.compare_exchange(EMPTY, CLAIMED, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        let rows = self.place(block);
        // SAFETY: the place lies within the rows, whose words are cells of the size and alignment of f64 with no
        // invalid bits. A block is claimed once and never given back, and nobody reads it before it is there: so this
        // is the only reference to it.
        let values = unsafe {
            let first = self.rows.as_ptr().add(rows.start).cast::<f64>().cast_mut();
            std::slice::from_raw_parts_mut(first, rows.end - rows.start)
        };
        if let Err(error) = fill(values) {
            return Some(Err(error));
        }
        state.store(THERE, Ordering::Release);
        self.get(block).map(Ok)
    }

    /// A block that is there.
    pub fn get(&self, block: usize) -> Option<&[f64]> {
        if self.states.get(block)?.load(Ordering::Acquire) != THERE {
            return None;
        }
        let rows = self.place(block);
        // SAFETY: as above; and what is there was written before, and is not written again.
        Some(unsafe {
            let first = self.rows.as_ptr().add(rows.start).cast::<f64>();
            std::slice::from_raw_parts(first, rows.end - rows.start)
        })
    }

    fn place(&self, block: usize) -> Range<usize> {
        let begin = (block * BLOCK_ROWS).min(self.rows.len());
        begin..(begin + BLOCK_ROWS).min(self.rows.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_filled_once_and_read_by_all() {
        let kept = KeptBlocks::new(3 * BLOCK_ROWS + 5);
        let filled = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for block in 0..4 {
                        let mine = kept.fill(block, |rows| {
                            rows.iter_mut()
                                .enumerate()
                                .for_each(|(i, x)| *x = (block * BLOCK_ROWS + i) as f64);
                            Ok::<(), ()>(())
                        });
                        filled.fetch_add(usize::from(mine.is_some()), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(filled.into_inner(), 4);
        assert_eq!(kept.get(3).unwrap(), [196_608.0, 196_609.0, 196_610.0, 196_611.0, 196_612.0]);
        assert_eq!(kept.get(1).unwrap()[7], 65_543.0);
        assert!(kept.get(4).is_none() && kept.fill(4, |_| Ok::<(), ()>(())).is_none());
    }

    #[test]
    fn a_block_that_could_not_be_filled_stays_unknown() {
        let kept = KeptBlocks::new(10);
        assert_eq!(kept.fill(0, |_| Err("no")), Some(Err("no")));
        assert!(kept.get(0).is_none() && kept.fill(0, |_| Ok::<(), ()>(())).is_none());
    }
}
