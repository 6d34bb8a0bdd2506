//! Gathers what a query over a source gives, batch by batch.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use caudal_core::Result;
use caudal_core::job::SourceDescription;

use super::Datasets;
use super::arrow_arrays::convert;
use super::arrow_ipc::offer;
use super::columns::{Choice, choose};
use crate::source::{Growing, Keeper, Source};

/// The numeric columns of a query's result, as far as it has come.
pub struct Gathering {
    choice: Choice,
    columns: Vec<Growing>,
    rows: u64,
    keeper: Keeper,
}

impl Gathering {
    /// Columns that may take a share of `memory` bytes, and more on the disk.
    ///
    /// # Errors
    /// `InvalidData` where no column is numeric, or a name stands twice.
    pub fn begin(datasets: &Datasets, schema: &Schema, memory: u64) -> Result<Gathering> {
        let offered: Vec<_> = schema.fields().iter().map(|field| offer(field)).collect();
        let choice = choose(&offered, None)?;
        let column = |i: &usize| Growing::new(&offered[*i].name, &offered[*i].data_type);
        let columns = choice.positions.iter().map(column).collect();
        Ok(Gathering { choice, columns, rows: 0, keeper: Keeper::new(datasets.room(memory)) })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `InsufficientDisk` once neither memory nor the disk has room for the columns.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        for (column, position) in self.columns.iter_mut().zip(&self.choice.positions) {
            let place = column.extend(batch.num_rows());
            column.inexact_integers += convert(batch.column(*position).as_ref(), place)?;
        }
        self.rows += batch.num_rows() as u64;
        let held = self.columns.iter().map(Growing::bytes).sum();
        match self.keeper.is_full(held) {
            // How many rows there will be, nobody knows.
            true => self.keeper.relieve(self.columns.iter_mut(), held),
            false => Ok(()),
        }
    }

    /// The gathered rows as a source, which was read, and in part passed over, as `origin` says.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn finish(self, origin: &SourceDescription) -> Result<Source> {
        let mut skipped = self.choice.skipped;
        skipped.extend(origin.skipped.iter().cloned());
        let SourceDescription { format, bytes_read, .. } = *origin;
        let origin = SourceDescription { format, rows: self.rows, bytes_read, columns: Vec::new(), skipped };
        self.keeper.finish(self.columns, origin)
    }
}
