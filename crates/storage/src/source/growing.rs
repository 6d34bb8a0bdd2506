//! Columns that grow row by row: in memory as far as they may, and beyond that in extents of a spill file.

use std::sync::Arc;

use caudal_core::job::{ColumnDescription, SourceDescription};
use caudal_core::{Error, ErrorKind, Result};

use super::budget::{Budget, Reservation};
use super::held::Held;
use super::spill_file::SpillFile;
use super::spilled::{Extent, Spilled, SpilledColumn};
use super::{Source, SpillOptions};
use crate::table::Column;

/// Rows of an extent at least, but for a column's last.
const EXTENT_ROWS: usize = 1024;

/// What columns may hold once they spill: enough for long extents, little enough to leave memory to others.
const HELD_WHILE_SPILLING: u64 = 64 << 20;

/// What columns hold whatever others do.
const HELD_WITHOUT_ASKING: u64 = 16 << 20;

/// What gathered columns may take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    /// Bytes in memory.
    pub memory: u64,
    /// What all jobs have together.
    pub budget: Option<Arc<Budget>>,
    pub spill: SpillOptions,
}

/// One column while it grows; NaN is a missing value.
#[derive(Default)]
pub(crate) struct Growing {
    pub name: String,
    /// The type in the source.
    pub data_type: String,
    /// Integers that the conversion to f64 changed.
    pub inexact_integers: u64,
    /// Rows that lie in extents, before those in memory.
    extents: Vec<Extent>,
    spilled: u64,
    values: Vec<f64>,
}

impl Growing {
    pub fn new(name: impl Into<String>, data_type: impl Into<String>) -> Growing {
        Growing { name: name.into(), data_type: data_type.into(), ..Growing::default() }
    }

    pub fn rows(&self) -> u64 {
        self.spilled + self.values.len() as u64
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> u64 {
        size_of_val(self.values.as_slice()) as u64
    }

    #[inline]
    pub fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// Appends rows of zeros, to be written over.
    pub fn extend(&mut self, rows: usize) -> &mut [f64] {
        let begin = self.values.len();
        self.values.resize(begin + rows, 0.0);
        &mut self.values[begin..]
    }

    /// Missing values up to a row. Many of them at a column's beginning, where a name turns up late, take no memory.
    pub fn pad_to(&mut self, row: u64) {
        let missing = row.saturating_sub(self.rows());
        if self.values.is_empty() && missing >= EXTENT_ROWS as u64 {
            self.extents.push(Extent { first_row: self.spilled, place: None });
            self.spilled = row;
        } else if missing > 0 {
            self.values.resize(self.values.len() + missing as usize, f64::NAN);
        }
    }

    /// Drops every row.
    pub fn clear(&mut self) {
        (self.extents, self.spilled, self.values) = (Vec::new(), 0, Vec::new());
    }

    /// Moves rows out of memory: all of them, or whole extents.
    fn spill(&mut self, file: &mut SpillFile, all: bool) -> Result<()> {
        let held = self.values.len();
        let count = if all { held } else { held / EXTENT_ROWS * EXTENT_ROWS };
        if count == 0 {
            return Ok(());
        }
        let extent = Extent { first_row: self.spilled, place: Some(file.append(&self.values[..count])?) };
        if self.extents.last().is_none_or(|last| !last.goes_on_with(extent)) {
            self.extents.push(extent);
        }
        self.spilled += count as u64;
        if self.values.capacity() as u64 * 8 > HELD_WHILE_SPILLING {
            self.values = self.values.split_off(count);
        } else {
            self.values.drain(..count);
        }
        Ok(())
    }

    /// The column with every row in memory: without a file, what was set apart is missing.
    fn into_held(mut self) -> Column {
        if self.spilled > 0 {
            drop(self.values.splice(..0, std::iter::repeat_n(f64::NAN, self.spilled as usize)));
        }
        let Growing { name, data_type, values, inexact_integers, .. } = self;
        Column { name, data_type, values, inexact_integers }
    }

    fn describe(&self) -> ColumnDescription {
        ColumnDescription { name: self.name.clone(), data_type: self.data_type.clone() }
    }
}

/// Keeps columns that grow together within their room.
pub(crate) struct Keeper {
    room: Room,
    share: Option<Reservation>,
    file: Option<SpillFile>,
}

impl Keeper {
    pub fn new(room: Room) -> Keeper {
        let share = room.budget.as_ref().map(Reservation::of);
        Keeper { room, share, file: None }
    }

    /// Whether columns that hold so many bytes have to be [relieved](Self::relieve).
    pub fn is_full(&mut self, bytes: u64) -> bool {
        let most = if self.file.is_some() { HELD_WHILE_SPILLING } else { u64::MAX };
        bytes > self.room.memory.min(most) || !self.has_a_share_of(bytes)
    }

    /// Whether other jobs leave so much. A little is not asked for: it costs more to set apart than to hold.
    fn has_a_share_of(&mut self, bytes: u64) -> bool {
        bytes <= HELD_WITHOUT_ASKING || self.share.as_mut().is_none_or(|share| share.cover(bytes))
    }

    /// Moves rows of the columns out of memory. `expected` bytes are all that will have to be, as far as can be
    /// foreseen.
    ///
    /// # Errors
    /// `InsufficientDisk`; `InsufficientMemory` where not even an extent of each column has room.
    pub fn relieve<'c>(
        &mut self,
        columns: impl Iterator<Item = &'c mut Growing>,
        expected: u64,
    ) -> Result<()> {
        let file = self.file(expected)?;
        let (mut left, mut count) = (0, 0);
        for column in columns {
            column.spill(file, false)?;
            left += column.bytes();
            count += 1;
        }
        if let Some(share) = &mut self.share {
            share.shrink_to(left);
        }
        match left > self.room.memory {
            true => Err(too_wide(count, self.room.memory)),
            false => Ok(()),
        }
    }

    fn file(&mut self, expected: u64) -> Result<&mut SpillFile> {
        match &mut self.file {
            Some(file) => Ok(file),
            none => Ok(none.insert(SpillFile::create(&self.room.spill, expected)?)),
        }
    }

    /// The columns, each of `origin.rows` rows, as a source; the rest of `origin` says where they came from.
    ///
    /// # Errors
    /// As [`relieve`](Self::relieve).
    pub fn finish(mut self, mut columns: Vec<Growing>, mut origin: SourceDescription) -> Result<Source> {
        origin.columns = columns.iter().map(Growing::describe).collect();
        columns.iter_mut().for_each(|column| column.pad_to(origin.rows));
        let bytes = origin.cells().saturating_mul(8);
        if self.is_full(bytes) {
            self.file(bytes)?;
        }
        let Some(mut file) = self.file else {
            let columns = columns.into_iter().map(Growing::into_held).collect();
            return Ok(Source::new(origin, Box::new(Held::of_share(columns, self.share))));
        };
        columns.iter_mut().try_for_each(|column| column.spill(&mut file, true))?;
        let layout = |column: Growing| SpilledColumn {
            extents: column.extents,
            inexact_integers: column.inexact_integers,
        };
        let columns = columns.into_iter().map(layout).collect();
        Ok(Source::new(origin, Box::new(Spilled::new(file.finish()?, columns))))
    }
}

fn too_wide(columns: usize, memory: u64) -> Error {
    let detail = format!(
        "{EXTENT_ROWS} rows of {columns} columns take more than the {:.1} MB of memory that gathered columns may hold",
        memory as f64 / 1e6
    );
    Error::new(ErrorKind::InsufficientMemory, detail).hint("name fewer columns, or raise --memory-limit")
}
