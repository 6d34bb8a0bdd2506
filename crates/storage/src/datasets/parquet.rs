//! Reads Parquet: only the columns that are processed, the row groups side by side, straight into place.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::{ChunkReader, Length};

use super::Reading;
use super::arrow_arrays::convert;
use super::arrow_ipc::offer;
use super::columns::{Choice, choose};
use crate::table::{Column, Table};

/// Rows that are decoded at once: small enough for the cache, large enough to be quick.
const BATCH_ROWS: usize = 65_536;

/// Reads the processed columns of a Parquet file.
///
/// # Errors
/// `InvalidData` where the file is damaged or incomplete, or has no column to process;
/// `InsufficientMemory` where the columns do not fit.
pub fn read(file: File, reading: &Reading<'_>) -> Result<Table> {
    let file = SharedFile { file: Arc::new(Mutex::new(file)), size: reading.size };
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|e| damaged(&e))?;
    let schema = metadata.schema();
    let offered: Vec<_> = schema.fields().iter().map(|field| offer(field)).collect();
    let choice = choose(&offered, reading.columns)?;
    let group_rows: Vec<usize> =
        metadata.metadata().row_groups().iter().map(|group| group.num_rows().max(0) as usize).collect();
    let rows: usize = group_rows.iter().sum();
    if rows == 0 {
        return Err(super::no_rows());
    }
    reading.fits((rows * choice.positions.len()) as u64 * 8)?;
    let mut columns: Vec<Column> = choice
        .positions
        .iter()
        .map(|i| Column {
            name: schema.field(*i).name().clone(),
            data_type: offered[*i].data_type.clone(),
            values: vec![0.0; rows],
            inexact_integers: 0,
        })
        .collect();
    let inexact = read_groups(&file, &metadata, &choice, &group_rows, &mut columns, reading)?;
    for (column, lost) in columns.iter_mut().zip(inexact) {
        column.inexact_integers = lost;
    }
    Ok(Table {
        rows,
        columns,
        skipped: choice.skipped,
        format: Some(SourceFormat::Parquet),
        bytes_read: reading.size,
    })
}

/// One file read by several threads. Clones of a [`File`] share one position, so that each read seeks and
/// reads under a lock; decoding, which is the work, goes on side by side.
#[derive(Clone)]
struct SharedFile {
    file: Arc<Mutex<File>>,
    /// Bytes.
    size: u64,
}

impl SharedFile {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(position))?;
        file.read(buffer)
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for SharedFile {
    type T = BufReader<SharedFileReader>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(SharedFileReader { file: self.clone(), position: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        // The length comes from the file: what is not there is not made room for.
        let there = self.size.saturating_sub(start);
        let mut buffer = Vec::with_capacity(length.min(usize::try_from(there).unwrap_or(usize::MAX)));
        let reader = SharedFileReader { file: self.clone(), position: start };
        match reader.take(length as u64).read_to_end(&mut buffer)? {
            read if read == length => Ok(buffer.into()),
            read => Err(parquet::errors::ParquetError::EOF(format!("expected {length} bytes, found {read}"))),
        }
    }
}

/// Reads on from a position.
struct SharedFileReader {
    file: SharedFile,
    position: u64,
}

impl Read for SharedFileReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(self.position, buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// One row group and the places of its values in each column.
struct Unit<'v> {
    group: usize,
    places: Vec<&'v mut [f64]>,
}

fn read_groups(
    file: &SharedFile,
    metadata: &ArrowReaderMetadata,
    choice: &Choice,
    group_rows: &[usize],
    columns: &mut [Column],
    reading: &Reading<'_>,
) -> Result<Vec<u64>> {
    let total = (group_rows.iter().sum::<usize>() * columns.len()) as u64;
    let inexact: Vec<AtomicU64> = columns.iter().map(|_| AtomicU64::new(0)).collect();
    let units = Mutex::new(units(group_rows, columns).into_iter());
    let (done, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mask = ProjectionMask::roots(metadata.parquet_schema(), choice.positions.iter().copied());
    let worker = || -> Result<()> {
        loop {
            let unit = units.lock().ok().and_then(|mut units| units.next());
            let Some(unit) = unit.filter(|_| !failed.load(Ordering::Relaxed)) else { return Ok(()) };
            reading.input.cancel.check()?;
            let cells = unit.places.iter().map(|place| place.len()).sum::<usize>();
            let outcome = read_group(file, metadata, &mask, unit, &inexact);
            failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
            outcome?;
            let done = done.fetch_add(cells, Ordering::Relaxed) + cells;
            reading.input.progress.report("reading", done as u64, total);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(group_rows.len()).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mine = worker();
        workers.into_iter().fold(mine, |outcome, worker| {
            let theirs = worker.join().unwrap_or_else(|_| Err(damaged(&"a row group cannot be decoded")));
            outcome.and(theirs)
        })
    })?;
    Ok(inexact.into_iter().map(AtomicU64::into_inner).collect())
}

fn units<'v>(group_rows: &[usize], columns: &'v mut [Column]) -> Vec<Unit<'v>> {
    let mut units: Vec<Unit<'v>> = (0..group_rows.len())
        .map(|group| Unit { group, places: Vec::with_capacity(columns.len()) })
        .collect();
    for column in columns {
        let mut rest = column.values.as_mut_slice();
        for (unit, rows) in units.iter_mut().zip(group_rows) {
            let (place, tail) = rest.split_at_mut(*rows);
            unit.places.push(place);
            rest = tail;
        }
    }
    units
}

fn read_group(
    file: &SharedFile,
    metadata: &ArrowReaderMetadata,
    mask: &ProjectionMask,
    mut unit: Unit<'_>,
    inexact: &[AtomicU64],
) -> Result<()> {
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), metadata.clone())
        .with_row_groups(vec![unit.group])
        .with_projection(mask.clone())
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(|e| damaged(&e))?;
    let mut at = 0;
    for batch in reader {
        let batch = batch.map_err(|e| damaged(&e))?;
        let end = at + batch.num_rows();
        for ((array, place), lost) in batch.columns().iter().zip(&mut unit.places).zip(inexact) {
            let place =
                place.get_mut(at..end).ok_or_else(|| damaged(&"a row group is longer than it says"))?;
            lost.fetch_add(convert(array.as_ref(), place)?, Ordering::Relaxed);
        }
        at = end;
    }
    match unit.places.first().is_none_or(|place| place.len() == at) {
        true => Ok(()),
        false => Err(damaged(&"a row group is shorter than it says")),
    }
}

fn damaged(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the Parquet file cannot be read: {error}"))
        .hint("is the file complete? A Parquet file ends with its footer, which a cut-off copy lacks")
}
