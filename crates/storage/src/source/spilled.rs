//! Columns that lie in a spill file, read back extent by extent.

use std::ops::Range;
use std::sync::Arc;

use caudal_core::{Error, ErrorKind, Result};

use super::spill_file::read_values;
use super::{FileAt, Layout, Rows};

/// Rows of a column that lie side by side, up to where the next extent begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub first_row: u64,
    /// Where they begin in the file; none where every one of them is missing.
    pub place: Option<u64>,
}

impl Extent {
    fn place_of(self, row: u64) -> Option<u64> {
        self.place.map(|place| place + (row - self.first_row) * size_of::<f64>() as u64)
    }

    /// Whether the rows of a later extent lie right behind those of this one.
    pub fn goes_on_with(self, next: Extent) -> bool {
        next.place.is_some() && next.place == self.place_of(next.first_row)
    }
}

pub(crate) struct SpilledColumn {
    /// In order, the first from row 0 on.
    pub extents: Vec<Extent>,
    pub inexact_integers: u64,
}

/// Columns whose rows all lie in one file.
pub(crate) struct Spilled(Arc<Shared>);

struct Shared {
    file: FileAt,
    columns: Vec<SpilledColumn>,
}

impl Spilled {
    pub fn new(file: FileAt, columns: Vec<SpilledColumn>) -> Spilled {
        Spilled(Arc::new(Shared { file, columns }))
    }
}

impl Layout for Spilled {
    fn slice(&self, _: usize, _: Range<u64>) -> Option<&[f64]> {
        None
    }

    fn rows(&self, column: usize, row: u64) -> Box<dyn Rows> {
        Box::new(SpilledRows { shared: self.0.clone(), column, at: row })
    }

    fn inexact_integers(&self, column: usize) -> Option<u64> {
        self.0.columns.get(column).map(|c| c.inexact_integers)
    }
}

struct SpilledRows {
    shared: Arc<Shared>,
    column: usize,
    at: u64,
}

impl Rows for SpilledRows {
    fn read(&mut self, out: &mut [f64]) -> Result<u64> {
        let missing = || Error::new(ErrorKind::Internal, "rows that were never spilled were asked for");
        let column = self.shared.columns.get(self.column).ok_or_else(missing)?;
        let begin = self.at;
        let mut rest = out;
        while !rest.is_empty() {
            let next = column.extents.partition_point(|extent| extent.first_row <= self.at);
            let extent = next.checked_sub(1).and_then(|i| column.extents.get(i)).ok_or_else(missing)?;
            let end = column.extents.get(next).map_or(u64::MAX, |next| next.first_row);
            let count = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(rest.len());
            let (values, behind) = rest.split_at_mut(count);
            match extent.place_of(self.at) {
                Some(place) => read_values(&self.shared.file, place, values)?,
                None => values.fill(f64::NAN),
            }
            self.at += count as u64;
            rest = behind;
        }
        Ok(if begin == 0 { column.inexact_integers } else { 0 })
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        self.at += rows;
        Ok(())
    }
}
