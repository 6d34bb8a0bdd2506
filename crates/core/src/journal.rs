//! The journal of a job: the entries that are the truth about it, and what they add up to.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::job::TimedState;
use crate::state::JobState;

/// One entry, stored by put-if-absent: whoever creates entry n owns it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Unique, so that a writer knows its own entry when it reads one back.
    pub entry_id: uuid::Uuid,
    /// The instance that wrote it.
    pub writer: uuid::Uuid,
    /// Which attempt at the job this belongs to, from 1.
    pub attempt: u32,
    pub at: DateTime<Utc>,
    /// Legal changes in order; several when nothing was visible between them.
    pub transitions: Vec<Transition>,
    /// Attempts at the job that began since the entry before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub began: Vec<Attempt>,
}

/// One attempt at a job: who made it, since when, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attempt {
    /// From 1 on.
    pub number: u32,
    pub at: DateTime<Utc>,
    /// The instance that makes it.
    pub writer: uuid::Uuid,
    pub cause: AttemptCause,
    /// Where the job stood when the attempt before ended.
    pub state: JobState,
    /// Seconds that were waited first.
    pub waited: f64,
    /// Why the attempt before failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub error: Option<Error>,
}

/// Why an attempt at a job began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AttemptCause {
    /// The job was new.
    Submitted,
    /// The attempt before failed in a way that passes.
    Retried,
    /// The instance before stopped in good order and let the job go.
    HandedOver,
    /// The instance before fell silent in the middle of it.
    Abandoned,
}

/// A sign of life of an instance: `instances/{writer}.json`, written over as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Another one each time: whoever watches needs no clock that agrees with the instance's.
    pub number: u64,
    pub at: DateTime<Utc>,
    /// How long the instance may be silent before its jobs are taken over.
    pub seconds: f64,
}

/// Who works on a job: `jobs/{id}/lease/{n:08}.json`, stored by put-if-absent. It holds as
/// long as its writer [lives](Beat); whoever takes the job over writes the next number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub writer: uuid::Uuid,
    /// When the first sign of life is due.
    pub until: DateTime<Utc>,
    /// Whether the writer has let the job go.
    #[serde(default)]
    pub released: bool,
}

/// The job enters a state; why, when it failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transition {
    pub to: JobState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
    /// The engine that does this state's work as part of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegated_to: Option<String>,
}

impl From<JobState> for Transition {
    fn from(to: JobState) -> Self {
        Transition { to, error: None, delegated_to: None }
    }
}

/// The sum of a journal: where the job stands, and what the next entry's number is.
#[derive(Clone, Debug, Default)]
pub struct JournalState {
    pub state: Option<JobState>,
    pub next: u32,
    pub attempt: u32,
    pub entered: Vec<TimedState>,
    pub attempts: Vec<Attempt>,
    /// When the last entry was written; time does not go back in a journal.
    pub last: Option<DateTime<Utc>>,
    pub error: Option<Error>,
}

impl JournalState {
    /// Reads a whole journal from its first entry.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where an entry makes an illegal change.
    pub fn replay<'a>(entries: impl IntoIterator<Item = &'a JournalEntry>) -> Result<JournalState> {
        let mut sum = JournalState::default();
        for entry in entries {
            sum.apply(entry)?;
        }
        Ok(sum)
    }

    /// Adds one entry.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where it makes an illegal change; nothing is changed then.
    pub fn apply(&mut self, entry: &JournalEntry) -> Result<()> {
        let mut state = self.state;
        for transition in &entry.transitions {
            let legal = match state {
                None => transition.to == JobState::Queued,
                Some(from) => from.may_become(transition.to),
            };
            if !legal {
                let from = state.map_or("nothing", JobState::name);
                let detail = format!("journal entry {} goes from {from} to {}", self.next, transition.to);
                return Err(Error::new(ErrorKind::Internal, detail));
            }
            state = Some(transition.to);
        }
        self.state = state;
        self.next += 1;
        self.attempt = self.attempt.max(entry.attempt);
        self.attempts.extend(entry.began.iter().cloned());
        self.last = self.last.max(Some(entry.at));
        self.entered.extend(entry.transitions.iter().map(|t| TimedState { state: t.to, at: entry.at }));
        if let Some(error) = entry.transitions.iter().rev().find_map(|t| t.error.clone()) {
            self.error = Some(error);
        }
        Ok(())
    }

    /// How often the job was tried again after a failure: what it has used of its budget.
    pub fn retries(&self) -> u32 {
        self.attempts.iter().filter(|attempt| attempt.cause == AttemptCause::Retried).count() as u32
    }

    /// How often in a row the job's instance fell silent where the job stands now.
    pub fn abandonments(&self) -> u32 {
        let here = |attempt: &&Attempt| Some(attempt.state) == self.state;
        let last = self.attempts.iter().rev().take_while(here);
        last.filter(|attempt| attempt.cause == AttemptCause::Abandoned).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(states: &[JobState]) -> JournalEntry {
        JournalEntry {
            entry_id: uuid::Uuid::nil(),
            writer: uuid::Uuid::nil(),
            attempt: 1,
            at: DateTime::<Utc>::MIN_UTC,
            transitions: states.iter().copied().map(Transition::from).collect(),
            began: Vec::new(),
        }
    }

    #[test]
    fn one_entry_may_carry_several_legal_changes() {
        let sum = JournalState::replay(&[
            entry(&[JobState::Queued, JobState::Validating]),
            entry(&[JobState::Normalizing]),
        ])
        .unwrap();
        assert_eq!(sum.state, Some(JobState::Normalizing));
        assert_eq!(sum.next, 2);
        assert_eq!(sum.entered.len(), 3);
    }

    #[test]
    fn an_illegal_change_is_refused_and_changes_nothing() {
        let mut sum = JournalState::replay(&[entry(&[JobState::Queued])]).unwrap();
        let error = sum.apply(&entry(&[JobState::Validating, JobState::Completed])).unwrap_err();
        assert!(error.detail.contains("from validating to completed"), "{}", error.detail);
        assert_eq!((sum.state, sum.next), (Some(JobState::Queued), 1));
        assert!(JournalState::replay(&[entry(&[JobState::Normalizing])]).is_err());
    }
}
