//! A source in memory: every processed column as f64.

use caudal_core::job::{ColumnDescription, SkippedColumn, SourceDescription};
use caudal_core::request::SourceFormat;

/// A source, read: columns of equal length, in source order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub rows: usize,
    pub columns: Vec<Column>,
    pub skipped: Vec<SkippedColumn>,
    /// `None` for numbers that came with the request.
    pub format: Option<SourceFormat>,
    pub bytes_read: u64,
}

/// One column; NaN is a missing value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    pub name: String,
    /// The type in the source.
    pub data_type: String,
    pub values: Vec<f64>,
    /// Integers that the conversion to f64 changed.
    pub inexact_integers: u64,
}

impl Table {
    pub fn describe(&self) -> SourceDescription {
        let describe =
            |c: &Column| ColumnDescription { name: c.name.clone(), data_type: c.data_type.clone() };
        SourceDescription {
            format: self.format,
            rows: self.rows as u64,
            bytes_read: self.bytes_read,
            columns: self.columns.iter().map(describe).collect(),
            skipped: self.skipped.clone(),
        }
    }
}
