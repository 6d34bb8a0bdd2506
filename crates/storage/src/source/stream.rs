//! Bytes that can be read anywhere, read one after the other as a file is.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ReadAt;

/// A position in bytes that lie in a file or elsewhere. Copies of it share the position, as those of a file do.
#[derive(Clone)]
pub(crate) struct Stream {
    bytes: Arc<dyn ReadAt>,
    position: Arc<AtomicU64>,
}

impl Stream {
    pub fn new(bytes: Arc<dyn ReadAt>) -> Stream {
        Stream { bytes, position: Arc::default() }
    }

    /// The bytes, wherever this stands.
    pub fn base(&self) -> &Arc<dyn ReadAt> {
        &self.bytes
    }
}

impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let position = self.position.load(Ordering::Relaxed);
        let there = self.bytes.size().saturating_sub(position);
        let count = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
        self.bytes.read_exact_at(&mut buffer[..count], position)?;
        self.position.store(position + count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for &Stream {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(by) => self.bytes.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.load(Ordering::Relaxed).checked_add_signed(by),
        };
        let position = position.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "before the beginning"))?;
        self.position.store(position, Ordering::Relaxed);
        Ok(position)
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        (&*self).read(buffer)
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> Result<u64> {
        (&*self).seek(to)
    }
}
