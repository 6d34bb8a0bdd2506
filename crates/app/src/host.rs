//! This host: its clock, its identities, its cores and its memory.

#![expect(clippy::disallowed_methods, reason = "this is where the ports Clock and Ids meet the system")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[cfg(any(feature = "emr", feature = "orchestrator"))]
use caudal_core::JobId;
use caudal_core::ports::Clock;
#[cfg(any(feature = "emr", feature = "orchestrator"))]
use caudal_core::ports::Ids;
use caudal_core::{Error, ErrorKind, Result};
use chrono::{DateTime, Utc};

pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub fn new() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(any(feature = "emr", feature = "orchestrator"))]
/// UUIDs of version 7, from the clock and the system's randomness.
pub struct RandomIds;

#[cfg(any(feature = "emr", feature = "orchestrator"))]
impl Ids for RandomIds {
    fn job_id(&self) -> JobId {
        JobId(uuid::Uuid::now_v7())
    }

    fn entry_id(&self) -> uuid::Uuid {
        uuid::Uuid::now_v7()
    }
}

/// Processor cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes of memory that this process may use: the machine's, or its control group's where that is less.
///
/// # Errors
/// `InvalidRequest` where the system does not say, so that the setting has to.
pub fn memory() -> Result<u64> {
    static MEMORY: OnceLock<u64> = OnceLock::new();
    if let Some(known) = MEMORY.get() {
        return Ok(*known);
    }
    let mut system = sysinfo::System::new().map_err(|e| {
        Error::new(ErrorKind::InvalidRequest, "this system does not say how much memory it has")
            .hint("set processing.memory_limit to a size such as \"4GB\"")
            .cause(e)
    })?;
    system.refresh_memory();
    let machine = system.total_memory();
    let usable = system.cgroup_limits().map_or(machine, |limits| limits.total_memory.min(machine));
    Ok(*MEMORY.get_or_init(|| usable))
}

/// Names this host by what decides how fast it is: what was measured on it holds for hosts of the same name.
#[cfg(feature = "normalize")]
pub fn fingerprint() -> String {
    let processor = processor().unwrap_or_else(|| "unknown".into());
    let version = env!("CARGO_PKG_VERSION");
    named(&format!("{version} {} {} cores {processor}", std::env::consts::ARCH, cores()))
}

/// Names this host with a card of some name.
#[cfg(feature = "normalize")]
pub fn fingerprint_with(card: &str) -> String {
    named(&format!("{} gpu {card}", fingerprint()))
}

#[cfg(feature = "normalize")]
fn named(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// What the processor calls itself.
#[cfg(feature = "normalize")]
fn processor() -> Option<String> {
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_cpu_list(sysinfo::CpuRefreshKind::nothing());
    system.cpus().first().map(|cpu| cpu.brand().to_owned())
}

#[cfg(all(test, feature = "normalize"))]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_a_key() {
        let name = fingerprint();
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{name}");
        assert_eq!(name, fingerprint());
    }
}
