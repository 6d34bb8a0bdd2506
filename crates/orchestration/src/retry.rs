//! The one policy of trying again: which failures pass, how long to wait, when to give up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use caudal_core::journal::AttemptCause;
use caudal_core::{Error, ErrorKind};

use crate::orchestrator::Desk;
use crate::running::RunningJob;

/// Who has to change something before a failed job can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nobody: it passes.
    Passing,
    /// Whoever runs Caudal, or us.
    Permanent,
    /// Whoever sent the job.
    Users,
}

/// The class of each kind of error.
pub fn class_of(kind: ErrorKind) -> Class {
    match kind {
        ErrorKind::Overloaded | ErrorKind::StorageUnavailable => Class::Passing,
        ErrorKind::UnavailableEngine
        | ErrorKind::EngineFailed
        | ErrorKind::InsufficientMemory
        | ErrorKind::InsufficientDisk
        | ErrorKind::UnsuitableStorage
        | ErrorKind::DeadlineExceeded
        | ErrorKind::PoisonousJob
        | ErrorKind::Internal => Class::Permanent,
        _ => Class::Users,
    }
}

/// Exponential backoff with full jitter, as often as a job's budget allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How often one job is tried again in all, whoever works on it.
    pub budget: u32,
    /// The longest first wait; it doubles with each failure.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl RetryPolicy {
    /// How long to wait after a failure when `used` of the budget are gone; nothing where the job is given up. `chance`
    /// is drawn from 0 to 1. Who refused and said when to come back is taken at their word.
    pub fn wait(&self, used: u32, error: &Error, chance: f64) -> Option<Duration> {
        if used >= self.budget || class_of(error.kind) != Class::Passing {
            return None;
        }
        let ceiling = self.first.saturating_mul(1 << used.min(20)).min(self.longest);
        let asked = Duration::from_secs(error.retry_after.unwrap_or(0).into());
        Some(ceiling.mul_f64(chance.clamp(0.0, 1.0)).saturating_add(asked))
    }
}

/// A generator of chance (SplitMix64): the same seed gives the same draws.
pub struct Dice(AtomicU64);

impl Dice {
    pub fn seeded(seed: u64) -> Dice {
        Dice(AtomicU64::new(seed))
    }

    /// A draw from 0 to just below 1.
    pub fn draw(&self) -> f64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What becomes of a job after a failure.
#[derive(Debug)]
pub enum Next {
    /// It is tried again after a wait; the attempt is on record.
    Again(Duration),
    /// It ends with this.
    End(Box<Error>),
    /// It is another instance's.
    Leave,
}

/// Decides, and puts the new attempt and its cause on record.
pub async fn after(desk: &Desk, job: &RunningJob, error: Error) -> Next {
    if error.kind == ErrorKind::Conflict || job.is_left() {
        tracing::warn!(job = %job.id(), %error, "leaving the job to another instance");
        return Next::Leave;
    }
    let wait = match error.kind {
        // It may have been the memory that other jobs held: with all of it, it is tried once more.
        ErrorKind::InsufficientMemory if desk.jobs.len() > 1 && job.seclude() => Some(Duration::ZERO),
        _ => desk.options.retry.wait(job.retries().await, &error, desk.ports.dice.draw()),
    };
    let Some(wait) = wait else { return Next::End(Box::new(error)) };
    desk.counters.retried.add();
    tracing::info!(job = %job.id(), %error, cause = error.cause, ?wait, "the job will be tried again");
    match job.begin_attempt(&desk.ports, AttemptCause::Retried, Some(error), wait).await {
        Err(conflict) if conflict.kind == ErrorKind::Conflict => Next::Leave,
        // What cannot be written now is written with the next entry.
        Ok(()) | Err(_) => Next::Again(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { budget: 4, first: Duration::from_millis(100), longest: Duration::from_millis(500) };

    fn failure(kind: ErrorKind) -> Error {
        Error::new(kind, "it failed")
    }

    #[test]
    fn the_longest_wait_doubles_up_to_its_limit_and_the_budget_ends() {
        let error = failure(ErrorKind::StorageUnavailable);
        let waits: Vec<_> = (0..6).map(|used| POLICY.wait(used, &error, 1.0)).collect();
        let expected = [Some(100), Some(200), Some(400), Some(500), None, None];
        assert_eq!(waits, expected.map(|ms| ms.map(Duration::from_millis)));
    }

    #[test]
    fn jitter_is_full_from_nothing_to_the_longest_wait() {
        let error = failure(ErrorKind::Overloaded);
        assert_eq!(POLICY.wait(1, &error, 0.0), Some(Duration::ZERO));
        assert_eq!(POLICY.wait(1, &error, 0.25), Some(Duration::from_millis(50)));
        let dice = Dice::seeded(7);
        let draws: Vec<f64> = (0..1000).map(|_| dice.draw()).collect();
        assert!(draws.iter().all(|x| (0.0..1.0).contains(x)));
        let mean = draws.iter().sum::<f64>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
        let again = Dice::seeded(7);
        assert!(draws.iter().all(|x| *x == again.draw()), "the same seed gives the same draws");
    }

    #[test]
    fn what_does_not_pass_is_not_tried_again() {
        for kind in ErrorKind::ALL {
            let waits = POLICY.wait(0, &failure(kind), 0.5).is_some();
            assert_eq!(waits, class_of(kind) == Class::Passing, "{kind:?}");
        }
        assert_eq!(class_of(ErrorKind::InvalidData), Class::Users);
        assert_eq!(class_of(ErrorKind::Internal), Class::Permanent);
    }

    #[test]
    fn whoever_says_when_to_come_back_is_not_asked_sooner() {
        let error = failure(ErrorKind::Overloaded).retry_after(7);
        assert_eq!(POLICY.wait(0, &error, 0.0), Some(Duration::from_secs(7)));
        assert!(POLICY.wait(0, &error, 1.0) > Some(Duration::from_secs(7)), "and not by all at once");
    }
}
