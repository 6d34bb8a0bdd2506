//! `Content-Encoding` of request bodies: gzip and zstd, undone piece by piece and never beyond a bound.

use std::io::{self, Write};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::Bytes;
use caudal_core::{Error, ErrorKind, Result};
use flate2::write::MultiGzDecoder;
use zstd::stream::raw;
use zstd::stream::zio::Writer;

use crate::header_list::elements;

/// The largest window that a frame may ask for, as a power of two: what RFC 9659 asks of every decoder, and no more.
const WINDOW_LOG: u32 = 23;

/// Undoes one coding.
pub enum Decoder {
    /// There is none.
    Identity,
    Gzip(Box<MultiGzDecoder<Sink>>),
    Zstd(Box<Writer<Sink, raw::Decoder<'static>>>),
}

impl Decoder {
    /// The decoder for what the headers say; it gives at most `most` bytes.
    ///
    /// # Errors
    /// `UnsupportedMediaType` for another coding, and for one upon another.
    pub fn of(headers: &HeaderMap, most: u64) -> Result<Decoder> {
        let sink = Sink { bytes: Vec::new(), left: most, exceeded: false };
        match coding(headers)?.as_deref() {
            None => Ok(Decoder::Identity),
            Some("gzip" | "x-gzip") => Ok(Decoder::Gzip(Box::new(MultiGzDecoder::new(sink)))),
            Some("zstd") => {
                let made = raw::Decoder::new().and_then(|mut decoder| {
                    decoder.set_parameter(raw::DParameter::WindowLogMax(WINDOW_LOG))?;
                    Ok(decoder)
                });
                let decoder =
                    made.map_err(|e| Error::new(ErrorKind::Internal, "no zstd decoder").cause(e))?;
                Ok(Decoder::Zstd(Box::new(Writer::new(sink, decoder))))
            }
            Some(other) => Err(unsupported(other)),
        }
    }

    /// Whether what goes in comes out as it is.
    pub fn is_identity(&self) -> bool {
        matches!(self, Decoder::Identity)
    }

    /// What a piece of the body says.
    ///
    /// # Errors
    /// `MalformedRequest` where it is not of its coding, `TooLarge` where it says more than it may.
    pub fn push(&mut self, chunk: Bytes) -> Result<Bytes> {
        let done = match self {
            Decoder::Identity => return Ok(chunk),
            Decoder::Gzip(decoder) => decoder.write_all(&chunk).and_then(|()| decoder.flush()),
            Decoder::Zstd(decoder) => decoder.write_all(&chunk).and_then(|()| decoder.flush()),
        };
        self.taken(done)
    }

    /// What is left at the end of the body.
    ///
    /// # Errors
    /// As [`push`](Self::push); also where the body is cut off.
    pub fn end(&mut self) -> Result<Bytes> {
        let done = match self {
            Decoder::Identity => return Ok(Bytes::new()),
            Decoder::Gzip(decoder) => decoder.try_finish(),
            Decoder::Zstd(decoder) => decoder.finish(),
        };
        self.taken(done)
    }

