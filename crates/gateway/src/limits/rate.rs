//! So many requests a second, with a burst: the generic cell rate algorithm, one number for each who asks.
//!
//! Each request costs `1 / rate` seconds of a time that may run ahead of the clock by as much as a burst costs. That is a
//! token bucket without a timer: nothing has to be refilled.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who is remembered; when there are more, the rest share one place.
const PLACES: usize = 100_000;

/// How often may be asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests a second, over 0.
    pub per_second: f64,
    /// Requests at once after a pause, 1 or more.
    pub burst: u32,
}

/// How a limit stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    pub allowed: bool,
    pub limit: u32,
    /// Requests that would be allowed now.
    pub remaining: u32,
    /// Seconds until all of them are allowed again.
    pub reset: f64,
    /// Seconds until one is, where none is.
    pub wait: f64,
}

/// What each who asks has used.
pub struct Rates<K> {
    rate: Rate,
    /// The second on the clock at which nothing is used any more. `None` stands for the rest.
    used_until: Mutex<HashMap<Option<K>, f64>>,
}

impl<K: Eq + Hash> Rates<K> {
    pub fn new(rate: Rate) -> Rates<K> {
        Rates { rate, used_until: Mutex::default() }
    }

    /// Counts a request, unless it is one too many.
    pub fn take(&self, who: K, now: Duration) -> Standing {
        let now = now.as_secs_f64();
        let mut all = self.all();
        let who = place(&mut all, who, now);
        let before = all.get(&who).copied().unwrap_or(now).max(now);
        let standing = self.standing(before, now);
        if standing.allowed {
            let after = before + 1.0 / self.rate.per_second;
            all.insert(who, after);
            return Standing { allowed: true, wait: 0.0, ..self.standing(after, now) };
        }
        standing
    }

    /// How it stands with somebody, without counting anything.
    pub fn look(&self, who: K, now: Duration) -> Standing {
        let now = now.as_secs_f64();
        let mut all = self.all();
        let who = place(&mut all, who, now);
        self.standing(all.get(&who).copied().unwrap_or(now).max(now), now)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Option<K>, f64>> {
        self.used_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self, used_until: f64, now: f64) -> Standing {
        let Rate { per_second, burst } = self.rate;
        let used = (used_until - now) * per_second;
        // Rounding must not cost anybody a request.
        let remaining = (f64::from(burst) - used + 1e-6).floor().clamp(0.0, f64::from(burst)) as u32;
        let wait = if remaining > 0 { 0.0 } else { (used + 1.0 - f64::from(burst)) / per_second };
        Standing { allowed: remaining > 0, limit: burst, remaining, reset: used_until - now, wait }
    }
}

/// Where somebody is counted: among the rest, where too many are remembered already.
fn place<K: Eq + Hash>(all: &mut HashMap<Option<K>, f64>, who: K, now: f64) -> Option<K> {
    let who = Some(who);
    if all.len() < PLACES || all.contains_key(&who) {
        return who;
    }
    all.retain(|_, used_until| *used_until > now);
    if all.len() < PLACES { who } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_burst_is_allowed_at_once_and_then_as_many_a_second_as_the_rate() {
        let rates = Rates::new(Rate { per_second: 10.0, burst: 20 });
        let allowed = |seconds: f64| (0..100).filter(|_| rates.take("a", at(seconds)).allowed).count();
        assert_eq!(allowed(1.0), 20);
        assert_eq!(allowed(1.0), 0);
        assert_eq!(allowed(1.1), 1);
        assert_eq!(allowed(1.6), 5);
        assert_eq!(allowed(1000.0), 20);
    }

    #[test]
    fn over_a_long_time_nobody_gets_more_than_the_rate_and_one_burst() {
        let rates = Rates::new(Rate { per_second: 3.0, burst: 5 });
        let allowed = (0..100_000).filter(|i| rates.take((), at(f64::from(*i) / 1000.0)).allowed).count();
        assert!((302..=305).contains(&allowed), "{allowed} in 100 seconds");
    }

    #[test]
    fn who_is_refused_is_told_when_to_come_back_and_is_let_in_then() {
        let rates = Rates::new(Rate { per_second: 0.5, burst: 2 });
        let first = rates.take(1, at(7.0));
        assert_eq!((first.allowed, first.limit, first.remaining), (true, 2, 1));
        assert!((first.reset - 2.0).abs() < 1e-9);
        rates.take(1, at(7.0));
        let refused = rates.take(1, at(7.5));
        assert_eq!((refused.allowed, refused.remaining), (false, 0));
        assert!((refused.wait - 1.5).abs() < 1e-9, "{refused:?}");
        assert!(!rates.take(1, at(7.5 + refused.wait - 0.01)).allowed);
        assert!(rates.take(1, at(7.5 + refused.wait)).allowed);
        assert!(rates.take(2, at(7.5)).allowed, "somebody else is not touched");
    }

    #[test]
    fn looking_costs_nothing() {
        let rates = Rates::new(Rate { per_second: 1.0, burst: 1 });
        assert!((0..10).all(|_| rates.look("a", at(1.0)).allowed));
        rates.take("a", at(1.0));
        assert!(!rates.look("a", at(1.0)).allowed);
    }

    #[test]
    fn however_many_ask_no_more_than_so_many_are_remembered() {
        let rates = Rates::new(Rate { per_second: 1.0, burst: 1 });
        let allowed = (0..PLACES as u64 + 1000).filter(|who| rates.take(*who, at(1.0)).allowed).count();
        assert_eq!(allowed, PLACES + 1, "the rest shares one place");
        assert!(rates.all().len() <= PLACES + 1);
        assert!(rates.take(u64::MAX, at(3.0)).allowed, "once nothing is used there is room again");
    }
}
