//! The bytes behind a CSV record: the empty lines and the open quotes that a reader passes over in silence.

use std::sync::Arc;

use caudal_core::Result;

use crate::source::{ReadAt, Stream};

const WINDOW: u64 = 1 << 16;

/// A file, looked at byte by byte where its records alone do not say enough.
pub struct CsvBytes {
    file: Arc<dyn ReadAt>,
    window: Vec<u8>,
    /// Where the window begins.
    begin: u64,
}

/// The cell in which a quote was opened, and nothing closes it.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenQuote {
    pub line: u64,
    /// Counted from 0 in its row.
    pub field: usize,
}

/// Where a byte stands in the grammar of quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote within quotes: the end of the cell, or the first half of a doubled quote.
    Closing,
}

impl CsvBytes {
    pub fn new(stream: &Stream) -> CsvBytes {
        CsvBytes { file: stream.base().clone(), window: Vec::new(), begin: 0 }
    }

    fn byte(&mut self, at: u64) -> Result<Option<u8>> {
        let within = |bytes: &CsvBytes| {
            let index = at.checked_sub(bytes.begin)?;
            bytes.window.get(usize::try_from(index).ok()?).copied()
        };
        if let Some(byte) = within(self) {
            return Ok(Some(byte));
        }
        let length = self.file.size().saturating_sub(at).min(WINDOW);
        self.window.resize(length as usize, 0);
        self.begin = at;
        self.file.read_exact_at(&mut self.window, at).map_err(|e| super::unreadable(&e))?;
        Ok(within(self))
    }

    /// Empty lines at the beginning of a record's bytes, and the place where its first cell begins. The end of
    /// the line before may be there, as far as it has not been read with that line.
    pub fn empty_lines(&mut self, from: u64, to: u64) -> Result<(u64, u64)> {
        let mut at = from;
        if from > 0 && self.byte(from - 1)? == Some(b'\r') && self.byte(from)? == Some(b'\n') {
            at += 1;
        }
        let mut lines = 0;
        while at < to {
            match self.byte(at)? {
                Some(b'\n') => at += 1,
                Some(b'\r') if self.byte(at + 1)? == Some(b'\n') => at += 2,
                Some(b'\r') => at += 1,
                _ => break,
            }
            lines += 1;
        }
        Ok((lines, at))
    }

    /// The line of a place at or behind another one whose line is known.
    pub fn line_at(&mut self, at: u64, known: (u64, u64)) -> Result<u64> {
        let (from, mut line) = known;
        for at in from..at {
            line += u64::from(self.byte(at)? == Some(b'\n'));
        }
        Ok(line)
    }

    /// The quote that is open at the end of the file, when reading begins with the record at `from`.
    pub fn open_quote(&mut self, from: u64, mut line: u64, delimiter: u8) -> Result<Option<OpenQuote>> {
        let (mut place, mut field, mut at) = (Place::FieldStart, 0, from);
        let mut opened = OpenQuote { line, field };
        while let Some(byte) = self.byte(at)? {
            place = match (place, byte) {
                (Place::FieldStart, b'"') => {
                    opened = OpenQuote { line, field };
                    Place::Quoted
                }
                (Place::Quoted, b'"') => Place::Closing,
                (Place::Quoted, _) | (Place::Closing, b'"') => Place::Quoted,
                (_, byte) if byte == delimiter => {
                    field += 1;
                    Place::FieldStart
                }
                (_, b'\n' | b'\r') => {
                    field = 0;
                    Place::FieldStart
                }
                _ => Place::Plain,
            };
            line += u64::from(byte == b'\n');
            at += 1;
        }
        Ok((place == Place::Quoted).then_some(opened))
    }
}
