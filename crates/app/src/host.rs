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
