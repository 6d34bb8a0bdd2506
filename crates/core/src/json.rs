//! JSON text read value by value: numbers with all their digits, and the place where it stops being JSON.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::ops::Range;

use serde::de::IgnoredAny;

use crate::cell::Cell;

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Bytes that must follow a number before it is known to have ended: an exponent's letter, its sign, a digit.
const BEHIND_NUMBER: usize = 3;

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

/// A text, of which a part is in memory.
pub trait Text {
    /// The part that is in memory.
    fn window(&self) -> &[u8];

    /// Lets go of the window's first `passed` bytes and appends some that follow it. Where none do, nothing changes and
    /// it is false.
    fn read_on(&mut self, passed: usize) -> bool;
}

/// The whole of it.
impl Text for &[u8] {
    #[inline]
    fn window(&self) -> &[u8] {
        self
    }

    fn read_on(&mut self, _: usize) -> bool {
        false
    }
}

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
        self.expect(b'[')?;
        if self.is_closed(b']') {
            return Ok(());
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

    /// Reads a number of which there is nothing to say but its value; nothing is read where anything else comes next.
    #[inline]
    pub fn float(&mut self) -> Option<f64> {
        self.peek();
        let rest = self.text.window().get(self.at..)?;
        let number = Number::at_start_of(rest)?;
        let ends = rest.len() >= number.length + BEHIND_NUMBER;
        (ends && number.is_plain()).then(|| {
            self.at += number.length;
            number.value
        })
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

    fn read_key(&mut self) -> Result<(), NotJson> {
        self.peek();
        let string = self.string()?;
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.push_str(&self.decoded(string)?);
        self.key = key;
        self.expect(b':')
    }

    fn skip_key(&mut self) -> Result<(), NotJson> {
        self.peek();
        self.skip_string()?;
        self.expect(b':')
    }

    fn skip_string(&mut self) -> Result<(), NotJson> {
        let string = self.string()?;
        let quoted = self.text.window().get(string.inside.start - 1..=string.inside.end).unwrap_or_default();
        match string.plain || serde_json::from_slice::<IgnoredAny>(quoted).is_ok() {
            true => Ok(()),
            false => Err(NotJson { at: self.passed + string.inside.start }),
        }
    }

    /// Reads a string as far as its closing quote.
    fn string(&mut self) -> Result<StringToken, NotJson> {
        if self.rest().first() != Some(&b'"') {
            return Err(self.stop());
        }
        let (mut length, mut plain) = (1, true);
        loop {
            let behind = self.rest().get(length..).unwrap_or_default();
            let ordinary = behind.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
            length += ordinary.unwrap_or(behind.len());
            match self.rest().get(length).copied() {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    length += 2;
                }
                None if self.read_on() => {}
                _ => return Err(NotJson { at: self.position() + length }),
            }
        }
        let inside = self.at + 1..self.at + length;
        self.at += length + 1;
        Ok(StringToken { inside, plain })
    }

    /// What a string that was just read says.
    fn decoded(&self, string: StringToken) -> Result<Cow<'_, str>, NotJson> {
        let StringToken { inside: Range { start, end }, plain } = string;
        let (window, begin) = (self.text.window(), self.passed + start);
        match plain {
            true => std::str::from_utf8(window.get(start..end).unwrap_or_default())
                .map(Cow::Borrowed)
                .map_err(|e| NotJson { at: begin + e.valid_up_to() }),
            false => serde_json::from_slice(window.get(start - 1..=end).unwrap_or_default())
                .map(Cow::Owned)
                .map_err(|_| NotJson { at: begin }),
        }
    }

    fn number(&mut self) -> Result<Cell, NotJson> {
        loop {
            let rest = self.rest();
            let number = Number::at_start_of(rest);
            let begun = || rest.iter().take_while(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte));
            let length = number.as_ref().map_or_else(|| begun().count(), |number| number.length);
            // What ends with the window may go on behind it.
            if rest.len() < length + BEHIND_NUMBER && self.read_on() {
                continue;
            }
            let Number { value, length, whole } = number.ok_or(self.stop())?;
            let token = self.rest().get(..length).and_then(|token| std::str::from_utf8(token).ok());
            let cell = Cell::of_number(token.ok_or(self.stop())?, value, whole);
            self.at += length;
            return Ok(cell);
        }
    }
}

