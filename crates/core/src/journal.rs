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
}

/// Who works on a job, and until when it may be taken for alive: `jobs/{id}/lease/{n:08}.json`, stored by put-if-absent
/// and renewed under the next number while the work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub writer: uuid::Uuid,
    pub until: DateTime<Utc>,
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
        self.entered.extend(entry.transitions.iter().map(|t| TimedState { state: t.to, at: entry.at }));
        if let Some(error) = entry.transitions.iter().rev().find_map(|t| t.error.clone()) {
            self.error = Some(error);
        }
        Ok(())
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
