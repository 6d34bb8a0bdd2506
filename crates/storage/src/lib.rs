//! One bucket: keys, journal, data sets and results over an object store.

mod bucket;
mod datasets;
mod index;
mod inline;
mod journal;
mod keys;
mod normalized;
mod records;
mod table;

pub use bucket::Bucket;
pub use datasets::{Datasets, SourceOptions};
pub use normalized::NormalizedColumnData;
pub use records::BucketRecords;
pub use table::{Column, Table};
