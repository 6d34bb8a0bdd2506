//! Plain pages of f64, read from the file straight to where they are wanted.

use std::sync::Arc;

use caudal_core::Result;
use caudal_kernels::bytes_of_column;
use parquet::basic::{Compression, Encoding, Type};
use parquet::file::metadata::ColumnChunkMetaData;

use super::ReadAt;
use super::levels::Levels;
use super::page_header::{DATA_PAGE, Flaw, PLAIN, PageHeader, RLE};
use super::parquet::damaged;
use super::parquet_columns::Decoder;

/// Bytes that are read for a page's header; what lies behind it comes along.
const AHEAD: usize = 4 << 10;

/// A chunk of at most this many bytes is read at once.
const WHOLE: u64 = 256 << 10;

/// A header is no longer than this.
const LONGEST_HEADER: usize = 1 << 20;

/// Reads the pages of one column of one row group, where all of them are plain.
pub(super) struct PlainPages {
    chunk: Stretch,
    optional: bool,
    page: Page,
}

/// What is left of a page.
#[derive(Default)]
struct Page {
    rows: usize,
    /// Bytes of values.
    bytes: u64,
    levels: Levels,
}

impl PlainPages {
    /// Whether a chunk's metadata says that it holds nothing but plain, uncompressed f64.
    pub fn fit(chunk: &ColumnChunkMetaData) -> bool {
        let plain = |encoding| matches!(encoding, Encoding::PLAIN | Encoding::RLE);
        chunk.column_type() == Type::DOUBLE
            && chunk.compression() == Compression::UNCOMPRESSED
            && chunk.dictionary_page_offset().is_none()
            && chunk.encodings().all(plain)
            && chunk.column_descr().max_def_level() <= 1
            && chunk.column_descr().max_rep_level() == 0
    }

    /// The pages of a chunk that [fits](Self::fit); none where the first of them is of another kind.
    pub fn open(bytes: Arc<dyn ReadAt>, chunk: &ColumnChunkMetaData) -> Result<Option<PlainPages>> {
        let (start, length) = chunk.byte_range();
        bytes.expect(start..start.saturating_add(length));
        let optional = chunk.column_descr().max_def_level() > 0;
        let mut pages =
            PlainPages { chunk: Stretch::new(bytes, start, length), optional, page: Page::default() };
        if pages.chunk.left() == 0 {
            return Ok(None);
        }
        let (header, _) = pages.header()?;
        Ok(pages.is_plain(&header).then_some(pages))
    }

    fn is_plain(&self, header: &PageHeader) -> bool {
        header.kind == DATA_PAGE && header.encoding == PLAIN && (!self.optional || header.levels == RLE)
    }

    /// The next page's header and its length.
    fn header(&mut self) -> Result<(PageHeader, usize)> {
        let mut wanted = AHEAD / 2;
        loop {
            let bytes = self.chunk.peek(wanted)?;
            match PageHeader::read(bytes) {
                Ok(found) => return Ok(found),
                Err(Flaw::Short) if bytes.len() >= wanted && wanted < LONGEST_HEADER => wanted *= 2,
                Err(_) => return Err(damaged(&"a page's header is damaged")),
            }
        }
    }

    /// Begins the next page that holds rows; false behind the last.
    fn begin(&mut self) -> Result<bool> {
        while self.page.rows == 0 {
            self.chunk.skip(self.page.bytes)?;
            self.page.bytes = 0;
            if self.chunk.left() == 0 {
                return Ok(false);
            }
            let (header, length) = self.header()?;
            let rows = usize::try_from(header.values);
            let (Ok(rows), Ok(bytes), true) = (rows, u64::try_from(header.size), self.is_plain(&header))
            else {
                return Err(damaged(&"a page is of another kind than those before it"));
            };
            self.chunk.skip(length as u64)?;
            (self.page.rows, self.page.bytes) = (rows, bytes);
            self.page.levels.clear();
            if self.optional && rows > 0 {
                self.read_levels()?;
            }
        }
        Ok(true)
    }

    fn read_levels(&mut self) -> Result<()> {
        let mut length = [0; 4];
        self.take(&mut length)?;
        let length = u32::from_le_bytes(length);
        // The length comes from the file: what the page does not have is not made room for.
        if u64::from(length) > self.page.bytes.min(self.chunk.left()) {
            return Err(damaged(&"a page is shorter than it says"));
        }
        let Page { bytes, levels, .. } = &mut self.page;
        *bytes -= u64::from(length);
        self.chunk.read(levels.room(length as usize))
    }

