//! What is JSON and what is not, and where it stops being it.

use serde::de::IgnoredAny;

use super::*;
use crate::cell::Cell;

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

fn as_cell(value: f64) -> Cell {
    if value.is_nan() { Cell::Missing } else { Cell::float(value) }
}

/// Every value of a text and every key, and where it stops.
fn told<T: Text>(mut reader: JsonReader<T>) -> (Vec<String>, Option<usize>) {
    let mut seen = Vec::new();
    let read = reader.runs(|reader, _| {
        let quick = reader.floats(2, |value| seen.push(format!("{:?}", as_cell(value))));
        if reader.peek() == Some(b'{') {
            return reader
                .object(|reader| {
                    seen.push(reader.key().to_owned());
                    seen.push(format!("{:?}", reader.cell()?));
                    Ok(())
                })
                .map(|()| quick + 1);
        }
        match reader.float() {
            Some(value) => seen.push(format!("{:?}", Cell::float(value))),
            None => seen.push(format!("{:?}", reader.cell()?)),
        }
        Ok::<usize, NotJson>(quick + 1)
    });
    (seen, read.and_then(|()| reader.end()).err().map(|stop| stop.at))
}

#[test]
fn a_text_in_pieces_is_read_as_the_whole_text() {
    for text in TEXTS.iter().chain(&[
        "[1.5e-3,-0.25,123456789012345678,1e5 ,-12.5E+2,0.1]",
        "\u{feff} [{\"a\": 1.25, \"b\\n\" : null},{ \"\u{e9}\":[[1],{\"x\":\"]\\\"\"}], \"d\":tru}]",
        "[1.5, -2,3,4 ,5,6.25,7e0,8,9,null,10,11,12.000000000000000001,-0,0.5]",
        "[1,2,3,]",
        "[1,2,3,4}",
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
        assert_eq!((told.line, told.column), (e.line(), e.column()), "{:?}", String::from_utf8_lossy(text));
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
