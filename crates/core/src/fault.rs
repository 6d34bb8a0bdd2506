//! Faults found in a request or in its data: all are counted, the first twenty are told.

use serde::{Deserialize, Serialize};

/// How many faults are told one by one.
pub const FAULTS_TOLD: usize = 20;

/// The longest text of a fault; names come from requests and data, and may be of any length.
const LONGEST_TEXT: usize = 1000;

/// One fault and its place: a JSON pointer (`/data/17`), or a row and column (`row 12, column delay`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Fault {
    pub pointer: String,
    pub detail: String,
}

/// The first [`FAULTS_TOLD`] faults and how many there were in all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    pub first: Vec<Fault>,
    pub total: u64,
}

impl Faults {
    /// Counts a fault; the text is built only while it will be told.
    pub fn push(&mut self, pointer: impl FnOnce() -> String, detail: impl FnOnce() -> String) {
        self.total += 1;
        if self.first.len() < FAULTS_TOLD {
            self.first.push(Fault {
                pointer: shortened(pointer(), LONGEST_TEXT),
                detail: shortened(detail(), LONGEST_TEXT),
            });
        }
    }

    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Adds another collection behind this one.
    pub fn extend(&mut self, other: Faults) {
        self.total += other.total;
        self.first.extend(other.first);
        self.first.truncate(FAULTS_TOLD);
    }

    /// One line: the first fault, and how many more there are.
    pub fn summary(&self) -> String {
        match self.first.first() {
            None => String::new(),
            Some(f) if self.total == 1 => format!("{}: {}", f.pointer, f.detail),
            Some(f) => format!("{}: {} (and {} more)", f.pointer, f.detail, self.total - 1),
        }
    }
}

/// A text with no more than `most` bytes, with its end left out where it has more.
pub fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

/// The pointer of `key` below `base`, escaped as RFC 6901 asks (`~` → `~0`, `/` → `~1`).
pub fn pointer(base: &str, key: impl std::fmt::Display) -> String {
    format!("{base}/{}", key.to_string().replace('~', "~0").replace('/', "~1"))
}
