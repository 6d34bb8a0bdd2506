//! Leases and signs of life: who works on a job, and what becomes of it when they fall silent.
//!
//! A lease only spares work: two instances that both believe to have a job are told apart by its journal, of which
//! each entry has one owner. Whether another instance lives is judged by its signs of life and this process's own
//! monotonic clock, so that clocks may disagree and jump.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use caudal_core::journal::{AttemptCause, Beat, Lease};
use caudal_core::{JobId, Result};
use kameo::actor::ActorRef;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::orchestrator::{Desk, Ports};
use crate::running::{RunningJob, Stop};
use crate::validation::{Resume, ValidationActor};

/// Signs of life before an instance's silence means anything.
const BEATS: u32 = 3;

/// Jobs that are taken up at the same time.
const AT_ONCE: usize = 16;

/// Between two looks whether somebody else went on with a job that runs here.
const LOOK_OUT: Duration = Duration::from_millis(700);

/// Writes this instance's first sign of life, before it has any job.
pub async fn announce(desk: &Desk) -> Result<()> {
    desk.ports.records.put_beat(desk.ports.writer, Some(&beat(desk, 0))).await
}

fn beat(desk: &Desk, number: u64) -> Beat {
    Beat { number, at: desk.ports.clock.now(), seconds: desk.options.lease.as_secs_f64() }
}

/// Takes the first lease of a job that is being taken in.
pub async fn begin(ports: &Ports, job: &RunningJob, length: Duration) -> Result<()> {
    ports.records.put_lease(job.id(), 0, &lease(ports, length)).await.map(drop)
}

fn lease(ports: &Ports, length: Duration) -> Lease {
    Lease { writer: ports.writer, until: ports.clock.now() + length, released: false }
}

/// Why the next attempt begins at a job whose newest lease is this one.
///
/// A lease of this process's own says nothing: it may have been taken after a death that could not be put on record.
fn cause(last: Option<&Lease>) -> AttemptCause {
    match last {
        Some(last) if last.released => AttemptCause::HandedOver,
        _ => AttemptCause::Abandoned,
    }
}

/// Whether nobody holds a lease any more, by the clock: for those who cannot watch for a while.
async fn has_lapsed(desk: &Desk, job: JobId, held: Option<&Lease>) -> Result<bool> {
    let Some(held) = held else { return Ok(true) };
    if held.released || held.writer == desk.ports.writer {
        return Ok(desk.jobs.get(job).is_none());
    }
    let now = desk.ports.clock.now();
    Ok(match desk.ports.records.beat(held.writer).await? {
        Some(beat) => beat.at + seconds(&beat) <= now && held.until <= now,
        None => held.until <= now,
    })
}

fn seconds(beat: &Beat) -> Duration {
    Duration::try_from_secs_f64(beat.seconds).unwrap_or_default()
}

/// The unfinished jobs that nobody works on, by the clock.
pub async fn abandoned(desk: &Desk) -> Result<Vec<JobId>> {
    let mut found = Vec::new();
    for job in desk.ports.records.active().await? {
        let lease = desk.ports.records.lease(job).await?;
        if has_lapsed(desk, job, lease.as_ref().map(|(_, held)| held)).await? {
            found.push(job);
        }
    }
    Ok(found)
}

/// Takes a lease where nobody holds one by the clock; nothing where somebody does, or was quicker.
pub async fn take_over(desk: &Desk, job: JobId) -> Result<Option<AttemptCause>> {
    let held = desk.ports.records.lease(job).await?;
    match has_lapsed(desk, job, held.as_ref().map(|(_, held)| held)).await? {
        true => claim(&desk.ports, job, held, desk.options.lease).await,
        false => Ok(None),
    }
}

