//! The form of a file, by what was asked for, its first bytes and its name.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use caudal_core::request::SourceFormat;
use caudal_core::{Error, ErrorKind, Result};

use crate::source::Stream;

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

impl Form {
    pub fn name(self) -> &'static str {
        match self {
            Form::Csv => "CSV",
            Form::Json => "JSON",
            Form::Ndjson => "NDJSON",
            Form::ArrowFile | Form::ArrowStream => "Arrow",
            Form::Parquet => "Parquet",
        }
    }
}

/// The form of a file: what was asked for, else by its first bytes, else by its name.
///
/// # Errors
/// `SourceUnavailable` when the first bytes cannot be read; `InvalidData` for a compressed file.
pub fn form_of(file: &mut Stream, name: &str, asked: Option<SourceFormat>) -> Result<Form> {
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
    let extension =
        Path::new(name).extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
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
