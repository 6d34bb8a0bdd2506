//! Reads the contract's JSON request: the numbers as a stream, the settings one by one, every fault told.

use caudal_core::cell::Cell;
use caudal_core::fault::pointer;
use caudal_core::json::{JsonReader, NotJson};
use caudal_core::request::{InlineTable, JobRequest, MAX_INLINE_ELEMENTS};
use caudal_core::webhooks::Webhooks;
use caudal_core::{Error, ErrorKind, Faults, Result};
use serde_json::{Map, Value};

use super::data::Data;
use super::settings;

const TEMPLATE: &str = "send an object such as {\"data\": [1, 2, 3]}";

/// Arrays and objects that may be open at once: what serde_json allows, which says so in its words.
const DEEPEST: usize = 126;

/// Reads a request body; `webhooks` judges the address that is to be called.
///
/// # Errors
/// `MalformedRequest` where it is not JSON, with line and column; `TooLarge` for more than
/// [`MAX_INLINE_ELEMENTS`] numbers; `InvalidRequest` with every fault where it cannot be a job.
pub fn parse(body: &[u8], webhooks: Option<&dyn Webhooks>) -> Result<(JobRequest, Option<InlineTable>)> {
    let mut reader = JsonReader::new(body).within(DEEPEST);
    if reader.peek().is_none() {
        return Err(Error::new(ErrorKind::MalformedRequest, "the body is empty").hint(TEMPLATE));
    }
    let read = Body::read(&mut reader).and_then(|read| reader.end().map(|()| read));
    read.map_err(|stop| malformed(stop, body))?.finish(webhooks)
}

fn malformed(stop: NotJson, body: &[u8]) -> Error {
    let told = stop.explain(|| body);
    let place = format!("at line {} column {}", told.line, told.column);
    Error::new(ErrorKind::MalformedRequest, format!("the body is not JSON: {} {place}", told.reason))
}

/// What one reading of the body has found.
#[derive(Default)]
struct Body {
    inline: Option<InlineTable>,
    elements: u64,
    settings: Vec<(String, Value)>,
    faults: Faults,
}

impl Body {
    fn read(reader: &mut JsonReader<&[u8]>) -> Result<Body, NotJson> {
        let mut body = Body::default();
        if reader.peek() != Some(b'{') {
            let cell = reader.cell()?;
            body.faults
                .push(String::new, || format!("expected an object, found {}; {TEMPLATE}", kind(&cell)));
            // Told once: without this, the missing data would be told too.
            body.inline = Some(InlineTable::default());
            return Ok(body);
        }
        let mut data_seen = false;
        reader.object(|reader| {
            let key = reader.key().to_owned();
            let repeated = match key.as_str() {
                "data" => std::mem::replace(&mut data_seen, true),
                _ => body.settings.iter().any(|(name, _)| *name == key),
            };
            if repeated {
                body.faults.push(|| pointer("", &key), || "stands twice in the request".into());
                return reader.skip();
            }
            match key.as_str() {
                "data" => body.read_data(reader),
                _ => {
                    let value = setting(reader, &pointer("", &key), 0, &mut body.faults)?;
                    body.settings.push((key, value));
                    Ok(())
                }
            }
        })?;
        Ok(body)
    }

    fn read_data(&mut self, reader: &mut JsonReader<&[u8]>) -> Result<(), NotJson> {
        let mut data = Data { elements: 0, faults: std::mem::take(&mut self.faults) };
        // Something was given as data; that it was not usable has been told.
        self.inline = Some(data.read(reader)?.unwrap_or_default());
        self.elements = data.elements;
        self.faults = data.faults;
        Ok(())
    }

    fn finish(mut self, webhooks: Option<&dyn Webhooks>) -> Result<(JobRequest, Option<InlineTable>)> {
        if self.elements > MAX_INLINE_ELEMENTS {
            let detail = format!(
                "/data holds {} elements; at most {MAX_INLINE_ELEMENTS} may come inside a request",
                self.elements
            );
            let hint =
                "send them as text/csv or to /uploads, or put them into a file and name that as source.uri";
            return Err(Error::new(ErrorKind::TooLarge, detail).hint(hint));
        }
        let request = settings::read(self.settings, &mut self.faults);
        settings::check(&request, self.inline.is_some(), webhooks, &mut self.faults);
        match self.faults.is_empty() {
            true => Ok((request, self.inline)),
            false => Err(Error::from_faults(ErrorKind::InvalidRequest, self.faults)),
        }
    }
}

/// Objects within objects that the settings have.
const DEPTH: usize = 2;

/// Reads a setting. A number that no f64 can hold is told, and left out.
fn setting(
    reader: &mut JsonReader<&[u8]>,
    at: &str,
    depth: usize,
    faults: &mut Faults,
) -> Result<Value, NotJson> {
    if reader.peek() == Some(b'{') && depth < DEPTH {
        let mut entries = Map::new();
        reader.object(|reader| {
            let key = reader.key().to_owned();
            let value = setting(reader, &pointer(at, &key), depth + 1, faults)?;
            entries.insert(key, value);
            Ok::<(), NotJson>(())
        })?;
        return Ok(Value::Object(entries));
    }
    let begin = reader.position();
    reader.skip()?;
    let text = reader.read_since(begin);
    match serde_json::from_slice(text) {
        Ok(value) => Ok(value),
        Err(e) if e.to_string().starts_with("number out of range") => {
            let cell = JsonReader::new(text).cell()?;
            let nested = || format!("expected numbers within ±{:e}", f64::MAX);
            let detail = || if matches!(cell, Cell::Beyond(_)) { cell.unlike("a number") } else { nested() };
            faults.push(|| at.to_owned(), detail);
            Ok(Value::Null)
        }
        Err(_) => Err(NotJson { at: begin }),
    }
}

fn kind(cell: &Cell) -> String {
    match cell {
        Cell::Number { .. } | Cell::Beyond(_) => "a number".into(),
        Cell::Text(_) => "a string".into(),
        Cell::Boolean(_) => "a boolean".into(),
        Cell::Missing | Cell::Nested(_) => cell.describe(),
    }
}
