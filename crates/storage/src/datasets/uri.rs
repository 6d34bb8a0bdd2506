//! What a source's URI names: a file or folder, an object or a folder of objects, an upload.

use std::path::PathBuf;

use caudal_core::{Error, ErrorKind, Result};
use object_store::path::Path;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode, utf8_percent_encode};
use uuid::Uuid;

/// What a URI names.
#[derive(Debug, PartialEq, Eq)]
pub enum Named {
    /// A path of this machine.
    Path(PathBuf),
    Object {
        bucket: String,
        key: Path,
    },
    /// Every object below a key.
    Objects {
        bucket: String,
        below: Path,
    },
    Upload(Uuid),
}

/// Reads `file:PATH`, `s3://BUCKET/KEY`, `s3://BUCKET/FOLDER/` or `upload:ID`, in which `%41` stands for `A`, or a plain
/// path, in which it stands for itself.
///
/// # Errors
/// `SourceUnavailable` for every other form.
pub fn parse(uri: &str) -> Result<Named> {
    match uri.split_once(':') {
        Some(("file", rest)) => Ok(Named::Path(path(rest.strip_prefix("//").unwrap_or(rest))?)),
        Some(("s3", rest)) => object(uri, rest),
        Some(("upload", id)) => {
            let unknown = |_| unavailable(format!("{uri} names no upload; expected upload:ID"));
            id.parse().map(Named::Upload).map_err(unknown)
        }
        Some((scheme, rest)) if rest.starts_with("//") => {
            let detail =
                format!("sources of the form {scheme}: are not read; expected file:, s3: or upload:");
            Err(unavailable(detail))
        }
        _ => Ok(Named::Path(PathBuf::from(uri))),
    }
}

/// What a URI may not hold as it is.
const ESCAPED: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// The URI of a path of this machine, absolute or not.
pub fn file_uri(path: &std::path::Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let relative = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
    // Two slashes after the scheme would begin the name of a host.
    let root = if relative > 0 { "/" } else { "" };
    format!("file:{root}{}", percent_encode(&bytes[relative..], ESCAPED))
}

/// Text as it stands in a URI.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

#[cfg(unix)]
fn path(text: &str) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let bytes = percent_decode_str(text).collect();
    Ok(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(not(unix))]
fn path(text: &str) -> Result<PathBuf> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(|text| PathBuf::from(&*text)).map_err(|_| unavailable("the path is not UTF-8".into()))
}

fn object(uri: &str, rest: &str) -> Result<Named> {
    let malformed =
        || unavailable(format!("{uri} names no object; expected s3://bucket/key, or a slash at its end"));
    let place = rest.strip_prefix("//").ok_or_else(malformed)?;
    let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
    if bucket.is_empty() {
        return Err(malformed());
    }
    let bucket = bucket.to_owned();
    let key = percent_decode_str(key).decode_utf8().map_err(|_| malformed())?;
    let parsed = Path::parse(key.trim_end_matches('/')).map_err(|_| malformed())?;
    Ok(match key.is_empty() || key.ends_with('/') {
        true => Named::Objects { bucket, below: parsed },
        false => Named::Object { bucket, key: parsed },
    })
}

pub fn unavailable(detail: String) -> Error {
    Error::new(ErrorKind::SourceUnavailable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_a_lone_percent_sign_is_itself() {
        let path = |uri| match parse(uri).unwrap() {
            Named::Path(path) => path.to_string_lossy().into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(path("file:a%20b%2525.csv"), "a b%25.csv");
        assert_eq!(path("file:///tmp/100%.csv"), "/tmp/100%.csv");
        assert_eq!(path("a%20b.csv"), "a%20b.csv");
        let key = Path::parse("a b/100%").unwrap();
        assert_eq!(
            parse("s3://numbers/a%20b/100%").unwrap(),
            Named::Object { bucket: "numbers".into(), key }
        );
        let below = Path::parse("of/july").unwrap();
        assert_eq!(
            parse("s3://numbers/of/july/").unwrap(),
            Named::Objects { bucket: "numbers".into(), below }
        );
    }

    #[cfg(unix)]
    #[test]
    fn every_path_has_a_uri_that_leads_back_to_it() {
        use std::os::unix::ffi::OsStrExt;
        for bytes in [b"a b%20#?.csv".as_slice(), b"/tmp/caf\xe9.csv", b"//x/y", "gr\u{fc}n.csv".as_bytes()] {
            let path = std::path::Path::new(std::ffi::OsStr::from_bytes(bytes));
            let uri = file_uri(path);
            assert!(uri.is_ascii(), "{uri}");
            let Named::Path(found) = parse(&uri).unwrap() else { panic!("{uri}") };
            assert_eq!(
                found.components().collect::<PathBuf>(),
                path.components().collect::<PathBuf>(),
                "{uri}"
            );
        }
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for uri in [
            "s3:numbers/x",
            "s3://",
            "s3:///x",
            "s3://numbers/a/../b",
            "s3://numbers/a//b",
            "upload:7",
            "ftp://x",
        ] {
            assert_eq!(parse(uri).unwrap_err().kind, ErrorKind::SourceUnavailable, "{uri}");
        }
    }
}
