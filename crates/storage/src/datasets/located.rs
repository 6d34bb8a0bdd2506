//! What was found where a source's URI leads: one file, or the files of a folder.

use std::sync::Arc;

use caudal_core::Result;
use caudal_core::request::SourceFormat;

use crate::source::parquet::Opener;
use crate::source::{ReadAt, Stream};

/// The files of a source.
pub enum Located {
    One(Item),
    /// In byte order of their paths; there is one at least.
    Folder(Vec<Item>),
}

/// One file or object.
pub struct Item {
    /// Its path or URI; within a folder what follows the folder's.
    pub name: String,
    pub size: u64,
    /// Its form, where whoever stored it said so.
    pub format: Option<SourceFormat>,
    pub open: Opener,
}

impl Item {
    pub fn bytes(&self) -> Result<Arc<dyn ReadAt>> {
        (self.open)()
    }

    pub fn stream(&self) -> Result<Stream> {
        self.bytes().map(Stream::new)
    }
}

/// Whether a file of this name belongs to a folder's data: writers leave marks and halves of files beside it.
pub fn is_data(name: &str) -> bool {
    !name.starts_with(['.', '_'])
}