    fn taken(&mut self, done: io::Result<()>) -> Result<Bytes> {
        let (name, sink) = match self {
            Decoder::Identity => return Ok(Bytes::new()),
            Decoder::Gzip(decoder) => ("gzip", decoder.get_mut()),
            Decoder::Zstd(decoder) => ("zstd", decoder.writer_mut()),
        };
        match done {
            Ok(()) => Ok(std::mem::take(&mut sink.bytes).into()),
            Err(_) if sink.exceeded => Err(Error::new(
                ErrorKind::TooLarge,
                "the body is longer than it may be once it is decompressed",
            )),
            Err(e) => {
                Err(Error::new(ErrorKind::MalformedRequest, format!("the body is not whole {name}")).cause(e))
            }
        }
    }
}

/// Takes decompressed bytes, up to a bound.
pub struct Sink {
    bytes: Vec<u8>,
    left: u64,
    exceeded: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => {
                self.left = left;
                self.bytes.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            None => {
                self.exceeded = true;
                Err(io::Error::other("beyond the bound"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses every coding, where a body is stored as it comes.
///
/// # Errors
/// `UnsupportedMediaType`.
pub fn refuse_coding(headers: &HeaderMap) -> Result<()> {
    coding(headers)?.map_or(Ok(()), |coding| Err(unsupported(&coding)))
}

fn coding(headers: &HeaderMap) -> Result<Option<String>> {
    let mut codings = elements(headers, &CONTENT_ENCODING);
    codings.retain(|coding| !coding.eq_ignore_ascii_case("identity"));
    match codings.len() {
        0 | 1 => Ok(codings.pop().map(|coding| coding.to_ascii_lowercase())),
        _ => Err(unsupported(&codings.join(", "))),
    }
}

fn unsupported(coding: &str) -> Error {
    let detail = format!("a body with the content encoding \"{coding}\" is not read here");
    Error::new(ErrorKind::UnsupportedMediaType, detail)
        .hint("send the body of POST /process with gzip, with zstd or uncompressed, and uploads as they are")
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn decoder(coding: &str, most: u64) -> Decoder {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, coding.parse().expect("a header"));
        Decoder::of(&headers, most).expect("a decoder")
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory")
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).expect("memory")
    }

    fn decode(coding: &str, content: &[u8], step: usize, most: u64) -> Result<Vec<u8>, ErrorKind> {
        let mut decoder = decoder(coding, most);
        let mut text = Vec::new();
        for chunk in content.chunks(step) {
            text.extend(decoder.push(Bytes::copy_from_slice(chunk)).map_err(|e| e.kind)?);
        }
        text.extend(decoder.end().map_err(|e| e.kind)?);
        Ok(text)
    }

    #[test]
    fn what_was_compressed_comes_out_again_however_it_is_cut() {
        let text: Vec<u8> = (0..100_000u32).flat_map(|i| (i % 977).to_string().into_bytes()).collect();
        let two_members = [gzip(&text[..1000]), gzip(&text[1000..])].concat();
        let cases = [("gzip", gzip(&text)), ("X-GZIP", two_members), ("zstd", zstd(&text))];
        for (coding, content) in cases {
            for step in [1, 7, 4096, usize::MAX] {
                let decoded = decode(coding, &content, step.min(content.len()), text.len() as u64);
                assert_eq!(decoded.as_ref(), Ok(&text), "{coding} by {step}");
            }
        }
    }

    #[test]
    fn a_bomb_is_stopped_at_the_bound() {
        let zeros = vec![0; 50_000_000];
        for (coding, content) in [("gzip", gzip(&zeros)), ("zstd", zstd(&zeros))] {
            assert_eq!(decode(coding, &content, 4096, 1_000_000), Err(ErrorKind::TooLarge), "{coding}");
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_told() {
        for (coding, content) in [("gzip", gzip(b"1,2,3\n")), ("zstd", zstd(b"1,2,3\n"))] {
            for length in 1..content.len() {
                let found = decode(coding, &content[..length], 4096, 100);
                assert_eq!(found, Err(ErrorKind::MalformedRequest), "{coding} {length}");
            }
            assert_eq!(decode(coding, b"1,2,3\n", 4096, 100), Err(ErrorKind::MalformedRequest), "{coding}");
        }
    }

    #[test]
    fn other_codings_and_codings_upon_codings_are_refused() {
        for coding in ["br", "deflate", "gzip, gzip", "gzip, zstd"] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, coding.parse().expect("a header"));
            let refused = Decoder::of(&headers, 1).err().map(|e| e.kind);
            assert_eq!(refused, Some(ErrorKind::UnsupportedMediaType), "{coding}");
        }
        assert!(decoder("identity", 1).is_identity());
    }
}
