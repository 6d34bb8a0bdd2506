//! One bucket: keys, journal, data sets and results over an object store.

mod bucket;
mod datasets;
mod index;
mod inline;
mod journal;
mod keys;
mod normalized;
mod records;
mod source;
mod table;

pub use bucket::Bucket;
pub use datasets::{Datasets, Gathering, SourceOptions, listed, unknown_column};
pub use normalized::FillRows;
pub use records::BucketRecords;
pub use source::{
    BLOCK_ROWS, Batch, BatchReader, ColumnReader, ScanControl, Source, SourceColumn, SpillOptions, Steps,
    scan,
};
pub use table::{Column, Table};
