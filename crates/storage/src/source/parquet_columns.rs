//! One column of one Parquet row group as f64.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType as ArrowType;
use caudal_core::Result;
use caudal_core::cell::Cell;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use super::BLOCK_ROWS;
use super::parquet::{Chunks, damaged};
use super::plain_pages::PlainPages;
use crate::datasets::convert;

/// Decodes the rows of one column of one row group, forwards.
pub(crate) trait Decoder: Send {
    /// Fills all of `out`; returns the inexact integers among it.
    fn read(&mut self, out: &mut [f64]) -> Result<u64>;

    fn skip(&mut self, rows: u64) -> Result<()>;

    fn is_at_end(&mut self) -> Result<bool>;
}

/// Where a column lies in a file, and how it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the top-level field.
    root: usize,
    /// The number of the leaf, where the field is one value a row.
    leaf: Option<usize>,
    coding: Coding,
}

/// Numbers that Parquet stores as they are, by the leaf that holds them; everything else goes through Arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Double(usize),
    Float(usize),
    Signed8(usize),
    Signed16(usize),
    Signed32(usize),
    Unsigned8(usize),
    Unsigned16(usize),
    Unsigned32(usize),
    Signed64(usize),
    Unsigned64(usize),
    Arrow { exact: bool },
}

impl Place {
    /// The place of a top-level field.
    pub fn of(metadata: &ArrowReaderMetadata, root: usize) -> Place {
        let arrow = metadata.schema().field(root).data_type();
        let schema = metadata.parquet_schema();
        let mut leaves =
            (0..schema.num_columns()).skip_while(|leaf| schema.get_column_root_idx(*leaf) < root);
        let leaf = leaves.next().filter(|leaf| schema.get_column_root(*leaf).is_primitive());
        let flat = leaf.filter(|leaf| schema.column(*leaf).max_rep_level() == 0);
        let coding = flat.and_then(|leaf| Coding::plain(schema.column(leaf).physical_type(), arrow, leaf));
        Place { root, leaf: flat, coding: coding.unwrap_or(Coding::Arrow { exact: is_exact(arrow) }) }
    }

    /// The column's chunk of a row group, where that holds nothing but plain f64.
    pub fn plain_chunk<'g>(&self, group: &'g RowGroupMetaData) -> Option<&'g ColumnChunkMetaData> {
        let Coding::Double(leaf) = self.coding else { return None };
        Some(group.column(leaf)).filter(|chunk| PlainPages::fit(chunk))
    }

    /// Whether no value of this column can lose digits.
    pub fn is_exact(&self) -> bool {
        match self.coding {
            Coding::Signed64(_) | Coding::Unsigned64(_) => false,
            Coding::Arrow { exact } => exact,
            _ => true,
        }
    }
}

fn is_exact(data_type: &ArrowType) -> bool {
    match data_type {
        ArrowType::Dictionary(_, values) => is_exact(values),
        other => !matches!(other, ArrowType::Int64 | ArrowType::UInt64),
    }
}

impl Coding {
    fn plain(physical: Type, arrow: &ArrowType, leaf: usize) -> Option<Coding> {
        Some(match (physical, arrow) {
            (Type::DOUBLE, ArrowType::Float64) => Coding::Double(leaf),
            (Type::FLOAT, ArrowType::Float32) => Coding::Float(leaf),
            (Type::INT32, ArrowType::Int8) => Coding::Signed8(leaf),
            (Type::INT32, ArrowType::Int16) => Coding::Signed16(leaf),
            (Type::INT32, ArrowType::Int32) => Coding::Signed32(leaf),
            (Type::INT32, ArrowType::UInt8) => Coding::Unsigned8(leaf),
            (Type::INT32, ArrowType::UInt16) => Coding::Unsigned16(leaf),
            (Type::INT32, ArrowType::UInt32) => Coding::Unsigned32(leaf),
            (Type::INT64, ArrowType::Int64) => Coding::Signed64(leaf),
            (Type::INT64, ArrowType::UInt64) => Coding::Unsigned64(leaf),
            _ => return None,
        })
    }
}

