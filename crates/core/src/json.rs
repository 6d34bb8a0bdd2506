//! JSON text read value by value: numbers with all their digits, and the place where it stops being JSON.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use crate::cell::Cell;

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The text is no JSON from this byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    pub at: usize,
}

/// Why a text is no JSON, and where; lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub reason: String,
    pub line: usize,
    pub column: usize,
}

/// Reads a text from its beginning to its end. A byte order mark before it is passed over.
pub struct JsonReader<'t> {
    text: &'t [u8],
    at: usize,
}

impl<'t> JsonReader<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        JsonReader { text, at: if text.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 } }
    }

    /// Bytes that have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The first byte of what comes next; `None` at the end.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// # Errors
    /// Where something follows.
    pub fn end(&mut self) -> Result<(), NotJson> {
        self.peek().map_or(Ok(()), |_| Err(self.stop()))
    }

    /// Reads an array; `element` reads the element at the index that it is given.
    ///
    /// # Errors
    /// Where the text is no array, and what `element` says.
    pub fn array<E: From<NotJson>>(
        &mut self,
        mut element: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[')?;
        if self.peek() == Some(b']') {
            return Ok(self.expect(b']')?);
        }
        let mut index = 0;
        loop {
            element(self, index)?;
            index += 1;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads an object; `entry` reads the value of the key that it is given.
    ///
    /// # Errors
    /// Where the text is no object, and what `entry` says.
    pub fn object<E: From<NotJson>>(
        &mut self,
        mut entry: impl FnMut(&mut Self, Cow<'t, str>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        if self.peek() == Some(b'}') {
            return Ok(self.expect(b'}')?);
        }
        loop {
            self.peek();
            let key = self.string()?;
            self.expect(b':')?;
            entry(self, key)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads any value as a cell; of an array or an object only its kind is kept.
    ///
    /// # Errors
    /// Where there is no value.
    pub fn cell(&mut self) -> Result<Cell, NotJson> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'"') => self.string().map(|text| Cell::Text(text.into_owned())),
            Some(b'n') => self.word("null", Cell::Missing),
            Some(b't') => self.word("true", Cell::Boolean(true)),
            Some(b'f') => self.word("false", Cell::Boolean(false)),
            Some(b'[') => self.skip().map(|_| Cell::Nested("array")),
            Some(b'{') => self.skip().map(|_| Cell::Nested("object")),
            _ => Err(self.stop()),
        }
    }

    /// Passes over any value and returns its text.
    ///
    /// # Errors
    /// Where there is no value.
    pub fn skip(&mut self) -> Result<&'t [u8], NotJson> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {
                let length = values.byte_offset();
                self.at += length;
                Ok(rest.get(..length).unwrap_or_default())
            }
            _ => Err(self.stop()),
        }
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn stop(&self) -> NotJson {
        NotJson { at: self.at }
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        match self.peek() == Some(byte) {
            true => {
                self.at += 1;
                Ok(())
            }
            false => Err(self.stop()),
        }
    }

    /// Reads a comma, after which it goes on, or the closing bracket, after which it does not.
    #[inline]
    fn goes_on(&mut self, close: u8) -> Result<bool, NotJson> {
        let next = self.peek();
        if next != Some(b',') && next != Some(close) {
            return Err(self.stop());
        }
        self.at += 1;
        Ok(next == Some(b','))
    }

    fn word(&mut self, word: &str, cell: Cell) -> Result<Cell, NotJson> {
        if !self.text.get(self.at..).unwrap_or_default().starts_with(word.as_bytes()) {
            return Err(self.stop());
        }
        self.at += word.len();
        Ok(cell)
    }

    fn string(&mut self) -> Result<Cow<'t, str>, NotJson> {
        if self.byte() != Some(b'"') {
            return Err(self.stop());
        }
        let begin = self.at + 1;
        let (mut end, mut plain) = (begin, true);
        loop {
            match self.text.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    end += 2;
                }
                None | Some(0..=0x1F) => return Err(NotJson { at: end }),
                Some(_) => end += 1,
            }
        }
        self.at = end + 1;
        let inside = self.text.get(begin..end).unwrap_or_default();
        match plain {
            true => std::str::from_utf8(inside)
                .map(Cow::Borrowed)
                .map_err(|e| NotJson { at: begin + e.valid_up_to() }),
            false => serde_json::from_slice(self.text.get(begin - 1..=end).unwrap_or_default())
                .map(Cow::Owned)
                .map_err(|_| NotJson { at: begin }),
        }
    }

    fn number(&mut self) -> Result<Cell, NotJson> {
        let begin = self.at;
        self.take(b"-");
        let leading_zero = self.byte() == Some(b'0');
        if self.digits()? > 1 && leading_zero {
            return Err(NotJson { at: begin });
        }
        let mut whole = true;
        if self.take(b".") {
            whole = false;
            self.digits()?;
        }
        if self.take(b"eE") {
            whole = false;
            self.take(b"+-");
            self.digits()?;
        }
        let token = self.text.get(begin..self.at).unwrap_or_default();
        Cell::from_digits(token, whole).ok_or(NotJson { at: begin })
    }

    #[inline]
    fn take(&mut self, any: &[u8]) -> bool {
        let taken = self.byte().is_some_and(|byte| any.contains(&byte));
        self.at += usize::from(taken);
        taken
    }

    #[inline]
    fn digits(&mut self) -> Result<usize, NotJson> {
        let begin = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at - begin {
            0 => Err(self.stop()),
            count => Ok(count),
        }
    }
}

