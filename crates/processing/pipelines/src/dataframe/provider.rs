//! Columns of a table as DataFusion sees them: one batch for each block of 65,536 rows, with its number.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt64Array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use caudal_core::ports::CancelToken;
use caudal_kernels::BLOCK_ROWS;
use caudal_storage::Table;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

/// The column that holds the number of a row's block.
pub(super) const BLOCK: &str = "block";

/// How column `i` of a table is called in queries; its own name may need quoting or hold dots.
pub(super) fn column_name(i: usize) -> String {
    format!("c{i}")
}

/// The columns of a table in a range, in as many partitions, each of neighbouring blocks.
pub(super) fn provider(
    table: &Arc<Table>,
    columns: Range<usize>,
    partitions: usize,
    cancel: &CancelToken,
) -> Result<StreamingTable> {
    let block = Field::new(BLOCK, DataType::UInt64, false);
    let values = columns.clone().map(|i| Field::new(column_name(i), DataType::Float64, true));
    let schema = Arc::new(Schema::new(std::iter::once(block).chain(values).collect::<Vec<_>>()));
    let blocks = table.rows.div_ceil(BLOCK_ROWS);
    let partition = |p: usize| -> Arc<dyn PartitionStream> {
        Arc::new(Partition {
            schema: schema.clone(),
            table: table.clone(),
            columns: columns.clone(),
            blocks: blocks * p / partitions..blocks * (p + 1) / partitions,
            cancel: cancel.clone(),
        })
    };
    StreamingTable::try_new(schema.clone(), (0..partitions).map(partition).collect())
}

/// Neighbouring blocks of a table.
struct Partition {
    schema: SchemaRef,
    table: Arc<Table>,
    columns: Range<usize>,
    blocks: Range<usize>,
    cancel: CancelToken,
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
        let (schema, table) = (self.schema.clone(), self.table.clone());
        let (columns, cancel) = (self.columns.clone(), self.cancel.clone());
        let batches = self.blocks.clone().map(move |block| {
            cancel.check().map_err(|e| DataFusionError::External(Box::new(e)))?;
            Ok(batch(&schema, &table, columns.clone(), block)?)
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches)))
    }
}

fn batch(
    schema: &SchemaRef,
    table: &Table,
    columns: Range<usize>,
    block: usize,
) -> arrow::error::Result<RecordBatch> {
    let rows = block * BLOCK_ROWS..table.rows.min((block + 1) * BLOCK_ROWS);
    let numbers: ArrayRef = Arc::new(UInt64Array::from_value(block as u64, rows.len()));
    let arrays = table.columns[columns].iter().map(|column| values(&column.values[rows.clone()]));
    RecordBatch::try_new(schema.clone(), std::iter::once(numbers).chain(arrays).collect())
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
