//! Opens Parquet: the schema and the places of the processed columns, none of their values.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use caudal_core::job::{ColumnDescription, SourceDescription};
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Faults, Result};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::ParquetStatisticsPolicy;

use super::Reading;
use super::arrow_ipc::offer;
use super::columns::{Offered, agree, choose};
use super::folder::{check_form, in_file};
use super::form::Form;
use super::located::Item;
use crate::source::parquet::{Chunks, ParquetFile, ParquetLayout, ParquetRows, Place, damaged};
use crate::source::{ReadAt, Source};

/// Of a source that takes no more than this, and no more than a share of the memory that gathered columns may take,
/// columns that are compressed or encoded are decoded once.
const KEPT_BYTES: u64 = 96 << 20;
const KEPT_SHARE: u64 = 4;

/// Threads that read what files say of themselves, where there are many: they mostly wait.
const THREADS: usize = 16;

/// Opens Parquet files whose rows follow each other.
///
/// # Errors
/// `InvalidData` where a file is damaged or incomplete, has other columns than the first, or has none to process.
pub fn open(items: Vec<Item>, reading: &Reading<'_>) -> Result<Source> {
    let said = metadata_of_all(&items, reading)?;
    let (Some(item), Some(first)) = (items.first(), said.first()) else { return Err(super::no_rows()) };
    let offered = offers(first);
    let choice = choose(&offered, reading.columns)?;
    let chosen: Vec<&Offered> = choice.positions.iter().map(|i| &offered[*i]).collect();
    let mut places: Vec<Vec<Place>> = Vec::with_capacity(said.len());
    let mut faults = Faults::default();
    for (other, metadata) in items.iter().zip(&said) {
        if let Some(last) = places.last().filter(|_| metadata.parquet_schema() == first.parquet_schema()) {
            places.push(last.clone());
            continue;
        }
        agree((&item.name, &offered), (&other.name, &offers(metadata)), reading.columns, &mut faults);
        let fields = metadata.schema().fields();
        let roots =
            chosen.iter().filter_map(|column| fields.iter().position(|field| *field.name() == column.name));
        places.push(roots.map(|root| Place::of(metadata, root)).collect());
    }
    if !faults.is_empty() {
        return Err(Error::from_faults(ErrorKind::InvalidData, faults));
    }
    let columns =
        chosen.iter().map(|c| ColumnDescription { name: c.name.clone(), data_type: c.data_type.clone() });
    let columns = columns.collect();
    let files = items.into_iter().zip(said).zip(places);
    let files = files.map(|((item, metadata), places)| ParquetFile { open: item.open, metadata, places });
    let rows = ParquetRows::new(files.collect())?;
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
    let source = Source::new(description, Box::new(ParquetLayout(Arc::new(rows))));
    Ok(source.keeping_within((reading.room.memory / KEPT_SHARE).min(KEPT_BYTES)))
}

fn offers(metadata: &ArrowReaderMetadata) -> Vec<Offered> {
    metadata.schema().fields().iter().map(|field| offer(field)).collect()
}

fn metadata_of_all(items: &[Item], reading: &Reading<'_>) -> Result<Vec<ArrowReaderMetadata>> {
    let next = AtomicUsize::new(0);
    let read = || {
        let mut said = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return Ok(said) };
            reading.input.cancel.check()?;
            said.push((at, metadata_of(item, items, reading)?));
        }
    };
    let mut said = match items.len() {
        1 => read()?,
        count => std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS.min(count)).map(|_| scope.spawn(read)).collect();
            let mut said = Vec::with_capacity(count);
            for thread in threads {
                let panicked = |_| damaged(&"it was not made by any known writer");
                said.extend(thread.join().map_err(panicked)??);
            }
            Ok::<_, Error>(said)
        })?,
    };
    said.sort_by_key(|(at, _)| *at);
    Ok(said.into_iter().map(|(_, metadata)| metadata).collect())
}

fn metadata_of(item: &Item, items: &[Item], reading: &Reading<'_>) -> Result<ArrowReaderMetadata> {
    let bytes = item.bytes()?;
    let told = metadata(bytes.clone()).map_err(|error| bytes.failure().unwrap_or(error));
    match items {
        [_] => told,
        [first, ..] => told.map_err(|error| {
            let other_form = check_form(item, first, Form::Parquet, reading.format).err();
            in_file(other_form.unwrap_or(error), &item.name)
        }),
        [] => told,
    }
}

/// What a file says of itself, without the statistics, which nobody asks for here.
pub fn metadata(bytes: Arc<dyn ReadAt>) -> Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new()
        .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
        .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
    ArrowReaderMetadata::load(&Chunks::new(bytes), options).map_err(|e| damaged(&e))
}
