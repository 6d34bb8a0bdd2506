//! How much each owner may have: jobs at a time, elements a day. Instances on one bucket count together.
//!
//! Each instance knows exactly what it has itself taken in, and learns of the others from what they tell in the bucket
//! every few seconds. So a limit holds to the job within one instance, and together with others but for what was
//! taken in since they last told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use caudal_core::usage::{Usage, UsageRecords};
use caudal_core::{Error, ErrorKind, Result};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::orchestrator::Ports;
use crate::running::RunningJobs;

/// How long what others have told is taken for what is.
const FRESH: Duration = Duration::from_secs(2);

/// After this the jobs of an instance that tells nothing count no more: it has ended.
const SILENCE: TimeDelta = TimeDelta::seconds(60);

/// How much one owner may have; `None` for as much as there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Jobs that are queued or running.
    pub concurrent_jobs: Option<u64>,
    /// Rows × columns that are handed in on one day, in UTC.
    pub elements_per_day: Option<u64>,
}

/// What owners have used.
pub struct Quotas {
    limits: QuotaLimits,
    records: Arc<dyn UsageRecords>,
    owners: Mutex<HashMap<String, Owner>>,
}

#[derive(Clone, Default)]
struct Owner {
    day: NaiveDate,
    /// Of that day, at this instance.
    elements: u64,
    others: Others,
    told: Option<Usage>,
}

/// What other instances have told.
#[derive(Clone, Copy, Default)]
struct Others {
    read_at: Option<Duration>,
    elements: u64,
    running: u64,
}

impl Quotas {
    pub fn new(limits: QuotaLimits, records: Arc<dyn UsageRecords>) -> Quotas {
        Quotas { limits, records, owners: Mutex::default() }
    }

    /// How many jobs an owner may have at this instance. The elements that it hands in are counted already.
    ///
    /// # Errors
    /// `TooManyRequests` where the elements of the day are used up; `StorageUnavailable` when the bucket does not answer.
    pub async fn places(&self, ports: &Ports, owner: &str, elements: u64) -> Result<u64> {
        let (today, now) = (ports.clock.now(), ports.clock.monotonic());
        let known = self.owner(owner, today);
        let fresh = known.others.read_at.is_some_and(|at| now.saturating_sub(at) < FRESH);
        let others = if fresh { known.others } else { self.learn(ports, owner, today, now).await? };
        let mut owners = self.owners();
        let mine = owners.entry(owner.to_owned()).or_default();
        mine.begin(today.date_naive());
        if let Some(limit) = self.limits.elements_per_day {
            let used = mine.elements.saturating_add(others.elements);
            if used >= limit || used.saturating_add(elements) > limit {
                return Err(elements_used_up(limit, used, today));
            }
        }
        mine.elements = mine.elements.saturating_add(elements);
        drop(owners);
        Ok(self.limits.concurrent_jobs.map_or(u64::MAX, |most| most.saturating_sub(others.running)))
    }

    /// Elements of a job that was not taken in after all.
    pub fn give_back(&self, owner: &str, elements: u64) {
        if let Some(owner) = self.owners().get_mut(owner) {
            owner.elements = owner.elements.saturating_sub(elements);
        }
    }

    /// Counts elements that were found when a source was read.
    pub fn count(&self, owner: &str, elements: u64, today: DateTime<Utc>) {
        let mut owners = self.owners();
        let owner = owners.entry(owner.to_owned()).or_default();
        owner.begin(today.date_naive());
        owner.elements = owner.elements.saturating_add(elements);
    }

    /// Tells the others what has changed here.
    pub async fn tell(&self, ports: &Ports, jobs: &RunningJobs) {
        let now = ports.clock.now();
        let running = jobs.by_owner();
        let known: Vec<(String, Owner)> = {
            let mut owners = self.owners();
            for name in running.keys() {
                owners.entry(name.clone()).or_default();
            }
            owners.iter().map(|(name, owner)| (name.clone(), owner.clone())).collect()
        };
        for (name, mut owner) in known {
            owner.begin(now.date_naive());
            let running = running.get(&name).copied().unwrap_or(0);
            let usage = Usage { day: owner.day, elements: owner.elements, running, at: now };
            let unused = running == 0 && owner.elements == 0;
            let same = owner.told.as_ref().is_some_and(|told| {
                let quiet = now - told.at < SILENCE / 3 || running == 0;
                (told.day, told.elements, told.running) == (usage.day, usage.elements, usage.running) && quiet
            });
            if same || (unused && owner.told.is_none()) {
                continue;
            }
            let told = match unused {
                true => self.records.forget(&name, ports.writer).await,
                false => self.records.tell(&name, ports.writer, &usage).await,
            };
            match told {
                Ok(()) => self.remember(name, usage, unused),
                Err(error) => {
                    tracing::warn!(cause = error.cause, "others are not told what {name} uses: {error}");
                }
            }
        }
    }

    fn remember(&self, name: String, usage: Usage, unused: bool) {
        let mut owners = self.owners();
        match unused {
            // Only where nothing came meanwhile.
            true => drop(owners.extract_if(|n, owner| *n == name && owner.elements == 0).count()),
            false => owners.entry(name).or_default().told = Some(usage),
        }
    }

    /// Reads what others have told; what is old is taken away.
    async fn learn(&self, ports: &Ports, name: &str, today: DateTime<Utc>, now: Duration) -> Result<Others> {
        let mut others = Others { read_at: Some(now), ..Others::default() };
        for (instance, usage) in self.records.told(name).await? {
            if instance == ports.writer {
                continue;
            }
            if today - usage.at > TimeDelta::days(2) {
                self.records.forget(name, instance).await?;
                continue;
            }
            if usage.day == today.date_naive() {
                others.elements = others.elements.saturating_add(usage.elements);
            }
            if today - usage.at < SILENCE {
                others.running = others.running.saturating_add(usage.running);
            }
        }
        self.owners().entry(name.to_owned()).or_default().others = others;
        Ok(others)
    }

    fn owner(&self, name: &str, today: DateTime<Utc>) -> Owner {
        let mut owners = self.owners();
        let owner = owners.entry(name.to_owned()).or_default();
        owner.begin(today.date_naive());
        owner.clone()
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owner {
    /// Begins a day, where it is another one.
    fn begin(&mut self, day: NaiveDate) {
        if self.day != day {
            (self.day, self.elements) = (day, 0);
        }
    }
}

fn elements_used_up(limit: u64, used: u64, now: DateTime<Utc>) -> Error {
    let midnight = (now.date_naive() + TimeDelta::days(1)).and_time(chrono::NaiveTime::MIN).and_utc();
    let detail = format!(
        "{used} of the {limit} elements of this day are used, and this request has more than are left"
    );
    Error::new(ErrorKind::TooManyRequests, detail)
        .hint("the day ends at midnight, UTC")
        .retry_after((midnight - now).num_seconds().max(1).unsigned_abs())
}