impl<'t> JsonReader<&'t [u8]> {
    /// What was read from a position on.
    pub fn read_since(&self, position: usize) -> &'t [u8] {
        self.text.get(position..self.at).unwrap_or_default()
    }
}

/// Where a string lies in the window, without its quotes.
struct StringToken {
    inside: Range<usize>,
    /// Whether it says what it means, with no escapes.
    plain: bool,
}

/// A number as JSON writes it.
struct Number {
    value: f64,
    length: usize,
    /// Whether it has neither point nor exponent.
    whole: bool,
}

impl Number {
    #[inline]
    fn at_start_of(text: &[u8]) -> Option<Number> {
        let sign = usize::from(text.first() == Some(&b'-'));
        // Of what begins like this, JSON's numbers and the parser's differ in nothing but the point.
        match text.get(sign..)? {
            [b'0', b'0'..=b'9', ..] => return None,
            [b'0'..=b'9', ..] => {}
            _ => return None,
        }
        let (value, length) = fast_float2::parse_partial::<f64, _>(text).ok()?;
        let behind = text.get(sign..length)?;
        let digits = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let whole = digits == behind.len();
        match behind.get(digits..)? {
            [b'.', b'0'..=b'9', ..] => {}
            [b'.', ..] => return None,
            _ => {}
        }
        Some(Number { value, length, whole })
    }

    /// Whether it is finite, and no integer that could lose digits.
    #[inline]
    fn is_plain(&self) -> bool {
        self.value.is_finite() && (!self.whole || self.length <= crate::cell::SAFE_DIGITS)
    }
}

impl NotJson {
    /// Says for people what is wrong with the text that was read; `open` begins it anew.
    pub fn explain<R: BufRead>(self, open: impl Fn() -> R) -> Explanation {
        if let Err(e) = serde_json::from_reader::<_, IgnoredAny>(behind_mark(open())) {
            let (line, column) = (e.line(), e.column());
            let told = e.to_string();
            let place = format!(" at line {line} column {column}");
            let reason = told.strip_suffix(&place).unwrap_or(&told).to_owned();
            // What is wrong with a line's end belongs to that line, and not to the one behind it.
            let (line, column) = match (line, column) {
                (2.., 0) if !e.is_eof() => {
                    (line - 1, behind_mark(open()).split(b'\n').nth(line - 2).map_or(0, length))
                }
                place => place,
            };
            return Explanation { reason, line, column };
        }
        let mut text = open();
        let (line, column) = self.place(&mut text);
        let next: Vec<u8> = text.bytes().map_while(Result::ok).take(4).collect();
        let reason = match std::str::from_utf8(&next) {
            Err(e) if e.valid_up_to() == 0 => "the text is not UTF-8, convert it first",
            _ => "an escape stands for half a character, or values are nested too deeply",
        };
        Explanation { reason: reason.into(), line, column }
    }

    /// The line of a text on which this is, from 1 on.
    pub fn line(self, mut text: impl BufRead) -> usize {
        self.place(&mut text).0
    }

    /// The line and column, up to which the text is read.
    fn place(self, text: &mut impl BufRead) -> (usize, usize) {
        let before = text.by_ref().bytes().map_while(Result::ok).take(self.at);
        before.fold((1, 1), |(line, column), byte| match byte {
            b'\n' => (line + 1, 1),
            _ => (line, column + 1),
        })
    }
}

fn length(line: std::io::Result<Vec<u8>>) -> usize {
    line.map_or(0, |line| line.len())
}

