//! Opens Parquet: the schema and the places of the processed columns, none of their values.

use std::fs::File;
use std::sync::Arc;

use caudal_core::Result;
use caudal_core::job::{ColumnDescription, SourceDescription};
use caudal_core::request::SourceFormat;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetStatisticsPolicy;

use super::Reading;
use super::arrow_ipc::offer;
use super::columns::choose;
use crate::source::parquet::{Chunks, ParquetFile, ParquetLayout, ParquetRows, Place, damaged};
use crate::source::{FileAt, ReadAt, Source};

/// Opens a Parquet file.
///
/// # Errors
/// `InvalidData` where the file is damaged or incomplete, or has no column to process.
pub fn open(file: File, reading: &Reading<'_>) -> Result<Source> {
    let bytes: Arc<dyn ReadAt> = Arc::new(FileAt::new(file).map_err(|e| super::unreadable(&e))?);
    let metadata = metadata(bytes.clone())?;
    let schema = metadata.schema().clone();
    let offered: Vec<_> = schema.fields().iter().map(|field| offer(field)).collect();
    let choice = choose(&offered, reading.columns)?;
    let describe = |i: &usize| ColumnDescription {
        name: schema.field(*i).name().clone(),
        data_type: offered[*i].data_type.clone(),
    };
    let columns = choice.positions.iter().map(describe).collect();
    let places = choice.positions.iter().map(|root| Place::of(&metadata, *root)).collect();
    let open = Box::new(move || Ok(bytes.clone()));
    let rows = ParquetRows::new(vec![ParquetFile { open, metadata, places }])?;
    if rows.rows() == 0 {
        return Err(super::no_rows());
    }
    let description = SourceDescription {
        format: Some(SourceFormat::Parquet),
        rows: rows.rows(),
        bytes_read: reading.size,
        columns,
        skipped: choice.skipped,
    };
    Ok(Source::new(description, Box::new(ParquetLayout(Arc::new(rows)))))
}

/// What a file says of itself, without the statistics, which nobody asks for here.
pub fn metadata(bytes: Arc<dyn ReadAt>) -> Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    ArrowReaderMetadata::load(&Chunks::new(bytes), options).map_err(|e| damaged(&e))
}
