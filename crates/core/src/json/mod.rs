//! JSON text read value by value: numbers with all their digits, and the place where it stops being JSON.

mod not_json;
mod numbers;
mod strings;
#[cfg(test)]
mod tests;
mod text;

pub use self::not_json::{Explanation, NotJson};
pub use self::text::Text;
use crate::cell::Cell;

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a text from its beginning to its end. A byte order mark before it is passed over.
pub struct JsonReader<T> {
    text: T,
    /// The next byte, counted in the window.
    at: usize,
    /// Bytes before the window.
    passed: usize,
    key: String,
    /// Arrays and objects that may be open at once in what is passed over.
    depth: usize,
}

impl<T: Text> JsonReader<T> {
    pub fn new(text: T) -> Self {
        let mut reader = JsonReader { text, at: 0, passed: 0, key: String::new(), depth: usize::MAX };
        while reader.rest().len() < UTF8_MARK.len() && reader.read_on() {}
        if reader.rest().starts_with(UTF8_MARK) {
            reader.at = UTF8_MARK.len();
        }
        reader
    }

    /// Takes what is nested more deeply than so many arrays and objects for no JSON.
    pub fn within(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    pub fn text(&self) -> &T {
        &self.text
    }

    /// Bytes that have been read.
    pub fn position(&self) -> usize {
        self.passed + self.at
    }

    /// The key of the entry that was begun last.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The first byte of what comes next; `None` at the end.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.window().get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return Some(byte),
                None if self.read_on() => {}
                None => return None,
            }
        }
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
        self.runs(|reader, index| element(reader, index).map(|()| 1))
    }

    /// Reads an array; `run` reads one element or several from the index on that it is given, and says how many. The
    /// commas between them are its own.
    ///
    /// # Errors
    /// Where the text is no array, and what `run` says.
    pub fn runs<E: From<NotJson>>(
        &mut self,
        mut run: impl FnMut(&mut Self, usize) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.expect(b'[')?;
        if self.is_closed(b']') {
            return Ok(());
        }
        let mut index = 0;
        loop {
            index += run(self, index)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// Reads an object; `entry` reads the value of [`key`](Self::key).
    ///
    /// # Errors
    /// Where the text is no object, and what `entry` says.
    pub fn object<E: From<NotJson>>(
        &mut self,
        mut entry: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        if self.is_closed(b'}') {
            return Ok(());
        }
        loop {
            self.read_key()?;
            entry(self)?;
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
            Some(b'"') => {
                let string = self.string()?;
                Ok(Cell::Text(self.decoded(string)?.into_owned()))
            }
            Some(b'n') => self.word("null", Cell::Missing),
            Some(b't') => self.word("true", Cell::Boolean(true)),
            Some(b'f') => self.word("false", Cell::Boolean(false)),
            Some(b'[') => self.skip().map(|()| Cell::Nested("array")),
            Some(b'{') => self.skip().map(|()| Cell::Nested("object")),
            _ => Err(self.stop()),
        }
    }

    /// Passes over any value, however deeply it is nested unless a depth was [set](Self::within).
    ///
    /// # Errors
    /// Where there is no value, or it is nested too deeply.
    pub fn skip(&mut self) -> Result<(), NotJson> {
        // What closes the arrays and objects that are open.
        let mut open = Vec::new();
        loop {
            let first = self.peek();
            if open.len() > self.depth {
                return Err(self.stop());
            }
            match first {
                Some(b'[') => {
                    self.at += 1;
                    if !self.is_closed(b']') {
                        open.push(b']');
                        continue;
                    }
                }
                Some(b'{') => {
                    self.at += 1;
                    if !self.is_closed(b'}') {
                        open.push(b'}');
                        self.skip_key()?;
                        continue;
                    }
                }
                Some(b'"') => self.skip_string()?,
                _ => drop(self.cell()?),
            }
            loop {
                let Some(close) = open.last().copied() else { return Ok(()) };
                if self.goes_on(close)? {
                    if close == b'}' {
                        self.skip_key()?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }

    #[inline]
    fn rest(&self) -> &[u8] {
        self.text.window().get(self.at..).unwrap_or_default()
    }

    #[cold]
    fn read_on(&mut self) -> bool {
        let more = self.text.read_on(self.at);
        if more {
            self.passed += self.at;
            self.at = 0;
        }
        more
    }

    fn stop(&self) -> NotJson {
        NotJson { at: self.position() }
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        match self.is_closed(byte) {
            true => Ok(()),
            false => Err(self.stop()),
        }
    }

    /// Takes the byte where it comes next.
    fn is_closed(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
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
        while self.rest().len() < word.len() && self.read_on() {}
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.stop());
        }
        self.at += word.len();
        Ok(cell)
    }
}

impl<'t> JsonReader<&'t [u8]> {
    /// What was read from a position on.
    pub fn read_since(&self, position: usize) -> &'t [u8] {
        self.text.get(position..self.at).unwrap_or_default()
    }
}
