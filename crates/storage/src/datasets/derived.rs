//! Gathers what a query over a source gives, batch by batch.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use caudal_core::job::SourceDescription;
use caudal_core::{Error, ErrorKind, Result};

use super::arrow_arrays::convert;
use super::arrow_ipc::offer;
use super::columns::{Choice, choose};
use crate::source::Source;
use crate::table::{Column, Table};

/// The numeric columns of a query's result, as far as it has come.
pub struct Gathering {
    choice: Choice,
    columns: Vec<Column>,
    rows: usize,
    memory_limit: u64,
}

impl Gathering {
    /// # Errors
    /// `InvalidData` where no column is numeric, or a name stands twice.
    pub fn begin(schema: &Schema, memory_limit: u64) -> Result<Gathering> {
        let offered: Vec<_> = schema.fields().iter().map(|field| offer(field)).collect();
        let choice = choose(&offered, None)?;
        let column = |i: &usize| Column {
            name: offered[*i].name.clone(),
            data_type: offered[*i].data_type.clone(),
            ..Column::default()
        };
        let columns = choice.positions.iter().map(column).collect();
        Ok(Gathering { choice, columns, rows: 0, memory_limit })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// `InsufficientMemory` once the columns take more than they may.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = self.rows + batch.num_rows();
        let bytes = rows as u64 * self.columns.len() as u64 * 8;
        if bytes > self.memory_limit {
            let allowed = self.memory_limit as f64 / 1e6;
            let detail =
                format!("what was selected takes more than the {allowed:.1} MB of memory that are left");
            return Err(Error::new(ErrorKind::InsufficientMemory, detail)
                .hint("select fewer columns or rows, or raise --memory-limit"));
        }
        for (column, position) in self.columns.iter_mut().zip(&self.choice.positions) {
            column.values.resize(rows, 0.0);
            column.inexact_integers +=
                convert(batch.column(*position).as_ref(), &mut column.values[self.rows..])?;
        }
        self.rows = rows;
        Ok(())
    }

    /// The gathered rows as a source, which was read, and in part passed over, as `origin` says.
    pub fn finish(mut self, origin: &SourceDescription) -> Source {
        for column in &mut self.columns {
            column.values.shrink_to_fit();
        }
        let mut skipped = self.choice.skipped;
        skipped.extend(origin.skipped.iter().cloned());
        Source::from(Table {
            rows: self.rows,
            columns: self.columns,
            skipped,
            format: origin.format,
            bytes_read: origin.bytes_read,
        })
    }
}
