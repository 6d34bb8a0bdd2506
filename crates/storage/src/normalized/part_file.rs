//! A part that goes straight into a file of the bucket's folder, page by page: none of it is held, or copied once more.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::path::{Path, PathBuf};

/// A file that is written beside its place, under a name that the sweep knows, and put there once it is whole.
pub struct PartFile {
    file: File,
    place: PathBuf,
    /// Taken out once the file is at its place.
    staged: Option<PathBuf>,
}

impl PartFile {
    /// # Errors
    /// Whatever the file system says.
    pub fn begin(place: &Path) -> Result<PartFile> {
        let mut number = 1u32;
        loop {
            let mut staged = place.as_os_str().to_owned();
            staged.push(format!("#{number}"));
            let staged = PathBuf::from(staged);
            match OpenOptions::new().write(true).create_new(true).open(&staged) {
                Ok(file) => return Ok(PartFile { file, place: place.to_owned(), staged: Some(staged) }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    std::fs::create_dir_all(place.parent().ok_or(e)?)?;
                }
                Err(e) => return Err(e),
            }
        }
    }

    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)
    }

    /// Puts the file at its place.
    ///
    /// # Errors
    /// Whatever the file system says; nothing of the file is left then.
    pub fn finish(mut self) -> Result<()> {
        let Some(staged) = &self.staged else { return Ok(()) };
        std::fs::rename(staged, &self.place)?;
        self.staged = None;
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if let Some(staged) = &self.staged {
            // What is left is swept.
            let _ = std::fs::remove_file(staged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_whole_at_its_place_or_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("deep/down/part");
        let (mut one, mut two) = (PartFile::begin(&place).unwrap(), PartFile::begin(&place).unwrap());
        one.put(b"one").unwrap();
        two.put(b"tw").unwrap();
        assert!(!place.exists());
        two.put(b"o").unwrap();
        two.finish().unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"two");
        drop(one);
        let left: Vec<_> = std::fs::read_dir(place.parent().unwrap()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
