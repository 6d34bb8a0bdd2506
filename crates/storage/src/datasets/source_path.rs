//! From a source's URI to a file that may be read.

use std::fs::{File, FileType};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Result};

/// Opens the file of a `file:` URI, or of a plain path.
///
/// # Errors
/// `SourceUnavailable` for what is not there, is no file, may not be read or lies outside the allowed
/// folders; `UnavailableEngine` for schemes that are not built yet.
pub fn open(uri: &str, allowed_roots: &[PathBuf]) -> Result<(File, PathBuf)> {
    let path = path_of(uri)?;
    let shown = path.display();
    let real = path.canonicalize().map_err(|e| match e.kind() {
        // Outside the allowed folders even the absence of a file is nobody's business.
        std::io::ErrorKind::NotFound if is_allowed_by_name(&path, allowed_roots) => match path.metadata() {
            // An open pipe has no path to lead to.
            Ok(found) if !found.is_file() => no_file(&path, found.file_type()),
            _ => unavailable(format!("there is no file {shown}")),
        },
        std::io::ErrorKind::NotFound => forbidden(&path),
        _ => unavailable(format!("{shown} cannot be read: {e}")),
    })?;
    let roots = allowed_roots.iter().filter_map(|root| root.canonicalize().ok());
    if !roots.into_iter().any(|root| real.starts_with(root)) {
        return Err(forbidden(&path));
    }
    // Before it is opened: opening a pipe waits for whoever writes into it.
    let unreadable = |e| unavailable(format!("{shown} cannot be read: {e}"));
    let kind = real.metadata().map_err(unreadable)?.file_type();
    if !kind.is_file() {
        return Err(no_file(&path, kind));
    }
    let file = File::open(&real).map_err(unreadable)?;
    Ok((file, real))
}

fn no_file(path: &Path, kind: FileType) -> Error {
    let error = unavailable(format!("{} is {}; expected one regular file", path.display(), kind_name(kind)));
    match kind.is_dir() {
        true => error,
        false => error.hint("write what it gives into a file, and name that file"),
    }
}

#[cfg(unix)]
fn kind_name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "no regular file",
    }
}

#[cfg(not(unix))]
fn kind_name(kind: FileType) -> &'static str {
    if kind.is_dir() { "a folder" } else { "no regular file" }
}

fn path_of(uri: &str) -> Result<PathBuf> {
    if let Some(rest) = uri.strip_prefix("file:") {
        return Ok(PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)));
    }
    match uri.split_once(':') {
        Some((scheme @ ("s3" | "upload"), _)) => {
            let detail = format!("sources of the form {scheme}: are not built yet");
            Err(Error::new(ErrorKind::UnavailableEngine, detail).hint("give a file: source"))
        }
        Some((scheme, rest)) if rest.starts_with("//") => {
            Err(unavailable(format!("sources of the form {scheme}: are not read; expected file:PATH")))
        }
        _ => Ok(PathBuf::from(uri)),
    }
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

fn forbidden(path: &Path) -> Error {
    unavailable(format!("{} lies outside the folders that sources may be read from", path.display()))
        .hint("allow its folder with --allow, or sources.allowed_roots in the settings")
}

fn unavailable(detail: String) -> Error {
    Error::new(ErrorKind::SourceUnavailable, detail)
}

/// The two forms of Arrow IPC share a name and differ in their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Csv,
    Json,
    Ndjson,
    ArrowFile,
    ArrowStream,
    Parquet,
}

/// The form of a file: what was asked for, else by its first bytes, else by its name.
///
/// # Errors
/// `SourceUnavailable` when the first bytes cannot be read; `InvalidData` for a compressed file.
pub fn form_of(file: &mut File, path: &Path, asked: Option<SourceFormat>) -> Result<Form> {
    let mut start = [0u8; 4096];
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..]).map_err(|e| super::unreadable(&e))? {
            0 => break,
            n => length += n,
        }
    }
    file.seek(SeekFrom::Start(0)).map_err(|e| super::unreadable(&e))?;
    let start = &start[..length];
    check_uncompressed(start)?;
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let arrow = if start.starts_with(b"ARROW1") { Form::ArrowFile } else { Form::ArrowStream };
    Ok(match asked {
        Some(SourceFormat::Csv) => Form::Csv,
        Some(SourceFormat::Json) => Form::Json,
        Some(SourceFormat::Ndjson) => Form::Ndjson,
        Some(SourceFormat::Arrow) => arrow,
        Some(SourceFormat::Parquet) => Form::Parquet,
        None if start.starts_with(b"PAR1") => Form::Parquet,
        None if start.starts_with(b"ARROW1") => Form::ArrowFile,
        None if start.starts_with(&[0xFF; 4]) => Form::ArrowStream,
        None => match extension.as_str() {
            "parquet" | "pq" => Form::Parquet,
            "arrow" | "feather" | "arrows" | "ipc" => arrow,
            "ndjson" | "jsonl" => Form::Ndjson,
            "json" => Form::Json,
            "csv" | "tsv" | "txt" => Form::Csv,
            _ => by_first_character(start),
        },
    })
}

fn check_uncompressed(start: &[u8]) -> Result<()> {
    let forms: [(&[u8], &str, &str); 5] = [
        (b"\x1F\x8B", "gzip", "gunzip FILE"),
        (b"\x28\xB5\x2F\xFD", "zstd", "unzstd FILE"),
        (b"\xFD7zXZ\0", "xz", "unxz FILE"),
        (b"BZh9", "bzip2", "bunzip2 FILE"),
        (b"PK\x03\x04", "zip", "unzip FILE"),
    ];
    match forms.iter().find(|(mark, ..)| start.starts_with(mark)) {
        None => Ok(()),
        Some((_, form, cure)) => {
            let detail = format!("the source is compressed with {form}, which is not read");
            Err(Error::new(ErrorKind::InvalidData, detail)
                .hint(format!("decompress it first, for instance with {cure}")))
        }
    }
}

fn by_first_character(start: &[u8]) -> Form {
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    match start.trim_ascii_start().first() {
        Some(b'[') => Form::Json,
        // One whole object on the first line is NDJSON; an object that goes on is a document.
        Some(b'{')
            if start.split(|b| *b == b'\n').next().is_some_and(|l| l.trim_ascii_end().ends_with(b"}")) =>
        {
            Form::Ndjson
        }
        Some(b'{') => Form::Json,
        _ => Form::Csv,
    }
}