/// The decoder of a column of a row group, at its first row.
pub(crate) fn decoder(
    chunks: Chunks,
    metadata: &ArrowReaderMetadata,
    group: usize,
    place: Place,
) -> Result<Box<dyn Decoder>> {
    if let Some(chunk) = place.plain_chunk(metadata.metadata().row_group(group))
        && let Some(pages) = PlainPages::open(chunks.bytes.clone(), chunk)?
    {
        return Ok(Box::new(pages));
    }
    let at = Spot { chunks, metadata, group };
    match place.coding {
        Coding::Double(leaf) => at.plain::<DoubleType>(leaf, |values, out| {
            out.copy_from_slice(values);
            0
        }),
        Coding::Float(leaf) => at.plain::<FloatType>(leaf, |values, out| widen(values, out, f64::from)),
        Coding::Signed8(leaf) => at.plain::<Int32Type>(leaf, |v, out| widen(v, out, |x| f64::from(x as i8))),
        Coding::Signed16(leaf) => {
            at.plain::<Int32Type>(leaf, |v, out| widen(v, out, |x| f64::from(x as i16)))
        }
        Coding::Signed32(leaf) => at.plain::<Int32Type>(leaf, |v, out| widen(v, out, f64::from)),
        Coding::Unsigned8(leaf) => {
            at.plain::<Int32Type>(leaf, |v, out| widen(v, out, |x| f64::from(x as u8)))
        }
        Coding::Unsigned16(leaf) => {
            at.plain::<Int32Type>(leaf, |v, out| widen(v, out, |x| f64::from(x as u16)))
        }
        Coding::Unsigned32(leaf) => {
            at.plain::<Int32Type>(leaf, |v, out| widen(v, out, |x| f64::from(x as u32)))
        }
        Coding::Signed64(leaf) => at.plain::<Int64Type>(leaf, |values, out| {
            widen(values, out, |x| x as f64);
            match values.iter().fold(0, |bits, x| bits | x.unsigned_abs()) >> EXACT_BITS {
                0 => 0,
                _ => values.iter().filter(|x| is_inexact(Cell::signed(**x))).count() as u64,
            }
        }),
        Coding::Unsigned64(leaf) => at.plain::<Int64Type>(leaf, |values, out| {
            widen(values, out, |x| x as u64 as f64);
            match values.iter().fold(0, |bits, x| bits | *x as u64) >> EXACT_BITS {
                0 => 0,
                _ => values.iter().filter(|x| is_inexact(Cell::unsigned(**x as u64))).count() as u64,
            }
        }),
        Coding::Arrow { .. } => ThroughArrow::open(at, place),
    }
}

fn widen<T: Copy>(values: &[T], out: &mut [f64], to: impl Fn(T) -> f64) -> u64 {
    for (slot, value) in out.iter_mut().zip(values) {
        *slot = to(*value);
    }
    0
}

fn is_inexact(cell: Cell) -> bool {
    matches!(cell, Cell::Number { inexact: true, .. })
}

/// A row group of a file.
struct Spot<'m> {
    chunks: Chunks,
    metadata: &'m ArrowReaderMetadata,
    group: usize,
}

/// Widens values into places of the same number; returns how many lost digits.
type Widen<T> = fn(&[T], &mut [f64]) -> u64;

impl Spot<'_> {
    fn plain<T: DataType>(self, leaf: usize, widen: Widen<T::T>) -> Result<Box<dyn Decoder>>
    where
        ColumnReaderImpl<T>: Send,
    {
        let group = self.metadata.metadata().row_group(self.group);
        let chunk = group.column(leaf);
        let (start, length) = chunk.byte_range();
        let rows = usize::try_from(group.num_rows()).map_err(|e| damaged(&e))?;
        let open = |chunks: Chunks| {
            SerializedPageReader::new(Arc::new(chunks.window(start, length)?), chunk, rows, None)
        };
        let pages = open(self.chunks).map_err(|e| damaged(&e))?;
        let column = self.metadata.parquet_schema().column(leaf);
        let highest = column.max_def_level();
        let reader = ColumnReaderImpl::<T>::new(column, Box::new(pages));
        Ok(Box::new(Plain { reader, highest, values: Vec::new(), levels: Vec::new(), widen }))
    }
}

struct Plain<T: DataType> {
    reader: ColumnReaderImpl<T>,
    /// The definition level of a value that is there.
    highest: i16,
    values: Vec<T::T>,
    levels: Vec<i16>,
    widen: Widen<T::T>,
}

impl<T: DataType> Decoder for Plain<T>
where
    ColumnReaderImpl<T>: Send,
{
    fn read(&mut self, out: &mut [f64]) -> Result<u64> {
        self.values.clear();
        self.levels.clear();
        let levels = (self.highest > 0).then_some(&mut self.levels);
        let (records, values, _) =
            self.reader.read_records(out.len(), levels, None, &mut self.values).map_err(|e| damaged(&e))?;
        if records != out.len() || values > records || values != self.values.len() {
            return Err(damaged(&"a row group is shorter than it says"));
        }
        let inexact = (self.widen)(&self.values, &mut out[..values]);
        if values < records {
            spread(out, values, &self.levels, self.highest)?;
        }
        Ok(inexact)
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        let rows = usize::try_from(rows).map_err(|e| damaged(&e))?;
        match self.reader.skip_records(rows).map_err(|e| damaged(&e))? == rows {
            true => Ok(()),
            false => Err(damaged(&"a row group is shorter than it says")),
        }
    }

    fn is_at_end(&mut self) -> Result<bool> {
        Ok(self.reader.skip_records(1).map_err(|e| damaged(&e))? == 0)
    }
}

