//! Columns of a source as DataFusion sees them: one batch for each block of 65,536 rows, with its number where wanted.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use caudal_core::ports::CancelToken;
use caudal_storage::{Batch, BatchReader, Source, Steps};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

/// The column that holds the number of a row's block.
pub(super) const BLOCK: &str = "block";

/// How column `i` of a source is called in queries; its own name may need quoting or hold dots.
pub(super) fn column_name(i: usize) -> String {
    format!("c{i}")
}

/// Some columns of a source, in as many partitions, each of neighbouring blocks.
pub(super) fn provider(
    source: &Arc<Source>,
    columns: &[usize],
    partitions: usize,
    cancel: &CancelToken,
    steps: &Steps,
) -> Result<StreamingTable> {
    let block = Field::new(BLOCK, DataType::UInt64, false);
    let values = columns.iter().map(|i| Field::new(column_name(*i), DataType::Float64, true));
    let schema = Arc::new(Schema::new(std::iter::once(block).chain(values).collect::<Vec<_>>()));
    let (blocks, partitions) = (source.blocks(), partitions as u64);
    let partition = |p: u64| -> Arc<dyn PartitionStream> {
        Arc::new(Partition {
            schema: schema.clone(),
            numbered: true,
            source: source.clone(),
            columns: columns.to_vec(),
            blocks: blocks * p / partitions..blocks * (p + 1) / partitions,
            cancel: cancel.clone(),
            steps: steps.clone(),
        })
    };
    StreamingTable::try_new(schema.clone(), (0..partitions).map(partition).collect())
}

/// Neighbouring blocks of a source.
pub(crate) struct Partition {
    pub schema: SchemaRef,
    /// Whether the first column holds the number of a row's block.
    pub numbered: bool,
    pub source: Arc<Source>,
    pub columns: Vec<usize>,
    pub blocks: Range<u64>,
    pub cancel: CancelToken,
    pub steps: Steps,
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Partition {{ columns: {:?}, blocks: {:?} }}", self.columns, self.blocks)
    }
}

impl PartitionStream for Partition {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (schema, cancel, steps) = (self.schema.clone(), self.cancel.clone(), self.steps.clone());
        let (source, numbered) = (self.source.clone(), self.numbered);
        let external = |e| DataFusionError::External(Box::new(e));
        let batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> =
            match BatchReader::new(self.source.clone(), &self.columns, self.blocks.clone()) {
                Err(error) => Box::new(std::iter::once(Err(external(error)))),
                Ok(mut reader) => Box::new(std::iter::from_fn(move || {
                    if let Err(error) = cancel.check() {
                        return Some(Err(external(error)));
                    }
                    let read = reader.next_batch().map_err(external).transpose()?;
                    Some(read.and_then(|read| {
                        let rows = source.block(read.block);
                        let batch = batch(&schema, &read, (rows.end - rows.start) as usize, numbered)?;
                        steps.add((batch.num_rows() * read.columns.len()) as u64);
                        Ok(batch)
                    }))
                })),
            };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches)))
    }
}

fn batch(
    schema: &SchemaRef,
    read: &Batch<'_>,
    rows: usize,
    numbered: bool,
) -> arrow::error::Result<RecordBatch> {
    let numbers = numbered.then(|| Arc::new(UInt64Array::from_value(read.block, rows)) as ArrayRef);
    let arrays = numbers.into_iter().chain(read.columns.iter().map(|rows| values(rows)));
    // A query that only counts rows asks for no column.
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), arrays.collect(), &options)
}

/// NaN becomes null here, once, since comparisons with NaN mean different things to different kernels;
/// -0.0 becomes 0.0, since grouping and ordering tell them apart.
fn values(slice: &[f64]) -> ArrayRef {
    let values: Vec<f64> = slice.iter().map(|x| x + 0.0).collect();
    let nulls = slice
        .iter()
        .any(|x| x.is_nan())
        .then(|| NullBuffer::new(BooleanBuffer::collect_bool(slice.len(), |i| !slice[i].is_nan())));
    Arc::new(Float64Array::new(values.into(), nulls))
}
