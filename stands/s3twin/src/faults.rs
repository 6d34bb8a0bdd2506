//! Which requests fail, and how: shares of all requests, drawn from one seeded generator.

use std::str::FromStr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Shares of requests, 0 to 1, that meet each fault, the mean latency of all, and which keys may meet one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    shares: [f64; Fault::ALL.len()],
    latency: Duration,
    /// A folder somewhere in the key; empty for all keys.
    below: String,
}

/// What can happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 503 SlowDown; nothing was done.
    Slow,
    /// 500 InternalError; nothing was done.
    Error,
    /// 500 InternalError, though it was done.
    AppliedError,
    /// The connection is closed; nothing was done.
    DroppedBefore,
    /// The connection is closed, though it was done.
    DroppedAfter,
    /// 409 to a write with a condition; nothing was done.
    Conflict,
    /// A body that was asked for ends half way.
    Truncated,
    /// 403 AccessDenied to a write, since the bucket's encryption key may not be used.
    KmsDenied,
    /// 403 RequestTimeTooSkewed.
    Skewed,
}

impl Fault {
    pub const ALL: [Fault; 9] = [
        Fault::Slow,
        Fault::Error,
        Fault::AppliedError,
        Fault::DroppedBefore,
        Fault::DroppedAfter,
        Fault::Conflict,
        Fault::Truncated,
        Fault::KmsDenied,
        Fault::Skewed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Fault::Slow => "slow",
            Fault::Error => "error",
            Fault::AppliedError => "applied_error",
            Fault::DroppedBefore => "dropped_before",
            Fault::DroppedAfter => "dropped_after",
            Fault::Conflict => "conflict",
            Fault::Truncated => "truncated",
            Fault::KmsDenied => "kms_denied",
            Fault::Skewed => "skewed",
        }
    }
}

impl FromStr for Faults {
    type Err = String;

    /// Reads `name=share` pairs between commas, `latency_ms=number` and `below=folder`; what is not named does not happen.
    fn from_str(text: &str) -> Result<Faults, String> {
        let mut faults = Faults::default();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is no name=share"))?;
            if name == "below" {
                faults.below = value.to_owned();
                continue;
            }
            let value: f64 = value.parse().map_err(|_| format!("{pair:?} is no number"))?;
            match Fault::ALL.iter().position(|fault| fault.name() == name) {
                Some(i) if (0.0..=1.0).contains(&value) => faults.shares[i] = value,
                None if name == "latency_ms" && (0.0..=1e6).contains(&value) => {
                    faults.latency = Duration::from_secs_f64(value / 1e3);
                }
                _ => return Err(format!("{pair:?} is no fault with its share of 1")),
            }
        }
        match faults.shares.iter().sum::<f64>() <= 1.0 {
            true => Ok(faults),
            false => Err("the shares come to more than 1".into()),
        }
    }
}

/// Draws a fate for each request.
pub struct Fates {
    pub faults: Faults,
    random: StdRng,
}

impl Fates {
    pub fn new(faults: Faults, seed: u64) -> Fates {
        Fates { faults, random: StdRng::seed_from_u64(seed) }
    }

    /// How long the next request takes, which is for this path, and what happens to it.
    pub fn next(&mut self, path: &str) -> (Duration, Option<Fault>) {
        let latency = self.faults.latency.mul_f64(2.0 * self.random.random::<f64>());
        let mut drawn: f64 = self.random.random();
        let fault = Fault::ALL.iter().zip(&self.faults.shares).find_map(|(fault, share)| {
            drawn -= share;
            (drawn < 0.0).then_some(*fault)
        });
        let below = &self.faults.below;
        let is_meant = below.is_empty() || path.split('/').any(|step| step == below);
        (latency, fault.filter(|_| is_meant))
    }
}
