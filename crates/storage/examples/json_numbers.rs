//! Parses and prints a JSON array of numbers, and prints what each took, one JSON line a round.
//!
//! `json_numbers FILE ROUNDS OUT`: parsing as a request's `data` is parsed, by one thread, and printing as normalised
//! data is printed, by all; the last printed text goes to OUT. The peers' table of `bench/` runs it.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark prints and reads the clock")]

use std::time::{Duration, Instant};

use caudal_core::cell::Cell;
use caudal_core::json::{JsonReader, NotJson};
use caudal_storage::json_array;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [file, rounds, out] = words.as_slice() else {
        return Err("usage: json_numbers FILE ROUNDS OUT".into());
    };
    caudal_kernels::return_large_blocks();
    let text = std::fs::read(file)?;
    let mut printed = Vec::new();
    for _ in 0..rounds.parse()? {
        let (values, parse) = timed(|| parse(&text));
        let values = values.map_err(|stop| format!("no JSON from byte {} on", stop.at))?;
        let print;
        (printed, print) = timed(|| json_array(&values));
        println!("{{\"parse\":{},\"print\":{}}}", parse.as_secs_f64(), print.as_secs_f64());
    }
    std::fs::write(out, printed)?;
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let result = work();
    (result, begun.elapsed())
}

fn parse(text: &[u8]) -> Result<Vec<f64>, NotJson> {
    let mut values = Vec::new();
    let mut reader = JsonReader::new(text);
    reader.runs(|reader, _| {
        let run = reader.floats(usize::MAX, |value| values.push(value));
        values.push(match reader.cell()? {
            Cell::Number { value, .. } => value,
            _ => f64::NAN,
        });
        Ok::<usize, NotJson>(run + 1)
    })?;
    reader.end().map(|()| values)
}
