//! Numbers, one by one and many at once.

use super::{JsonReader, NotJson, Text};
use crate::cell::{Cell, SAFE_DIGITS};
use crate::decimal;

/// Bytes that must follow a number before it is known to have ended: an exponent's letter, its sign, a digit.
const BEHIND_NUMBER: usize = 3;

impl<T: Text> JsonReader<T> {
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

    /// Within an array, where an element comes next: reads elements as long as they are null, which is NaN, or numbers of
    /// which there is nothing to say but their value, and a comma follows each, `most` at most. An element still comes
    /// next. Returns how many there were.
    #[inline]
    pub fn floats(&mut self, most: usize, mut take: impl FnMut(f64)) -> usize {
        let window = self.text.window();
        let (mut at, mut count) = (self.at, 0);
        while count < most {
            let Some(rest) = window.get(at..) else { break };
            let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
            let Some((value, length)) = rest.get(blank..).and_then(element) else { break };
            let end = blank + length;
            if rest.get(end) != Some(&b',') {
                break;
            }
            take(value);
            at += end + 1;
            count += 1;
        }
        self.at = at;
        count
    }

    pub(super) fn number(&mut self) -> Result<Cell, NotJson> {
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

/// A plain number or null that a text begins with, and its length.
#[inline]
fn element(text: &[u8]) -> Option<(f64, usize)> {
    match Number::at_start_of(text) {
        Some(number) => number.is_plain().then_some((number.value, number.length)),
        None => text.starts_with(NULL).then_some((f64::NAN, NULL.len())),
    }
}

const NULL: &[u8] = b"null";

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
        match decimal::plain(text) {
            Some(decimal::Decimal { value, length, whole }) => Some(Number { value, length, whole }),
            None => Number::any(text),
        }
    }

    #[cold]
    fn any(text: &[u8]) -> Option<Number> {
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
        self.value.is_finite() && (!self.whole || self.length <= SAFE_DIGITS)
    }
}
