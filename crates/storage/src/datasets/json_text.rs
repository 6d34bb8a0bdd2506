//! A JSON file as text of which a part is in memory.

use std::io::{ErrorKind as IoErrorKind, Read};

use caudal_core::json::Text;
use caudal_core::{Error, ErrorKind, Result};

use crate::source::Stream;

/// Bytes read at once.
const STEP: usize = 1 << 18;

/// A file, read piece by piece.
pub struct FileText {
    file: Stream,
    window: Vec<u8>,
    next: Vec<u8>,
    /// Bytes that one value may take.
    most: u64,
    error: Option<Error>,
}

impl FileText {
    /// Reads on from where the file stands. One value may take `most` bytes.
    pub fn new(file: Stream, most: u64) -> FileText {
        FileText { file, window: Vec::new(), next: vec![0; STEP], most, error: None }
    }

    /// Why the text ended before its end.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Reads the next bytes; how many there are.
    fn read(&mut self, kept: usize) -> Result<usize> {
        if kept as u64 > self.most.max(STEP as u64) {
            let detail = format!("one value takes {kept} bytes of text or more");
            return Err(Error::new(ErrorKind::InsufficientMemory, detail).hint("raise --memory-limit"));
        }
        loop {
            match self.file.read(&mut self.next) {
                Err(e) if e.kind() == IoErrorKind::Interrupted => {}
                read => return read.map_err(|e| super::unreadable(&e)),
            }
        }
    }
}

impl Text for FileText {
    #[inline]
    fn window(&self) -> &[u8] {
        &self.window
    }

    fn read_on(&mut self, passed: usize) -> bool {
        if self.error.is_some() {
            return false;
        }
        match self.read(self.window.len().saturating_sub(passed)) {
            Ok(0) => false,
            Ok(read) => {
                self.window.drain(..passed);
                self.window.extend_from_slice(self.next.get(..read).unwrap_or_default());
                true
            }
            Err(error) => {
                self.error = Some(error);
                false
            }
        }
    }
}
