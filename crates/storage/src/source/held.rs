//! Columns that lie in memory.

use std::ops::Range;
use std::sync::Arc;

use caudal_core::{Error, ErrorKind, Result};

use super::budget::Reservation;
use super::{Layout, Rows};
use crate::table::Column;

/// Gathered columns.
pub(crate) struct Held {
    columns: Arc<Vec<Column>>,
    /// Of the memory that all jobs share.
    _share: Option<Reservation>,
}

impl Held {
    pub fn new(columns: Vec<Column>) -> Held {
        Held::of_share(columns, None)
    }

    /// With what they take of the shared memory, for as long as they are held.
    pub fn of_share(columns: Vec<Column>, share: Option<Reservation>) -> Held {
        Held { columns: Arc::new(columns), _share: share }
    }
}

impl Layout for Held {
    fn slice(&self, column: usize, rows: Range<u64>) -> Option<&[f64]> {
        self.columns.get(column)?.values.get(rows.start as usize..rows.end as usize)
    }

    fn rows(&self, column: usize, row: u64) -> Box<dyn Rows> {
        Box::new(HeldRows { columns: self.columns.clone(), column, at: row })
    }

    fn inexact_integers(&self, column: usize) -> Option<u64> {
        self.columns.get(column).map(|c| c.inexact_integers)
    }
}

struct HeldRows {
    columns: Arc<Vec<Column>>,
    column: usize,
    at: u64,
}

impl Rows for HeldRows {
    fn read(&mut self, out: &mut [f64]) -> Result<u64> {
        let begin = self.at as usize;
        let missing = || Error::new(ErrorKind::Internal, "rows beyond the last were asked for");
        let column = self.columns.get(self.column).ok_or_else(missing)?;
        out.copy_from_slice(column.values.get(begin..begin + out.len()).ok_or_else(missing)?);
        self.at += out.len() as u64;
        Ok(if begin == 0 { column.inexact_integers } else { 0 })
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        self.at += rows;
        Ok(())
    }
}
