//! This host: its clock, its identities, its cores and its memory.

use std::time::{Duration, Instant};

use caudal_core::JobId;
use caudal_core::ports::{Clock, Ids};
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

/// UUIDs of version 7, from the clock and the system's randomness.
pub struct RandomIds;

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
pub fn memory() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = system.total_memory();
    system.cgroup_limits().map_or(machine, |limits| limits.total_memory.min(machine))
}
