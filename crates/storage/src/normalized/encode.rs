//! Rows of normalised columns as bytes, and back.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use bytes::Bytes;
use caudal_core::request::OutputFormat;
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::huge_room;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::text;

/// One column of a part: its name and its rows, NaN for missing.
pub type Slice<'a> = (&'a str, &'a [f64]);

/// The columns of a stored part, in stored order.
pub fn read_part(format: OutputFormat, columns: usize, content: Bytes) -> Result<Vec<Vec<f64>>> {
    match format {
        OutputFormat::Json => text::read_ndjson(columns, &content),
        OutputFormat::Csv => text::read_csv(columns, &content),
        OutputFormat::Arrow => {
            let batches =
                FileReader::try_new(std::io::Cursor::new(content), None).map_err(|e| damaged(&e))?;
            gather(columns, batches)
        }
        OutputFormat::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(content).map_err(|e| damaged(&e))?;
            gather(columns, reader.with_batch_size(65_536).build().map_err(|e| damaged(&e))?)
        }
    }
}

fn gather(
    columns: usize,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<Vec<Vec<f64>>> {
    let mut gathered = vec![Vec::new(); columns];
    for batch in batches {
        let batch = batch.map_err(|e| damaged(&e))?;
        for (values, array) in gathered.iter_mut().zip(batch.columns()) {
            let begin = values.len();
            values.resize(begin + batch.num_rows(), 0.0);
            crate::datasets::convert(array.as_ref(), &mut values[begin..])?;
        }
    }
    Ok(gathered)
}

/// The schema of normalised columns.
pub fn schema<'a>(names: impl Iterator<Item = &'a str>) -> SchemaRef {
    let fields: Vec<_> = names.map(|name| Field::new(name, DataType::Float64, true)).collect();
    Arc::new(Schema::new(fields))
}

/// Missing values become nulls.
pub fn batch(schema: &SchemaRef, columns: Vec<Vec<f64>>) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_new(schema.clone(), columns.into_iter().map(array).collect())
}

fn array(mut values: Vec<f64>) -> ArrayRef {
    if !values.iter().any(|x| x.is_nan()) {
        return Arc::new(Float64Array::from(values));
    }
    let nulls = NullBuffer::new(BooleanBuffer::collect_bool(values.len(), |i| !values[i].is_nan()));
    // What lies under a null is written as 0, so that the same column gives the same bytes.
    values.iter_mut().filter(|x| x.is_nan()).for_each(|x| *x = 0.0);
    Arc::new(Float64Array::new(values.into(), Some(nulls)))
}

/// The columns as one Arrow file.
pub fn arrow_file(names: &[String], columns: Vec<Vec<f64>>) -> Result<Vec<u8>, ArrowError> {
    let schema = schema(names.iter().map(String::as_str));
    let bytes = columns.iter().map(|c| c.len() * 8).sum::<usize>();
    let mut writer = FileWriter::try_new(huge_room(bytes + bytes / 16 + 4096), &schema)?;
    writer.write(&batch(&schema, columns)?)?;
    writer.into_inner()
}

/// Values of a column that are looked at to see whether it repeats itself.
const LOOKED_AT: usize = 1_024;

/// Who is named as a file's writer: not the library, so that its versions write the same bytes.
pub const AUTHOR: &str = "caudal";

/// How Parquet is written: a dictionary for the named columns, which repeat themselves, plain numbers for the others,
/// which no general compression makes much smaller and every one makes several times as slow to write. No statistics:
/// they are stored beside the data, and exact.
pub fn parquet_properties<'a>(repeating: impl Iterator<Item = &'a str>) -> WriterProperties {
    let builder = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false)
        .set_created_by(AUTHOR.into())
        .set_max_row_group_row_count(None);
    let paths = repeating.map(|name| ColumnPath::from(vec![name.into()]));
    paths.fold(builder, |builder, path| builder.set_column_dictionary_enabled(path, true)).build()
}

/// Whether values spread over a column are at most a quarter different ones.
pub fn repeats(values: &[f64]) -> bool {
    let step = (values.len() / LOOKED_AT).max(1);
    let mut looked_at: Vec<u64> = values.iter().step_by(step).map(|x| x.to_bits()).collect();
    let count = looked_at.len();
    looked_at.sort_unstable();
    looked_at.dedup();
    looked_at.len() * 4 <= count
}

pub fn unwritable(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "the normalised data cannot be encoded").cause(error)
}

pub fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::StorageUnavailable, "the stored normalised data is damaged").cause(error)
}