/// Moves the first `values` of `out` to where the levels have them, from the back, and NaN to the gaps.
fn spread(out: &mut [f64], mut values: usize, levels: &[i16], highest: i16) -> Result<()> {
    let there = levels.iter().filter(|level| **level == highest).count();
    if levels.len() != out.len() || there != values {
        return Err(damaged(&"the definition levels of a row group do not fit its values"));
    }
    for (i, level) in levels.iter().enumerate().rev() {
        let is_there = *level == highest;
        values -= usize::from(is_there);
        // The place of the next value is read whether it is taken or not, which spares a branch that is
        // hard to foresee; it never lies behind `i`.
        let value = out[values];
        out[i] = if is_there { value } else { f64::NAN };
    }
    Ok(())
}

/// Integers up to 2^53 are exact, so that most values need no second look.
const EXACT_BITS: u32 = 53;

/// Decimals, half floats, dictionaries of other types: whatever Arrow can read.
struct ThroughArrow {
    chunks: Chunks,
    metadata: ArrowReaderMetadata,
    group: usize,
    root: usize,
    batches: ParquetRecordBatchReader,
    /// What is left of the batch.
    rest: Option<ArrayRef>,
    /// Rows of the group that were read or skipped.
    passed: usize,
}

impl ThroughArrow {
    fn open(at: Spot<'_>, place: Place) -> Result<Box<dyn Decoder>> {
        let (Spot { chunks, metadata, group }, root) = (at, place.root);
        let described = metadata.metadata().row_group(group);
        // Arrow reads no further than the group says, and would not tell what lies behind.
        if place.leaf.is_some_and(|leaf| described.column(leaf).num_values() != described.num_rows()) {
            return Err(damaged(&"a column of a row group has not as many values as the group has rows"));
        }
        if let Some(leaf) = place.leaf {
            let (start, length) = described.column(leaf).byte_range();
            chunks.bytes.expect(start..start.saturating_add(length));
        }
        let batches = Self::batches(&chunks, metadata, group, root, 0)?;
        let metadata = metadata.clone();
        Ok(Box::new(ThroughArrow { chunks, metadata, group, root, batches, rest: None, passed: 0 }))
    }

    fn batches(
        chunks: &Chunks,
        metadata: &ArrowReaderMetadata,
        group: usize,
        root: usize,
        offset: usize,
    ) -> Result<ParquetRecordBatchReader> {
        ParquetRecordBatchReaderBuilder::new_with_metadata(chunks.clone(), metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(ProjectionMask::roots(metadata.parquet_schema(), [root]))
            .with_batch_size(BLOCK_ROWS as usize)
            .with_offset(offset)
            .build()
            .map_err(|e| damaged(&e))
    }

    fn next_rows(&mut self, most: usize) -> Result<Option<ArrayRef>> {
        let array = match self.rest.take() {
            Some(array) => array,
            None => match self.batches.next() {
                None => return Ok(None),
                Some(batch) => batch.map_err(|e| damaged(&e))?.column(0).clone(),
            },
        };
        if array.len() > most {
            self.rest = Some(array.slice(most, array.len() - most));
            return Ok(Some(array.slice(0, most)));
        }
        Ok(Some(array))
    }
}

impl Decoder for ThroughArrow {
    fn read(&mut self, out: &mut [f64]) -> Result<u64> {
        let (mut filled, mut inexact) = (0, 0);
        while filled < out.len() {
            let rows = self.next_rows(out.len() - filled)?;
            let rows = rows.ok_or_else(|| damaged(&"a row group is shorter than it says"))?;
            inexact += convert(rows.as_ref(), &mut out[filled..filled + rows.len()])?;
            filled += rows.len();
        }
        self.passed += filled;
        Ok(inexact)
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        self.passed += usize::try_from(rows).map_err(|e| damaged(&e))?;
        self.rest = None;
        self.batches = Self::batches(&self.chunks, &self.metadata, self.group, self.root, self.passed)?;
        Ok(())
    }

    fn is_at_end(&mut self) -> Result<bool> {
        Ok(self.next_rows(1)?.is_none())
    }
}
