//! From a path of this machine to the files that may be read.

use std::fs::{File, FileType};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use caudal_core::{Error, Result};

use super::located::{Item, Located, is_data};
use super::uri::unavailable;
use crate::source::{FileAt, ReadAt};

/// What lets a source be read.
pub const ALLOW: &str = "allow its folder with --allow, or sources.allowed_roots in the settings";

/// Finds the file of a path, or the files below a folder.
///
/// # Errors
/// `SourceUnavailable` for what is not there, is neither file nor folder, may not be read or lies outside the
/// allowed folders.
pub fn locate(path: &Path, allowed_roots: &[PathBuf], storage: Option<&Path>) -> Result<Located> {
    let shown = path.display();
    let real = path.canonicalize().map_err(|e| match e.kind() {
        // Outside the allowed folders even the absence of a file is nobody's business.
        std::io::ErrorKind::NotFound if is_allowed_by_name(path, allowed_roots) => match path.metadata() {
            // An open pipe has no path to lead to.
            Ok(found) if !found.is_file() => no_file(path, found.file_type()),
            _ => unavailable(format!("there is no file {shown}")),
        },
        std::io::ErrorKind::NotFound => forbidden(path),
        _ => unavailable(format!("{shown} cannot be read: {e}")),
    })?;
    let roots: Vec<_> = allowed_roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
    let storage = storage.and_then(|folder| folder.canonicalize().ok());
    let in_storage = |path: &Path| storage.as_ref().is_some_and(|storage| path.starts_with(storage));
    // A root that contains the storage does not open it: every owner's data lies there.
    let opens = |root: &&PathBuf| real.starts_with(root) && (in_storage(root) || !in_storage(&real));
    if !roots.iter().any(|root| opens(&root)) {
        return Err(match in_storage(&real) {
            true => lies_in_storage(&shown.to_string()),
            false => forbidden(path),
        });
    }
    if storage.is_some_and(|storage| storage.starts_with(&real)) {
        return Err(contains_storage(&shown.to_string()));
    }
    // Before it is opened: opening a pipe waits for whoever writes into it.
    let unreadable = |e| unavailable(format!("{shown} cannot be read: {e}"));
    let kind = real.metadata().map_err(unreadable)?.file_type();
    if kind.is_dir() {
        return Folder { named: path, real: &real, roots: &roots }.files().map(Located::Folder);
    }
    if !kind.is_file() {
        return Err(no_file(path, kind));
    }
    // It stays open, and so the same, until the job is done.
    let file: Arc<dyn ReadAt> = Arc::new(File::open(&real).and_then(FileAt::new).map_err(unreadable)?);
    let (name, size) = (real.display().to_string(), file.size());
    Ok(Located::One(Item { name, size, format: None, open: Box::new(move || Ok(file.clone())) }))
}

/// A folder whose files are one source.
struct Folder<'f> {
    /// As the request names it.
    named: &'f Path,
    real: &'f Path,
    /// Where links may lead.
    roots: &'f [PathBuf],
}

impl Folder<'_> {
    /// The files below it, in byte order of their paths. Each is opened by whoever reads it: there may be many.
    fn files(&self) -> Result<Vec<Item>> {
        let mut found = Vec::new();
        self.gather(self.real, &mut found)?;
        if found.is_empty() {
            return Err(unavailable(format!("there are no files in the folder {}", self.named.display())));
        }
        found.sort_by(|a, b| a.0.as_os_str().as_encoded_bytes().cmp(b.0.as_os_str().as_encoded_bytes()));
        Ok(found.into_iter().map(|(path, size)| self.item(path, size)).collect())
    }

    fn gather(&self, folder: &Path, found: &mut Vec<(PathBuf, u64)>) -> Result<()> {
        let unreadable = |path: &Path, e| unavailable(format!("{} cannot be read: {e}", path.display()));
        for entry in std::fs::read_dir(folder).map_err(|e| unreadable(folder, e))? {
            let path = entry.map_err(|e| unreadable(folder, e))?.path();
            if !path.file_name().is_some_and(|name| is_data(&name.to_string_lossy())) {
                continue;
            }
            let is_link = path.is_symlink();
            let metadata = path.metadata().map_err(|e| unreadable(&path, e))?;
            if metadata.is_dir() && !is_link {
                self.gather(&path, found)?;
                continue;
            }
            if !metadata.is_file() {
                return Err(no_file(&path, metadata.file_type()));
            }
            let leads_out = |real: PathBuf| !self.roots.iter().any(|root| real.starts_with(root));
            if is_link && path.canonicalize().map_or(true, leads_out) {
                return Err(forbidden(&path));
            }
            found.push((path, metadata.len()));
        }
        Ok(())
    }

    fn item(&self, path: PathBuf, size: u64) -> Item {
        let name = path.strip_prefix(self.real).unwrap_or(&path).display().to_string();
        let shown = name.clone();
        let open = move || -> Result<Arc<dyn ReadAt>> {
            let file = File::open(&path).and_then(FileAt::new);
            Ok(Arc::new(file.map_err(|e| unavailable(format!("{shown} cannot be read: {e}")))?))
        };
        Item { name, size, format: None, open: Box::new(open) }
    }
}

fn no_file(path: &Path, kind: FileType) -> Error {
    let detail = format!("{} is {}; expected one regular file", path.display(), kind_name(kind));
    match kind.is_dir() {
        true => unavailable(format!("{} is a link to a folder; name the folder itself", path.display())),
        false => unavailable(detail).hint("write what it gives into a file, and name that file"),
    }
}

#[cfg(unix)]
fn kind_name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "no regular file",
    }
}

#[cfg(not(unix))]
fn kind_name(kind: FileType) -> &'static str {
    if kind.is_symlink() { "a link" } else { "no regular file" }
}

fn is_allowed_by_name(path: &Path, allowed_roots: &[PathBuf]) -> bool {
    let steps_up = path.components().any(|c| c == std::path::Component::ParentDir);
    let parent = path.parent().and_then(|parent| match parent == Path::new("") {
        true => Path::new(".").canonicalize().ok(),
        false => parent.canonicalize().ok(),
    });
    let below = |parent: PathBuf| {
        allowed_roots.iter().filter_map(|root| root.canonicalize().ok()).any(|root| parent.starts_with(root))
    };
    parent.map_or(!steps_up && allowed_roots.iter().any(|root| path.starts_with(root)), below)
}

pub(super) fn lies_in_storage(shown: &str) -> Error {
    unavailable(format!("{shown} lies in the storage, which is no source"))
        .hint("fetch what a job made with GET /jobs/{id}/data")
}

pub(super) fn contains_storage(shown: &str) -> Error {
    unavailable(format!("{shown} contains the storage, which is no source"))
        .hint("name a folder beside it, or put the storage elsewhere")
}

fn forbidden(path: &Path) -> Error {
    unavailable(format!("{} lies outside the folders that sources may be read from", path.display()))
        .hint(ALLOW)
}
