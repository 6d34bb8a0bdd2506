//! The `Range` header: one range of bytes of one stored object (RFC 9110 §14).

use std::ops::Range;

/// What a `Range` header asks of an object.
#[derive(Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// No range, several ranges, another unit, or nothing that can be read: all of it, as the RFC allows.
    Whole,
    /// At least one byte, within the object.
    Part(Range<u64>),
    /// No byte of the object lies in the range.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads a `Range` header against an object of `size` bytes.
    pub fn read(header: Option<&str>, size: u64) -> ByteRange {
        header.and_then(|text| single(text, size)).unwrap_or(ByteRange::Whole)
    }
}

/// `None` where the header is not one readable range of bytes.
fn single(text: &str, size: u64) -> Option<ByteRange> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let range = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => size.saturating_sub(position(last)?)..size,
        (false, true) => position(first)?..size,
        (false, false) => {
            let (first, last) = (position(first)?, position(last)?);
            if last < first {
                return None;
            }
            first..size.min(last.saturating_add(1))
        }
    };
    Some(if range.is_empty() { ByteRange::Unsatisfiable } else { ByteRange::Part(range) })
}

/// Digits only; a number beyond u64 lies behind the end of any object.
fn position(digits: &str) -> Option<u64> {
    let readable = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    readable.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::ByteRange::{self, Part, Unsatisfiable, Whole};

    fn read(header: &str, size: u64) -> ByteRange {
        ByteRange::read(Some(header), size)
    }

    #[test]
    fn both_ends_are_included() {
        assert_eq!(read("bytes=0-0", 10), Part(0..1));
        assert_eq!(read("bytes=3-9", 10), Part(3..10));
        assert_eq!(read("Bytes= 3-5", 10), Part(3..6));
    }

    #[test]
    fn an_open_end_and_an_end_beyond_the_object_stop_at_its_last_byte() {
        assert_eq!(read("bytes=4-", 10), Part(4..10));
        assert_eq!(read("bytes=4-99", 10), Part(4..10));
        assert_eq!(read("bytes=4-99999999999999999999999", 10), Part(4..10));
    }

    #[test]
    fn a_suffix_counts_from_the_end() {
        assert_eq!(read("bytes=-3", 10), Part(7..10));
        assert_eq!(read("bytes=-99", 10), Part(0..10));
    }

    #[test]
    fn a_range_without_a_byte_of_the_object_is_unsatisfiable() {
        for (header, size) in
            [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)]
        {
            assert_eq!(read(header, size), Unsatisfiable, "{header} of {size}");
        }
        assert_eq!(read("bytes=99999999999999999999999-", 10), Unsatisfiable);
    }

    #[test]
    fn what_is_not_one_readable_range_asks_for_everything() {
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=0-1,3-4",
            "rows=0-1",
        ] {
            assert_eq!(read(header, 10), Whole, "{header}");
        }
        assert_eq!(ByteRange::read(None, 10), Whole);
    }
}