async fn claim(
    ports: &Ports,
    job: JobId,
    held: Option<(u32, Lease)>,
    length: Duration,
) -> Result<Option<AttemptCause>> {
    let next = held.map_or(0, |(number, _)| number + 1);
    let cause = cause(held.as_ref().map(|(_, held)| held));
    let mine = ports.records.put_lease(job, next, &lease(ports, length)).await?;
    Ok(mine.then_some(cause))
}

/// What this instance has seen of others.
#[derive(Default)]
pub struct Watch {
    holders: HashMap<JobId, Uuid>,
    seen: HashMap<Uuid, Seen>,
}

/// The newest sign of life of an instance, and since when it is the newest.
struct Seen {
    number: u64,
    since: Duration,
    lapsed: bool,
}

impl Watch {
    /// Looks at the unfinished jobs of others, and takes up those that nobody works on while there are places.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn adopt(&mut self, desk: &Desk, validation: &ActorRef<ValidationActor>) -> Result<()> {
        let active = desk.ports.records.active().await?;
        let theirs: Vec<JobId> = active.into_iter().filter(|job| desk.jobs.get(*job).is_none()).collect();
        self.holders.retain(|job, _| theirs.binary_search(job).is_ok());
        let mut looked = Vec::new();
        let mut taken_up = JoinSet::new();
        for job in theirs {
            if desk.jobs.len() + taken_up.len() >= desk.options.admitted_jobs || desk.is_closing() {
                break;
            }
            if let Some(cause) = self.look(desk, job, &mut looked).await? {
                while taken_up.len() >= AT_ONCE {
                    taken_up.join_next().await;
                }
                let validation = validation.clone();
                // Refused only when the process stops: somebody else takes the job.
                taken_up.spawn(async move { validation.ask(Resume(job, cause)).await.is_ok() });
            }
        }
        while taken_up.join_next().await.is_some() {}
        Ok(())
    }

    async fn look(
        &mut self,
        desk: &Desk,
        job: JobId,
        looked: &mut Vec<Uuid>,
    ) -> Result<Option<AttemptCause>> {
        if let Some(holder) = self.holders.get(&job).copied()
            && !self.is_silent(desk, holder, looked).await?
        {
            return Ok(None);
        }
        let held = desk.ports.records.lease(job).await?;
        if let Some((_, lease)) = &held
            && lease.writer != desk.ports.writer
            && !lease.released
        {
            self.holders.insert(job, lease.writer);
            if !self.is_silent(desk, lease.writer, looked).await? {
                return Ok(None);
            }
        }
        self.holders.remove(&job);
        claim(&desk.ports, job, held, desk.options.lease).await
    }

    /// Whether an instance has given no sign of life for as long as it may; each is looked at once in a round.
    async fn is_silent(&mut self, desk: &Desk, writer: Uuid, looked: &mut Vec<Uuid>) -> Result<bool> {
        let now = desk.ports.clock.monotonic();
        if !looked.contains(&writer) {
            looked.push(writer);
            let found = desk.ports.records.beat(writer).await?;
            let number = found.map_or(u64::MAX, |beat| beat.number);
            let allowed = found.map_or(desk.options.lease, |beat| seconds(&beat));
            let seen = self.seen.entry(writer).or_insert(Seen { number, since: now, lapsed: false });
            if seen.number != number {
                *seen = Seen { number, since: now, lapsed: false };
            }
            seen.lapsed = now.saturating_sub(seen.since) >= allowed;
        }
        Ok(self.seen.get(&writer).is_some_and(|seen| seen.lapsed))
    }
}

/// [Gives signs of life](live) and [takes over](take_up) until the process stops, also after a fall.
pub async fn keep_on(desk: Arc<Desk>, validation: ActorRef<ValidationActor>, watch: Watch) {
    let mut tasks = JoinSet::new();
    tasks.spawn(again_and_again("the heart", desk.clone(), live));
    tasks.spawn(again_and_again("the look-out", desk.clone(), look_out));
    tasks.spawn(again_and_again("the quotas", desk.clone(), tell_quotas));
    if desk.options.takes_over {
        let watch = Arc::new(Mutex::new(watch));
        let take_up = move |desk| take_up(desk, validation.clone(), watch.clone());
        tasks.spawn(again_and_again("the take-over", desk, take_up));
    }
    while tasks.join_next().await.is_some() {}
}

