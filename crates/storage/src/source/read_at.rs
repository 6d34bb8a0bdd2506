//! Positioned reads: any number of threads read one file without moving a common position.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;

/// Bytes that can be read anywhere.
pub(crate) trait ReadAt: Send + Sync {
    /// How many there are.
    fn size(&self) -> u64;

    /// Fills the buffer from a position on; fewer bytes than that are an error.
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> Result<()>;

    /// Says that a stretch is going to be read from its beginning to its end, so that it can be fetched ahead.
    fn expect(&self, _: Range<u64>) {}

    /// Why a read has failed, where that is not the fault of what is in the bytes.
    fn failure(&self) -> Option<caudal_core::Error> {
        None
    }
}

/// A file of this machine.
pub(crate) struct FileAt {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: std::sync::Mutex<File>,
    size: u64,
}

impl FileAt {
    pub fn new(file: File) -> Result<FileAt> {
        let size = file.metadata()?.len();
        #[cfg(not(unix))]
        let file = std::sync::Mutex::new(file);
        Ok(FileAt { file, size })
    }

    #[cfg(unix)]
    fn read(&self, buffer: &mut [u8], position: u64) -> Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, position)
    }

    #[cfg(not(unix))]
    fn read(&self, buffer: &mut [u8], position: u64) -> Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(position))?;
        file.read_exact(buffer)
    }
}

impl ReadAt for FileAt {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> Result<()> {
        match position.checked_add(buffer.len() as u64).is_some_and(|end| end <= self.size) {
            true => self.read(buffer, position),
            false => Err(Error::new(ErrorKind::UnexpectedEof, "the bytes lie beyond the end of the file")),
        }
    }
}

impl ReadAt for bytes::Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> Result<()> {
        let beyond = || Error::new(ErrorKind::UnexpectedEof, "the bytes lie beyond the end");
        let begin = usize::try_from(position).map_err(|_| beyond())?;
        let end = begin.checked_add(buffer.len()).ok_or_else(beyond)?;
        buffer.copy_from_slice(self.get(begin..end).ok_or_else(beyond)?);
        Ok(())
    }
}
