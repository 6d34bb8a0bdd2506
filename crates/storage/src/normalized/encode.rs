//! Rows of normalised columns as bytes, and back.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;
use bytes::Bytes;
use caudal_core::request::OutputFormat;
use caudal_core::{Error, ErrorKind, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::text;

/// One column of a part: its name and its rows, NaN for missing.
pub type Slice<'a> = (&'a str, &'a [f64]);

/// A part in the form in which it is stored.
pub fn part(format: OutputFormat, columns: &[Slice<'_>]) -> Result<Vec<u8>> {
    match format {
        OutputFormat::Json => Ok(text::ndjson(columns)),
        OutputFormat::Csv => Ok(text::csv(columns, true)),
        OutputFormat::Arrow => arrow_file(columns).map_err(|e| unwritable(&e)),
        OutputFormat::Parquet => parquet_file(columns).map_err(|e| unwritable(&e)),
    }
}

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
pub fn batch(schema: &SchemaRef, columns: &[Slice<'_>]) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.iter().map(|(_, values)| {
        let nulls = values
            .iter()
            .any(|x| x.is_nan())
            .then(|| values.iter().map(|x| !x.is_nan()).collect::<NullBuffer>());
        // What lies under a null is written as 0, so that the same column gives the same bytes.
        let numbers: ScalarBuffer<f64> = match &nulls {
            Some(_) => values.iter().map(|x| if x.is_nan() { 0.0 } else { *x }).collect::<Vec<_>>().into(),
            None => values.to_vec().into(),
        };
        Arc::new(Float64Array::new(numbers, nulls)) as ArrayRef
    });
    RecordBatch::try_new(schema.clone(), arrays.collect())
}

fn arrow_file(columns: &[Slice<'_>]) -> Result<Vec<u8>, ArrowError> {
    let schema = schema(columns.iter().map(|(name, _)| *name));
    let mut writer = FileWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch(&schema, columns)?)?;
    writer.into_inner()
}

fn parquet_file(columns: &[Slice<'_>]) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let schema = schema(columns.iter().map(|(name, _)| *name));
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(parquet_properties()))?;
    writer.write(&batch(&schema, columns)?)?;
    writer.into_inner()
}

/// The same for every Parquet file that is written here; the author's name keeps files equal byte by
/// byte from one version of the library to the next.
pub fn parquet_properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("caudal".into())
        .set_max_row_group_row_count(Some(super::PART_ROWS))
        .build()
}

pub fn unwritable(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, "the normalised data cannot be encoded").cause(error)
}

pub fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::StorageUnavailable, "the stored normalised data is damaged").cause(error)
}
