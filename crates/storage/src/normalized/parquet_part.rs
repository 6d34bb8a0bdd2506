//! A part as a Parquet file, written as its rows are made: no column of it is ever held whole.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::ToByteSlice;
use caudal_core::Result;
use parquet::basic::{Compression, Encoding, Repetition, Type as PhysicalType};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::DoubleType;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type, TypePtr};

use super::encode::{AUTHOR, parquet_properties, repeats, unwritable};
use super::{FillRows, Filler};
use crate::source::levels;
use crate::source::page_header::{DATA_PAGE, PLAIN, PageHeader, RLE};

/// Rows of a page, which are made at once: half a megabyte, which stays in the cache until it is written.
const PAGE_ROWS: usize = caudal_kernels::BLOCK_ROWS;

const MAGIC: &[u8] = b"PAR1";

/// Bytes that a file of plain columns takes, at most.
pub fn most_bytes(columns: usize, rows: usize) -> usize {
    columns * (rows * 8 + rows / 8 + rows.div_ceil(PAGE_ROWS) * 64 + 512) + 1024
}

/// Where a part's bytes go.
pub trait Sink {
    /// # Errors
    /// Where they are not taken.
    fn put(&mut self, bytes: &[u8]) -> Result<()>;
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// A part in the making.
struct Out<'s> {
    sink: &'s mut dyn Sink,
    /// Bytes that were put.
    at: usize,
}

impl Out<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len();
        self.sink.put(bytes)
    }
}

/// Writes some rows of the named columns as one file of one row group; returns how many bytes it has.
///
/// # Errors
/// Those of `fill` and of the sink.
pub fn write(names: &[String], rows: Range<u64>, fill: &FillRows, sink: &mut dyn Sink) -> Result<u64> {
    let count = (rows.end - rows.start) as usize;
    let schema = schema(names).map_err(|e| unwritable(&e))?;
    let mut out = Out { sink, at: 0 };
    out.put(MAGIC)?;
    let mut chunks = Vec::with_capacity(names.len());
    let mut page = Page { rows: vec![0.0; PAGE_ROWS.min(count)], ..Page::default() };
    for (column, name) in names.iter().enumerate() {
        let mut filler = fill(column, rows.clone())?;
        let first = count.min(PAGE_ROWS);
        filler(&mut page.rows[..first])?;
        chunks.push(match repeats(&page.rows[..first]) {
            true => repeating(name, &mut *filler, count, &mut page.rows, &mut out)?,
            false => plain(&schema, column, &mut *filler, count, &mut page, &mut out)?,
        });
    }
    let footer = footer(schema, chunks, count).map_err(|e| unwritable(&e))?;
    out.put(&footer)?;
    Ok(out.at as u64)
}

fn schema(names: &[String]) -> Result<SchemaDescPtr, ParquetError> {
    Ok(Arc::new(SchemaDescriptor::new(schema_type(names)?)))
}

fn schema_type(names: &[String]) -> Result<TypePtr, ParquetError> {
    let column = |name: &String| {
        let column = Type::primitive_type_builder(name, PhysicalType::DOUBLE);
        column.with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
    };
    let columns = names.iter().map(column).collect::<Result<_, _>>()?;
    Type::group_type_builder("schema").with_fields(columns).build().map(Arc::new)
}

/// The rows of a page while it is written.
#[derive(Default)]
struct Page {
    rows: Vec<f64>,
    /// A bit for each row that is there.
    there: Vec<u64>,
    levels: Vec<u8>,
    header: Vec<u8>,
}

/// Appends a column as it is; the first of its rows are made already.
fn plain(
    schema: &SchemaDescPtr,
    column: usize,
    filler: &mut Filler,
    count: usize,
    page: &mut Page,
    out: &mut Out<'_>,
) -> Result<ColumnChunkMetaData> {
    let begin = out.at;
    let mut made = count.min(PAGE_ROWS);
    page.put(made, out)?;
    while made < count {
        let next = (count - made).min(PAGE_ROWS);
        filler(&mut page.rows[..next])?;
        page.put(next, out)?;
        made += next;
    }
    let size = (out.at - begin) as i64;
    ColumnChunkMetaData::builder(schema.column(column))
        .set_compression(Compression::UNCOMPRESSED)
        .set_encodings(vec![Encoding::PLAIN, Encoding::RLE])
        .set_num_values(count as i64)
        .set_total_compressed_size(size)
        .set_total_uncompressed_size(size)
        .set_data_page_offset(begin as i64)
        .build()
        .map_err(|e| unwritable(&e))
}