    fn take(&mut self, out: &mut [u8]) -> Result<()> {
        let left = self.page.bytes.checked_sub(out.len() as u64);
        self.page.bytes = left.ok_or_else(|| damaged(&"a page is shorter than it says"))?;
        self.chunk.read(out)
    }

    /// Whether each of the next rows is there: none where all are.
    fn presence(&mut self, rows: usize) -> Result<usize> {
        match self.optional {
            true => self.page.levels.next(rows),
            false => Ok(rows),
        }
    }
}

impl Decoder for PlainPages {
    fn read(&mut self, out: &mut [f64]) -> Result<u64> {
        let mut rest = out;
        while !rest.is_empty() {
            if !self.begin()? {
                return Err(damaged(&"a row group is shorter than it says"));
            }
            let count = self.page.rows.min(rest.len());
            let (rows, behind) = rest.split_at_mut(count);
            let there = self.presence(count)?;
            let values = &mut rows[..there];
            self.take(bytes_of_column(values))?;
            // Nothing happens to them on most machines.
            values.iter_mut().for_each(|x| *x = f64::from_bits(u64::from_le(x.to_bits())));
            if there < count {
                self.page.levels.spread(rows, there);
            }
            self.page.rows -= count;
            rest = behind;
        }
        Ok(0)
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        let mut rows = usize::try_from(rows).map_err(|e| damaged(&e))?;
        while rows > 0 {
            if !self.begin()? {
                return Err(damaged(&"a row group is shorter than it says"));
            }
            let count = self.page.rows.min(rows);
            if count < self.page.rows {
                let bytes = self.presence(count)? as u64 * 8;
                let left = self.page.bytes.checked_sub(bytes);
                self.page.bytes = left.ok_or_else(|| damaged(&"a page is shorter than it says"))?;
                self.chunk.skip(bytes)?;
            }
            self.page.rows -= count;
            rows -= count;
        }
        Ok(())
    }

    fn is_at_end(&mut self) -> Result<bool> {
        Ok(!self.begin()?)
    }
}

/// A stretch of a file, read forwards: a little ahead, and large pieces straight to their place.
struct Stretch {
    bytes: Arc<dyn ReadAt>,
    /// Where the bytes behind the window begin, and where the stretch ends.
    next: u64,
    end: u64,
    window: Vec<u8>,
    /// Bytes of the window that have been read.
    at: usize,
}

impl Stretch {
    fn new(bytes: Arc<dyn ReadAt>, start: u64, length: u64) -> Stretch {
        let end = start.saturating_add(length).min(bytes.size());
        Stretch { bytes, next: start.min(end), end, window: Vec::new(), at: 0 }
    }

    fn left(&self) -> u64 {
        self.end - self.next + (self.window.len() - self.at) as u64
    }

    /// The next bytes: `count`, or more, or all that are left.
    fn peek(&mut self, count: usize) -> Result<&[u8]> {
        if self.window.len() - self.at < count && self.next < self.end {
            self.window.drain(..self.at);
            self.at = 0;
            let left = self.end - self.next;
            let wanted =
                if left <= WHOLE { left } else { count.max(AHEAD) as u64 - self.window.len() as u64 };
            let (begin, more) = (self.window.len(), wanted.min(left) as usize);
            self.window.resize(begin + more, 0);
            self.bytes.read_exact_at(&mut self.window[begin..], self.next).map_err(|e| damaged(&e))?;
            self.next += more as u64;
        }
        Ok(&self.window[self.at..])
    }

    fn read(&mut self, out: &mut [u8]) -> Result<()> {
        if self.left() < out.len() as u64 {
            return Err(damaged(&"a column ends within a page"));
        }
        let there = &self.window[self.at..];
        let (first, rest) = out.split_at_mut(there.len().min(out.len()));
        first.copy_from_slice(&there[..first.len()]);
        self.at += first.len();
        if !rest.is_empty() {
            self.bytes.read_exact_at(rest, self.next).map_err(|e| damaged(&e))?;
            self.next += rest.len() as u64;
        }
        Ok(())
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        if self.left() < bytes {
            return Err(damaged(&"a column ends within a page"));
        }
        let there = (self.window.len() - self.at) as u64;
        self.at += bytes.min(there) as usize;
        self.next += bytes.saturating_sub(there);
        Ok(())
    }
}
