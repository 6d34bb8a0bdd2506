//! Jobs that another instance has, or nobody: what can be done about them through their journal alone.

use caudal_core::journal::{JournalEntry, JournalState, Transition};
use caudal_core::ports::Appended;
use caudal_core::{Error, ErrorKind, JobId, JobState, Result};

use crate::orchestrator::Desk;
use crate::response::announce;

/// Journals that a job is cancelled. Whoever works on it finds the entry and stops; an application that it waits for is
/// ended.
///
/// # Errors
/// `Conflict` where it has ended; those of the bucket.
pub async fn cancel(desk: &Desk, job: JobId) -> Result<()> {
    let records = &desk.ports.records;
    loop {
        let journal = JournalState::replay(&records.journal(job).await?)?;
        match journal.state {
            None => return Err(Error::new(ErrorKind::NotFound, format!("there is no job {job}"))),
            Some(state) if state.is_final() => {
                return Err(Error::new(ErrorKind::Conflict, format!("job {job} is {state} already")));
            }
            Some(_) => {}
        }
        if let Appended::Mine = records.append(job, journal.next, &cancelled(desk, job, &journal)).await? {
            break;
        }
    }
    desk.counters.cancelled.add();
    if let Err(error) = put_away(desk, job).await {
        tracing::warn!(%job, %error, cause = error.cause, "whoever next looks for abandoned jobs puts this one away");
    }
    Ok(())
}

/// Sees to what is left to do for a job that has ended and that nobody carries. Cut off anywhere, it can be done again.
///
/// # Errors
/// Those of the bucket; that of the engine while an application of a cancelled job may run on.
pub async fn put_away(desk: &Desk, job: JobId) -> Result<()> {
    let records = &desk.ports.records;
    let (status, record) = (records.status(job).await?, records.record(job).await?);
    if status.status == JobState::Cancelled
        && let Some(spark) = &desk.ports.spark
    {
        match spark.end(job).await {
            // What somebody has to put right first does not keep the job.
            Err(error) if !error.kind.is_retryable() => {
                tracing::error!(%job, %error, cause = error.cause, "an application of Spark may run on");
            }
            ended => ended?,
        }
    }
    announce(desk, &record, &status).await?;
    records.finish(&status).await
}

/// Clears away what is left of a job that was never queued. Its journal is closed first: whoever was about to queue it,
/// and was only slow, finds that out before anybody is promised anything.
///
/// # Errors
/// Those of the bucket.
pub async fn never_queued(desk: &Desk, job: JobId) -> Result<()> {
    let mut entry = cancelled(desk, job, &JournalState::default());
    entry.transitions.insert(0, Transition::from(JobState::Queued));
    match desk.ports.records.append(job, 0, &entry).await? {
        Appended::Mine => desk.ports.records.discard(job).await,
        // It was queued after all; the next look takes it up.
        Appended::Taken(_) => Ok(()),
    }
}

fn cancelled(desk: &Desk, job: JobId, journal: &JournalState) -> JournalEntry {
    let now = desk.ports.clock.now();
    let error = Error::new(ErrorKind::Cancelled, "the job was cancelled").of_job(job);
    JournalEntry {
        entry_id: desk.ports.ids.entry_id(),
        writer: desk.ports.writer,
        attempt: journal.attempt.max(1),
        at: journal.last.map_or(now, |last| last.max(now)),
        transitions: vec![Transition { error: Some(error), ..Transition::from(JobState::Cancelled) }],
        began: Vec::new(),
    }
}