impl NotJson {
    /// Says for people what is wrong with the text that was read.
    pub fn explain(self, text: &[u8]) -> Explanation {
        let mark = if text.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
        if let Err(e) = serde_json::from_slice::<IgnoredAny>(text.get(mark..).unwrap_or_default()) {
            let (line, column) = (e.line(), e.column());
            let told = e.to_string();
            let place = format!(" at line {line} column {column}");
            let reason = told.strip_suffix(&place).unwrap_or(&told).to_owned();
            return Explanation { reason, line, column };
        }
        let before = text.get(..self.at).unwrap_or(text);
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        let reason = match std::str::from_utf8(text) {
            Err(_) => "the text is not UTF-8, convert it first",
            Ok(_) => "an escape stands for half a character, or values are nested too deeply",
        };
        Explanation { reason: reason.into(), line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Result<Vec<Cell>, NotJson> {
        let mut cells = Vec::new();
        let mut reader = JsonReader::new(text.as_bytes());
        reader.array(|reader, _| {
            cells.push(reader.cell()?);
            Ok::<(), NotJson>(())
        })?;
        reader.end().map(|()| cells)
    }

    #[test]
    fn what_is_json_and_what_is_not_is_decided_as_by_serde() {
        for text in [
            "[]",
            " [ 1 , -2.5e-3 ,\tnull,true , false,\"a\\n\\u00e9\" ]\n",
            "[0]",
            "[-0]",
            "[1E+5,0.0]",
            "[[1,[2]],{\"a\":{\"b\":[]}}]",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[01]",
            "[-]",
            "[1.]",
            "[.5]",
            "[1e]",
            "[+1]",
            "[nul]",
            "[nullx]",
            "[1x]",
            "[\"a]",
            "[\"\\x\"]",
            "[\"\\ud800\"]",
            "[\"a\nb\"]",
            "[1]2",
            "[1 2]",
            "[{\"a\" 1}]",
            "[{1:2}]",
            "",
            "[\u{1}]",
        ] {
            let serde = serde_json::from_str::<Vec<serde_json::Value>>(text).is_ok();
            assert_eq!(cells(text).is_ok(), serde, "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(cells("\u{feff}[1]").unwrap(), [Cell::float(1.0)]);
    }

    #[test]
    fn strings_that_are_no_text_are_told_as_such() {
        for (text, told) in [(&b"[\"a\xe9\"]"[..], "not UTF-8"), (br#"["\ud800"]"#, "half a character")] {
            let stop = JsonReader::new(text).array(|reader, _| reader.cell().map(drop)).unwrap_err();
            assert!(stop.explain(text).reason.contains(told), "{told}");
        }
    }

    #[test]
    fn the_place_where_it_stops_being_json_is_told() {
        let text = b"[1,\n 2 3]";
        let mut reader = JsonReader::new(text);
        let stop = reader.array(|reader, _| reader.cell().map(drop)).unwrap_err();
        assert_eq!(stop.at, 7);
        let told = stop.explain(text);
        assert_eq!((told.reason.as_str(), told.line, told.column), ("expected `,` or `]`", 2, 4));
    }
}
