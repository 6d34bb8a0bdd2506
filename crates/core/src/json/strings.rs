//! Strings and keys.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;

use super::{JsonReader, NotJson, Text};

/// Where a string lies in the window, without its quotes.
pub(super) struct StringToken {
    inside: Range<usize>,
    /// Whether it says what it means, with no escapes.
    plain: bool,
}

impl<T: Text> JsonReader<T> {
    pub(super) fn read_key(&mut self) -> Result<(), NotJson> {
        self.peek();
        let string = self.string()?;
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        key.push_str(&self.decoded(string)?);
        self.key = key;
        self.expect(b':')
    }

    pub(super) fn skip_key(&mut self) -> Result<(), NotJson> {
        self.peek();
        self.skip_string()?;
        self.expect(b':')
    }

    pub(super) fn skip_string(&mut self) -> Result<(), NotJson> {
        let string = self.string()?;
        let quoted = self.text.window().get(string.inside.start - 1..=string.inside.end).unwrap_or_default();
        match string.plain || serde_json::from_slice::<IgnoredAny>(quoted).is_ok() {
            true => Ok(()),
            false => Err(NotJson { at: self.passed + string.inside.start }),
        }
    }

    /// Reads a string as far as its closing quote.
    pub(super) fn string(&mut self) -> Result<StringToken, NotJson> {
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
    pub(super) fn decoded(&self, string: StringToken) -> Result<Cow<'_, str>, NotJson> {
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
}
