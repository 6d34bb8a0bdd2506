//! Everything that is drawn in a run, from one seed.

use std::sync::Arc;
use std::time::Duration;

use caudal_orchestration::retry::Dice;

/// Draws; cheap to clone, and all clones draw from the same sequence.
#[derive(Clone)]
pub struct Chance(Arc<Dice>);

impl Chance {
    pub fn seeded(seed: u64) -> Chance {
        Chance(Arc::new(Dice::seeded(seed)))
    }

    pub fn share(&self) -> f64 {
        self.0.draw()
    }

    /// Whether something of this probability happens.
    pub fn happens(&self, probability: f64) -> bool {
        self.share() < probability
    }

    /// A whole number below a bound.
    pub fn below(&self, bound: usize) -> usize {
        ((self.share() * bound as f64) as usize).min(bound.saturating_sub(1))
    }

    /// A time up to a longest one, short ones more often.
    pub fn up_to(&self, longest: Duration) -> Duration {
        longest.mul_f64(self.share().powi(3))
    }
}
