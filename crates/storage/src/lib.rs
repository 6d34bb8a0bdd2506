//! One bucket: keys, journal, data sets and results over an object store.

mod api_keys;
mod applications;
mod assignments;
mod bucket;
mod claims;
mod datasets;
mod deliveries;
mod durable;
mod index;
mod inline;
mod journal;
mod keys;
mod large;
mod normalized;
mod probe;
mod records;
mod removal;
mod s3;
mod source;
mod spark;
mod sweep;
mod table;
mod uploads;
mod usage;

pub use api_keys::BucketApiKeys;
pub use applications::{Applications, Attempt, Note};
pub use assignments::{Assignments, StageReport};
pub use bucket::Bucket;
pub use claims::BucketClaims;
pub use datasets::{Datasets, Gathering, SourceOptions, file_uri, listed, unknown_column};
pub use deliveries::BucketDeliveries;
pub use keys::output_roots;
pub use normalized::{FillRows, Filler, json_array};
pub use records::BucketRecords;
pub use s3::{S3Location, is_s3};
pub use source::{
    BLOCK_ROWS, Batch, BatchReader, ColumnReader, ScanControl, Source, SourceColumn, SpillOptions, Steps,
    scan,
};
pub use spark::{Converted, Reach, ReadBy, SparkInput, SparkPlaces, WrittenFile};
pub use sweep::{Garbage, Retention};
pub use table::{Column, Table};
pub use uploads::{BucketUploads, UploadLimits};
pub use usage::BucketUsage;