impl Page {
    /// Writes a page of the first `count` rows, which are lost by that; missing ones are told by their levels alone.
    fn put(&mut self, count: usize, out: &mut Out<'_>) -> Result<()> {
        let rows = &mut self.rows[..count];
        let mut missing = 0;
        self.there.clear();
        self.there.extend(rows.chunks(64).map(|rows| {
            let all = u64::MAX >> (64 - rows.len());
            // Most stretches have nothing missing, which is seen quickly.
            if !rows.iter().fold(false, |any, x| any | x.is_nan()) {
                return all;
            }
            let bits = rows.iter().rev().fold(0, |bits, x| bits << 1 | u64::from(!x.is_nan()));
            missing += (all ^ bits).count_ones() as usize;
            bits
        }));
        self.levels.clear();
        levels::encode(count, &self.there, &mut self.levels);
        let size = (self.levels.len() + (count - missing) * 8) as i64;
        let header = PageHeader { kind: DATA_PAGE, size, values: count as i64, encoding: PLAIN, levels: RLE };
        self.header.clear();
        header.write(&mut self.header);
        self.header.extend_from_slice(&self.levels);
        out.put(&self.header)?;
        if missing > 0 {
            close_gaps(rows, &self.there);
        }
        let values = &mut rows[..count - missing];
        // Nothing happens to them on most machines.
        values.iter_mut().for_each(|x| *x = f64::from_bits(x.to_bits().to_le()));
        out.put(values.to_byte_slice())
    }
}

/// Moves the rows that are there to the front, in order.
fn close_gaps(rows: &mut [f64], there: &[u64]) {
    let mut at = 0;
    for (i, word) in there.iter().enumerate() {
        let (first, present) = (i * 64, word.count_ones() as usize);
        let end = rows.len().min(first + 64);
        if present == end - first {
            if at < first {
                rows.copy_within(first..end, at);
            }
            at += present;
            continue;
        }
        for row in first..end {
            // Written whether it is there or not, which spares a branch that is hard to foresee.
            rows[at] = rows[row];
            at += (word >> (row % 64) & 1) as usize;
        }
    }
}

/// Appends a column that repeats itself, with a dictionary; the first of its rows are made already.
fn repeating(
    name: &String,
    filler: &mut Filler,
    count: usize,
    rows: &mut [f64],
    out: &mut Out<'_>,
) -> Result<ColumnChunkMetaData> {
    let (bytes, chunk) = dictionary(name, filler, count, rows)?;
    let (begin, length) = chunk.byte_range();
    let end = begin.saturating_add(length);
    let missing = || unwritable(&"a column is not where its writer says");
    let written = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
    let written = written.and_then(|(begin, end)| bytes.get(begin..end)).ok_or_else(missing)?;
    let moved = out.at as i64 - begin as i64;
    out.put(written)?;
    let (dictionary, data) = (chunk.dictionary_page_offset(), chunk.data_page_offset());
    chunk
        .into_builder()
        .set_dictionary_page_offset(dictionary.map(|offset| offset + moved))
        .set_data_page_offset(data + moved)
        .build()
        .map_err(|e| unwritable(&e))
}

/// A file of one column, and where the column lies in it.
fn dictionary(
    name: &String,
    filler: &mut Filler,
    count: usize,
    rows: &mut [f64],
) -> Result<(Vec<u8>, ColumnChunkMetaData)> {
    let failed = |e: ParquetError| unwritable(&e);
    let properties = parquet_properties([name.as_str()].into_iter());
    let schema = schema_type(std::slice::from_ref(name)).map_err(failed)?;
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties.into()).map_err(failed)?;
    let mut group = writer.next_row_group().map_err(failed)?;
    if let Some(mut column) = group.next_column().map_err(failed)? {
        let mut made = count.min(PAGE_ROWS);
        write_rows(column.typed::<DoubleType>(), &rows[..made]).map_err(failed)?;
        while made < count {
            let next = (count - made).min(PAGE_ROWS);
            filler(&mut rows[..next])?;
            write_rows(column.typed::<DoubleType>(), &rows[..next]).map_err(failed)?;
            made += next;
        }
        column.close().map_err(failed)?;
    }
    let chunk = group.close().map_err(failed)?.column(0).clone();
    Ok((writer.into_inner().map_err(failed)?, chunk))
}

/// Rows whose definition levels are made at once.
const LEVELS: usize = 1 << 14;

fn write_rows(writer: &mut ColumnWriterImpl<'_, DoubleType>, values: &[f64]) -> Result<(), ParquetError> {
    let (mut present, mut levels) = (Vec::with_capacity(LEVELS), Vec::with_capacity(LEVELS));
    for rows in values.chunks(LEVELS) {
        present.clear();
        levels.clear();
        levels.extend(rows.iter().map(|x| i16::from(!x.is_nan())));
        present.extend(rows.iter().filter(|x| !x.is_nan()));
        writer.write_batch(&present, Some(&levels), None)?;
    }
    Ok(())
}

fn footer(
    schema: SchemaDescPtr,
    chunks: Vec<ColumnChunkMetaData>,
    rows: usize,
) -> Result<Vec<u8>, ParquetError> {
    let size = chunks.iter().map(ColumnChunkMetaData::uncompressed_size).sum();
    let group = RowGroupMetaData::builder(schema.clone())
        .set_num_rows(rows as i64)
        .set_total_byte_size(size)
        .set_column_metadata(chunks)
        .set_ordinal(0)
        .set_file_offset(MAGIC.len() as i64)
        .build()?;
    let file = FileMetaData::new(1, rows as i64, Some(AUTHOR.into()), None, schema, None);
    let metadata = ParquetMetaDataBuilder::new(file).add_row_group(group).build();
    let mut footer = Vec::new();
    ParquetMetaDataWriter::new(&mut footer, &metadata).finish()?;
    Ok(footer)
}
