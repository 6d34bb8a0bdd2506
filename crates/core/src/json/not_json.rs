//! Where a text stops being JSON, and why, told for people.

use std::io::{BufRead, Read};

use serde::de::IgnoredAny;

use super::UTF8_MARK;

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
