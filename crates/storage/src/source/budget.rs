//! The memory that all jobs of this process share for what they hold of their sources.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that may be held, and how many are.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    limit: u64,
    held: AtomicU64,
}

impl Budget {
    pub fn new(limit: u64) -> Arc<Budget> {
        Arc::new(Budget { limit, held: AtomicU64::new(0) })
    }
}

/// What one holder has of the budget; free again when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Reservation {
    pub fn of(budget: &Arc<Budget>) -> Reservation {
        Reservation { budget: budget.clone(), bytes: 0 }
    }

    /// Grows to cover so many bytes; false, with nothing changed, where others leave too little.
    pub fn cover(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let grown = self.budget.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(more).filter(|held| *held <= self.budget.limit)
        });
        if grown.is_ok() {
            self.bytes += more;
        }
        grown.is_ok()
    }

    /// Gives back what is beyond so many bytes.
    pub fn shrink_to(&mut self, bytes: u64) {
        let less = self.bytes.saturating_sub(bytes);
        self.budget.held.fetch_sub(less, Ordering::Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_holds_another_cannot_have_until_it_is_given_back() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (Reservation::of(&budget), Reservation::of(&budget));
        assert!(one.cover(60) && one.cover(50), "what is covered already costs nothing");
        assert!(!two.cover(41) && two.cover(40));
        assert!(!one.cover(61));
        one.shrink_to(30);
        assert!(two.cover(70) && !two.cover(71));
        drop(one);
        assert!(two.cover(100));
    }
}
