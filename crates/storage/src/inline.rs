//! Numbers that came inside a request, as an Arrow IPC file beside it.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use caudal_core::request::InlineTable;
use caudal_core::{Error, ErrorKind, Result};

use crate::table::{Column, Table};

/// Field metadata: integers that lost digits before they were stored.
pub const INEXACT_INTEGERS: &str = "caudal.inexact_integers";

/// The table as an Arrow IPC file; NaN stays NaN, which is missing wherever it is read.
pub fn encode(table: &InlineTable) -> Result<Vec<u8>> {
    let fields = table.columns.iter().map(|column| {
        let metadata = HashMap::from([(INEXACT_INTEGERS.to_owned(), column.inexact_integers.to_string())]);
        Field::new(&column.name, DataType::Float64, false).with_metadata(metadata)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = table.columns.iter().map(|c| Arc::new(Float64Array::from(c.values.clone())) as ArrayRef);
    let written = RecordBatch::try_new(schema.clone(), arrays.collect()).and_then(|batch| {
        let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
        writer.write(&batch)?;
        writer.into_inner()
    });
    written
        .map_err(|e| Error::new(ErrorKind::Internal, "the inline data cannot be written as Arrow").cause(e))
}

/// The table that [`encode`] wrote.
pub fn decode(content: &[u8]) -> Result<Table> {
    let damaged = |e| Error::new(ErrorKind::StorageUnavailable, "the stored inline data is damaged").cause(e);
    let reader = FileReader::try_new(Cursor::new(content), None).map_err(damaged)?;
    let schema = reader.schema();
    let column = |field: &Arc<Field>| Column {
        name: field.name().clone(),
        data_type: "number".into(),
        values: Vec::new(),
        inexact_integers: field.metadata().get(INEXACT_INTEGERS).and_then(|n| n.parse().ok()).unwrap_or(0),
    };
    let mut table = Table {
        columns: schema.fields().iter().map(column).collect(),
        bytes_read: content.len() as u64,
        ..Table::default()
    };
    for batch in reader {
        let batch = batch.map_err(damaged)?;
        for (column, array) in table.columns.iter_mut().zip(batch.columns()) {
            column.values.extend_from_slice(array.as_primitive::<Float64Type>().values());
        }
        table.rows += batch.num_rows();
    }
    Ok(table)
}
