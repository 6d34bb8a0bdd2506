//! Headers of Parquet pages, as far as plain pages need them: Thrift's compact protocol.

/// What is wrong with bytes that should be a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It goes on behind them.
    Short,
    Wrong,
}

/// Kinds of pages and encodings by their numbers in the format.
pub(crate) const DATA_PAGE: i64 = 0;
pub(crate) const PLAIN: i64 = 0;
pub(crate) const RLE: i64 = 3;

/// The header of a page; of other kinds of pages than [`DATA_PAGE`] only the kind and the size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHeader {
    pub kind: i64,
    /// Bytes behind the header.
    pub size: i64,
    pub values: i64,
    pub encoding: i64,
    /// The encoding of definition levels.
    pub levels: i64,
}

impl PageHeader {
    /// The header that bytes begin with, and its length.
    pub fn read(bytes: &[u8]) -> Result<(PageHeader, usize), Flaw> {
        let mut compact = Compact { bytes, at: 0 };
        let mut header = PageHeader { kind: -1, size: -1, values: -1, encoding: -1, levels: -1 };
        compact.fields(|compact, field, form| match (field, form) {
            (1, INTEGER) => compact.integer().map(|kind| header.kind = kind),
            (3, INTEGER) => compact.integer().map(|size| header.size = size),
            (5, STRUCT) => compact.fields(|compact, field, form| match (field, form) {
                (1, INTEGER) => compact.integer().map(|values| header.values = values),
                (2, INTEGER) => compact.integer().map(|encoding| header.encoding = encoding),
                (3, INTEGER) => compact.integer().map(|levels| header.levels = levels),
                _ => compact.skip(form, DEPTH),
            }),
            _ => compact.skip(form, DEPTH),
        })?;
        Ok((header, compact.at))
    }

    /// Appends the header of a plain page.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Each field: how far its number is from the one before, and its form.
        let field = |out: &mut Vec<u8>, step: u8, value: i64| {
            out.push(step << 4 | INTEGER);
            variable((value << 1 ^ value >> 63) as u64, out);
        };
        field(out, 1, self.kind);
        field(out, 1, self.size);
        field(out, 1, self.size);
        out.push(2 << 4 | STRUCT);
        field(out, 1, self.values);
        field(out, 1, self.encoding);
        field(out, 1, self.levels);
        field(out, 1, RLE);
        out.extend_from_slice(&[0, 0]);
    }
}

/// A number in groups of seven bits, the lowest first.
pub(crate) fn variable(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Forms of fields by their numbers in the protocol.
const INTEGER: u8 = 5;
const STRUCT: u8 = 12;

/// Structures within structures that are passed over, at most.
const DEPTH: usize = 8;

struct Compact<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Compact<'_> {
    fn byte(&mut self) -> Result<u8, Flaw> {
        let byte = self.bytes.get(self.at).copied().ok_or(Flaw::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, bytes: u64) -> Result<(), Flaw> {
        let left = self.bytes.len() - self.at;
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= left).ok_or(Flaw::Short)?;
        self.at += bytes;
        Ok(())
    }

    fn variable(&mut self) -> Result<u64, Flaw> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Flaw::Wrong)
    }

    /// Zigzag: 0, −1, 1, −2.
    fn integer(&mut self) -> Result<i64, Flaw> {
        let value = self.variable()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Reads a structure; `field` reads the value of a field by its number and form.
    fn fields(&mut self, mut field: impl FnMut(&mut Self, i64, u8) -> Result<(), Flaw>) -> Result<(), Flaw> {
        let mut number = 0i64;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            number = match i64::from(byte >> 4) {
                0 => self.integer()?,
                step => number.checked_add(step).ok_or(Flaw::Wrong)?,
            };
            field(self, number, byte & 0xF)?;
        }
    }

    fn skip(&mut self, form: u8, depth: usize) -> Result<(), Flaw> {
        let depth = depth.checked_sub(1).ok_or(Flaw::Wrong)?;
        match form {
            // A boolean is said by its form.
            1 | 2 => Ok(()),
            3 => self.pass(1),
            4..=6 => self.variable().map(drop),
            7 => self.pass(8),
            8 => {
                let length = self.variable()?;
                self.pass(length)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.variable()? } else { u64::from(byte >> 4) };
                (0..count).try_for_each(|_| match byte & 0xF {
                    // Within a list a boolean takes a byte.
                    1 | 2 => self.pass(1),
                    form => self.skip(form, depth),
                })
            }
            STRUCT => self.fields(|compact, _, form| compact.skip(form, depth)),
            _ => Err(Flaw::Wrong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: PageHeader =
        PageHeader { kind: DATA_PAGE, size: 524_300, values: 65_536, encoding: PLAIN, levels: RLE };

    #[test]
    fn what_was_written_is_read_and_a_part_of_it_is_too_short() {
        let mut bytes = Vec::new();
        HEADER.write(&mut bytes);
        let length = bytes.len();
        bytes.extend_from_slice(&[7; 9]);
        assert_eq!(PageHeader::read(&bytes), Ok((HEADER, length)));
        for end in 0..length {
            assert_eq!(PageHeader::read(&bytes[..end]), Err(Flaw::Short), "{end}");
        }
    }

    #[test]
    fn fields_that_are_not_wanted_are_passed_over_and_nonsense_is_none() {
        let mut bytes = Vec::new();
        HEADER.write(&mut bytes);
        // Field 5 ends with two zeros; statistics are its field 5, and a checksum would be field 4 of the page.
        bytes.truncate(bytes.len() - 2);
        bytes.extend_from_slice(&[0x1C, 0x18, 2, 9, 9, 0x19, 0x25, 2, 4, 0x11, 0x12, 0x17]);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&[0, 0, 0]);
        assert_eq!(PageHeader::read(&bytes), Ok((HEADER, bytes.len())));
        assert_eq!(PageHeader::read(&[0x1F; 40]), Err(Flaw::Wrong));
        assert_eq!(PageHeader::read(&[0x1C; 400]), Err(Flaw::Wrong));
        assert_eq!(
            PageHeader::read(&[0x15, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            Err(Flaw::Wrong)
        );
    }
}
