//! The table `source`: the numeric columns of a source by their own names, in source order.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use caudal_core::ports::CancelToken;
use caudal_storage::{Source, Steps};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::streaming::StreamingTableExec;

use crate::dataframe::provider::Partition;

/// One ordered partition, so that a query gives the same rows in the same order on any number of threads.
pub(super) struct SourceTable {
    schema: SchemaRef,
    source: Arc<Source>,
    cancel: CancelToken,
    steps: Steps,
}

impl SourceTable {
    pub(super) fn new(source: Arc<Source>, cancel: CancelToken, steps: Steps) -> SourceTable {
        let fields = source.names().map(|name| Field::new(name, DataType::Float64, true));
        SourceTable { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())), source, cancel, steps }
    }
}

impl std::fmt::Debug for SourceTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceTable {{ {} rows }}", self.source.rows())
    }
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Only the columns that the query uses are decoded.
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = projection.cloned().unwrap_or_else(|| (0..self.source.columns()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let partition = Partition {
            schema: schema.clone(),
            numbered: false,
            source: self.source.clone(),
            columns,
            blocks: 0..self.source.blocks(),
            cancel: self.cancel.clone(),
            steps: self.steps.clone(),
        };
        let scan = StreamingTableExec::try_new(schema, vec![Arc::new(partition)], None, None, false, limit)?;
        Ok(Arc::new(scan))
    }
}
