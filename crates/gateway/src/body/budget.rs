//! The room that the bodies of all requests share: what does not fit is told to come back later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use caudal_core::{Error, ErrorKind, Result};

/// Bytes that bodies may take at the same time. Clones share them.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    taken: Arc<AtomicU64>,
    limit: u64,
}

impl BodyBudget {
    pub fn new(limit: u64) -> BodyBudget {
        BodyBudget { taken: Arc::default(), limit }
    }

    /// Takes room until the reservation is dropped. A body that has the room for itself is never refused.
    ///
    /// # Errors
    /// `Overloaded` where others take too much of it.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation> {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.grow_to(bytes)?;
        Ok(reservation)
    }
}

/// Room that is taken.
#[derive(Debug)]
pub struct Reservation {
    budget: BodyBudget,
    bytes: u64,
}

impl Reservation {
    /// Takes more, where it is less than `bytes` yet.
    ///
    /// # Errors
    /// `Overloaded` where others take too much of the room; what was taken before is kept.
    pub fn grow_to(&mut self, bytes: u64) -> Result<()> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let BodyBudget { taken, limit } = &self.budget;
        let fits = |taken: u64| {
            let all = taken.checked_add(more)?;
            (all <= *limit || taken == self.bytes).then_some(all)
        };
        match taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits) {
            Ok(_) => {
                self.bytes += more;
                Ok(())
            }
            Err(_) => {
                let detail = format!("other requests take the {limit} bytes that bodies may have at once");
                Err(Error::new(ErrorKind::Overloaded, detail).hint("try again in a moment"))
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_beside_others_is_refused_until_they_are_done() {
        let budget = BodyBudget::new(100);
        let first = budget.reserve(60).expect("room");
        assert_eq!(budget.reserve(41).expect_err("no room").kind, ErrorKind::Overloaded);
        let mut second = budget.reserve(30).expect("room");
        assert!(second.grow_to(41).is_err());
        second.grow_to(40).expect("room");
        drop(first);
        second.grow_to(90).expect("room");
        drop(second);
        assert_eq!(budget.taken.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_body_that_is_alone_may_take_more_than_there_is() {
        let budget = BodyBudget::new(100);
        let mut alone = budget.reserve(1000).expect("it is alone");
        alone.grow_to(2000).expect("it is alone");
        assert!(budget.reserve(1).is_err());
    }
}