/// Begins work anew that falls.
async fn again_and_again<W: Future<Output = ()> + Send + 'static>(
    name: &'static str,
    desk: Arc<Desk>,
    work: impl Fn(Arc<Desk>) -> W,
) {
    loop {
        let mut task = JoinSet::new();
        task.spawn(work(desk.clone()));
        task.join_next().await;
        tracing::error!("{name} fell, and begins anew");
    }
}

/// Tells other instances what owners use here.
async fn tell_quotas(desk: Arc<Desk>) {
    loop {
        tokio::time::sleep(desk.options.lease / BEATS).await;
        if let Some(quotas) = &desk.ports.quotas {
            quotas.tell(&desk.ports, &desk.jobs).await;
        }
    }
}

/// Gives signs of life.
async fn live(desk: Arc<Desk>) {
    let mut number = 0;
    let mut given = desk.ports.clock.monotonic();
    loop {
        tokio::time::sleep(desk.options.lease / BEATS).await;
        number += 1;
        match desk.ports.records.put_beat(desk.ports.writer, Some(&beat(&desk, number))).await {
            Ok(()) => {
                let now = desk.ports.clock.monotonic();
                let silent = now.saturating_sub(std::mem::replace(&mut given, now));
                if silent >= desk.options.lease {
                    leave_what_was_taken(&desk).await;
                }
            }
            Err(error) => {
                desk.counters.beats_failed.add();
                tracing::warn!(%error, cause = error.cause, "no sign of life could be given");
            }
        }
    }
}

/// Takes over what others leave.
async fn take_up(desk: Arc<Desk>, validation: ActorRef<ValidationActor>, watch: Arc<Mutex<Watch>>) {
    loop {
        tokio::time::sleep(desk.options.lease / BEATS).await;
        if let Err(error) = watch.lock().await.adopt(&desk, &validation).await {
            tracing::warn!(%error, cause = error.cause, "abandoned jobs could not be looked for");
        }
    }
}

/// This instance was taken for dead: it stops work on jobs that others have taken over.
async fn leave_what_was_taken(desk: &Desk) {
    for job in desk.jobs.all() {
        if let Ok(Some((_, held))) = desk.ports.records.lease(job.id()).await
            && held.writer != desk.ports.writer
        {
            tracing::warn!(job = %job.id(), "another instance took the job while this one was silent");
            job.stop(Stop::Left);
        }
    }
}

/// Stops work on jobs of which somebody else wrote the next entry: took them over, or cancelled them.
async fn look_out(desk: Arc<Desk>) {
    loop {
        tokio::time::sleep(LOOK_OUT).await;
        for job in desk.jobs.all() {
            let next = job.next_entry().await;
            if next < 2 || job.is_ending() {
                continue;
            }
            if let Ok(Some(theirs)) = desk.ports.records.entry(job.id(), next).await
                && theirs.writer != desk.ports.writer
                && next == job.next_entry().await
            {
                job.stop(Stop::Left);
            }
        }
    }
}

/// Lets go of a job, so that another instance need not wait until this one is silent.
pub async fn release(desk: &Desk, job: JobId) {
    let held = desk.ports.records.lease(job).await;
    let released = match held {
        Ok(Some((number, held))) if held.writer == desk.ports.writer && !held.released => {
            let lease = Lease { released: true, ..lease(&desk.ports, Duration::ZERO) };
            desk.ports.records.put_lease(job, number + 1, &lease).await.map(drop)
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = released {
        tracing::warn!(%job, %error, cause = error.cause, "a job could not be let go");
    }
}