fn behind_mark<R: BufRead>(mut text: R) -> R {
    if text.fill_buf().is_ok_and(|start| start.starts_with(UTF8_MARK)) {
        text.consume(UTF8_MARK.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: &[&str] = &[
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
        "[1,\n 2 3]",
        "[1,\n\n2,,3]",
        "{\"a\":1\n\n]",
        "[1,\n",
    ];

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
        for text in TEXTS {
            let serde = serde_json::from_str::<Vec<serde_json::Value>>(text).is_ok();
            assert_eq!(cells(text).is_ok(), serde, "{text:?}");
        }
    }

    /// A text of which each reading on gives one byte more.
    struct Drops<'t> {
        text: &'t [u8],
        begin: usize,
        end: usize,
    }

    impl Text for Drops<'_> {
        fn window(&self) -> &[u8] {
            &self.text[self.begin..self.end]
        }

        fn read_on(&mut self, passed: usize) -> bool {
            let more = self.end < self.text.len();
            if more {
                self.begin += passed;
                self.end += 1;
            }
            more
        }
    }

    /// Every value of a text and every key, and where it stops.
    fn told<T: Text>(mut reader: JsonReader<T>) -> (Vec<String>, Option<usize>) {
        let mut seen = Vec::new();
        let read = reader.array(|reader, _| {
            if reader.peek() == Some(b'{') {
                return reader.object(|reader| {
                    seen.push(reader.key().to_owned());
                    seen.push(format!("{:?}", reader.cell()?));
                    Ok(())
                });
            }
            match reader.float() {
                Some(value) => seen.push(format!("{:?}", Cell::float(value))),
                None => seen.push(format!("{:?}", reader.cell()?)),
            }
            Ok::<(), NotJson>(())
        });
        (seen, read.and_then(|()| reader.end()).err().map(|stop| stop.at))
    }

    #[test]
    fn a_text_in_pieces_is_read_as_the_whole_text() {
        for text in TEXTS.iter().chain(&[
            "[1.5e-3,-0.25,123456789012345678,1e5 ,-12.5E+2,0.1]",
            "\u{feff} [{\"a\": 1.25, \"b\\n\" : null},{ \"\u{e9}\":[[1],{\"x\":\"]\\\"\"}], \"d\":tru}]",
            "[-1.",
            "[12345.e",
            "[1e+",
            "[\"\\u12\"]",
        ]) {
            let drops = Drops { text: text.as_bytes(), begin: 0, end: 0 };
            assert_eq!(told(JsonReader::new(drops)), told(JsonReader::new(text.as_bytes())), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_and_at_the_place_of_serde() {
        for text in TEXTS.iter().map(|text| text.as_bytes()) {
            let Err(e) = serde_json::from_slice::<IgnoredAny>(text) else { continue };
            let told = NotJson { at: 0 }.explain(|| text);
            assert_eq!(
                (told.line, told.column),
                (e.line(), e.column()),
                "{:?}",
                String::from_utf8_lossy(text)
            );
            assert!(e.to_string().starts_with(&told.reason));
        }
    }

    #[test]
    fn values_that_are_passed_over_may_be_nested_ever_so_deeply() {
        let deep = format!("{}1{}", "[{\"a\":".repeat(100_000), "}]".repeat(100_000));
        let mut reader = JsonReader::new(deep.as_bytes());
        assert_eq!(reader.cell(), Ok(Cell::Nested("array")));
        assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        assert_eq!(cells("\u{feff}[1]").unwrap(), [Cell::float(1.0)]);
    }

    #[test]
    fn strings_that_are_no_text_are_told_as_such() {
        for (text, told) in [(&b"[\"a\xe9\"]"[..], "not UTF-8"), (br#"["\ud800"]"#, "half a character")] {
            let stop = JsonReader::new(text).array(|reader, _| reader.cell().map(drop)).unwrap_err();
            assert!(stop.explain(|| text).reason.contains(told), "{told}");
        }
    }

    #[test]
    fn the_place_where_it_stops_being_json_is_told() {
        let text = b"[1,\n 2 3]";
        let mut reader = JsonReader::new(&text[..]);
        let stop = reader.array(|reader, _| reader.cell().map(drop)).unwrap_err();
        assert_eq!(stop.at, 7);
        let told = stop.explain(|| &text[..]);
        assert_eq!((told.reason.as_str(), told.line, told.column), ("expected `,` or `]`", 2, 4));
    }
}
