//! One unnamed temporary file for rows that memory has no room for: it is gone with the process, however that ends.

use std::fs::File;
use std::io::{ErrorKind as IoErrorKind, Write};
use std::path::PathBuf;

use arrow::datatypes::ToByteSlice;
use caudal_core::{Error, ErrorKind, Result};

use super::{FileAt, ReadAt};

/// The share of a disk that is never filled: one part in this many.
const KEPT_FREE: u64 = 20;

const FOLDER_HINT: &str = "give --spill-folder (processing.spill_folder) a folder with more room, name fewer columns, \
                           or raise --memory-limit";

/// Where rows go that memory has no room for, and how many bytes of them there may be.
#[derive(Clone, Debug, Default)]
pub struct SpillOptions {
    pub folder: PathBuf,
    pub limit: u64,
}

/// The file while it grows.
pub(crate) struct SpillFile {
    file: File,
    length: u64,
    options: SpillOptions,
}

impl SpillFile {
    /// Makes the file, where as many bytes as are expected have room.
    ///
    /// # Errors
    /// `InsufficientDisk` where they have none, or the folder takes no file.
    pub fn create(options: &SpillOptions, expected: u64) -> Result<SpillFile> {
        let shown = options.folder.display();
        let unusable = |e| {
            let detail = format!("rows cannot be spilled to {shown}: {e}");
            Error::new(ErrorKind::InsufficientDisk, detail).hint(FOLDER_HINT)
        };
        let file = tempfile::tempfile_in(&options.folder).map_err(unusable)?;
        let created = SpillFile { file, length: 0, options: options.clone() };
        created.check_room(expected, "about ")?;
        Ok(created)
    }

    /// Appends values; returns where they begin.
    ///
    /// # Errors
    /// `InsufficientDisk` where the disk or the limit has no room for them.
    pub fn append(&mut self, values: &[f64]) -> Result<u64> {
        let bytes = values.to_byte_slice();
        let place = self.length;
        self.check_room(bytes.len() as u64, "")?;
        self.file.write_all(bytes).map_err(|e| self.unwritten(bytes.len() as u64, &e))?;
        self.length += bytes.len() as u64;
        Ok(place)
    }

    /// The file, to read from.
    pub fn finish(self) -> Result<FileAt> {
        FileAt::new(self.file).map_err(|e| unreadable(&e))
    }

    /// Whether `more` bytes have room beside those that are there.
    fn check_room(&self, more: u64, precision: &str) -> Result<()> {
        let all = self.length.saturating_add(more);
        if all > self.options.limit {
            let detail = format!(
                "the rows that memory has no room for take {precision}{} on the disk, and {} are allowed",
                size(all),
                size(self.options.limit)
            );
            let hint =
                "raise --spill-limit (processing.spill_limit) or --memory-limit, or name fewer columns";
            return Err(Error::new(ErrorKind::InsufficientDisk, detail).hint(hint));
        }
        match self.room().is_some_and(|room| more > room) {
            true => Err(self.full(more, precision)),
            false => Ok(()),
        }
    }

    fn full(&self, more: u64, precision: &str) -> Error {
        let room = self.room().map_or_else(String::new, |room| format!(" {} of it can be used;", size(room)));
        let detail = format!(
            "the disk of {} has no room for the rows that memory cannot hold: {precision}{} are needed beside the {} \
             that are there, and{room} one part in {KEPT_FREE} of the disk stays free",
            self.options.folder.display(),
            size(more),
            size(self.length),
        );
        Error::new(ErrorKind::InsufficientDisk, detail).hint(FOLDER_HINT)
    }

    /// Bytes that the disk has left, without those that stay free; nothing where the system does not say.
    #[cfg(unix)]
    fn room(&self) -> Option<u64> {
        let disk = rustix::fs::fstatvfs(&self.file).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(bytes(disk.f_bavail).saturating_sub(bytes(disk.f_blocks) / KEPT_FREE))
    }

    #[cfg(not(unix))]
    fn room(&self) -> Option<u64> {
        None
    }

    fn unwritten(&self, more: u64, error: &std::io::Error) -> Error {
        let is_full = matches!(
            error.kind(),
            IoErrorKind::StorageFull | IoErrorKind::QuotaExceeded | IoErrorKind::FileTooLarge
        );
        match is_full {
            true => self.full(more, "").cause(error),
            false => {
                let detail = format!("rows cannot be spilled to {}", self.options.folder.display());
                Error::new(ErrorKind::InsufficientDisk, format!("{detail}: {error}")).hint(FOLDER_HINT)
            }
        }
    }
}

/// Values read at once.
const WINDOW: usize = 8192;

/// Fills `out` with the values that begin at a place of a spill file.
pub(crate) fn read_values(file: &dyn ReadAt, mut place: u64, out: &mut [f64]) -> Result<()> {
    let mut window = [0; WINDOW * size_of::<f64>()];
    for values in out.chunks_mut(WINDOW) {
        let bytes = &mut window[..size_of_val(values)];
        file.read_exact_at(bytes, place).map_err(|e| unreadable(&e))?;
        for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
            *value = f64::from_ne_bytes(*bytes);
        }
        place += size_of_val(values) as u64;
    }
    Ok(())
}

fn unreadable(error: &std::io::Error) -> Error {
    Error::new(ErrorKind::SourceUnavailable, format!("spilled rows cannot be read back: {error}"))
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    const UNITS: [(f64, &str); 3] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB")];
    let bytes = bytes as f64;
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit).unwrap_or((1e6, "MB"));
    format!("{:.1} {name}", bytes / unit)
}
