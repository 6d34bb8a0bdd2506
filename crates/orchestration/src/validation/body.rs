//! Reads the contract's JSON request: the numbers as a stream, the settings one by one, every fault told.

use std::fmt;

use caudal_core::fault::pointer;
use caudal_core::request::{InlineTable, JobRequest, MAX_INLINE_ELEMENTS};
use caudal_core::{Error, ErrorKind, Faults, Result};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::data::{DataSeed, Elements};
use super::settings;

const TEMPLATE: &str = "send an object such as {\"data\": [1, 2, 3]}";

/// Reads a request body.
///
/// # Errors
/// `MalformedRequest` where it is not JSON, with line and column; `TooLarge` for more than
/// [`MAX_INLINE_ELEMENTS`] numbers; `InvalidRequest` with every fault where it cannot be a job.
pub fn parse(body: &[u8]) -> Result<(JobRequest, Option<InlineTable>)> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::new(ErrorKind::MalformedRequest, "the body is empty").hint(TEMPLATE));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = reader.deserialize_any(BodyVisitor).and_then(|body| reader.end().map(|()| body));
    let body = read.map_err(|e| {
        let detail = format!("the body is not JSON: {e}");
        Error::new(ErrorKind::MalformedRequest, detail)
    })?;
    body.finish()
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
    fn finish(mut self) -> Result<(JobRequest, Option<InlineTable>)> {
        if self.elements > MAX_INLINE_ELEMENTS {
            let detail = format!(
                "/data holds {} elements; at most {MAX_INLINE_ELEMENTS} may come inside a request",
                self.elements
            );
            let hint = "put the numbers into a file and name it as source.uri, or send it to /uploads";
            return Err(Error::new(ErrorKind::TooLarge, detail).hint(hint));
        }
        let request = settings::read(self.settings, &mut self.faults);
        settings::check(&request, self.inline.is_some(), &mut self.faults);
        match self.faults.is_empty() {
            true => Ok((request, self.inline)),
            false => Err(Error::from_faults(ErrorKind::InvalidRequest, self.faults)),
        }
    }

    fn wrong_top(found: &str) -> Body {
        let mut body = Body::default();
        body.faults.push(String::new, || format!("expected an object, found {found}; {TEMPLATE}"));
        // Told once: without this, the missing data would be told too.
        body.inline = Some(InlineTable::default());
        body
    }
}

struct BodyVisitor;

impl<'de> Visitor<'de> for BodyVisitor {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body, A::Error> {
        let mut body = Body::default();
        let mut data_seen = false;
        while let Some(key) = map.next_key::<String>()? {
            let repeated = match key.as_str() {
                "data" => std::mem::replace(&mut data_seen, true),
                _ => body.settings.iter().any(|(name, _)| *name == key),
            };
            if repeated {
                map.next_value::<IgnoredAny>()?;
                body.faults.push(|| pointer("", &key), || "stands twice in the request".into());
            } else if key == "data" {
                let mut elements = Elements::default();
                body.inline =
                    map.next_value_seed(DataSeed { elements: &mut elements, faults: &mut body.faults })?;
                body.elements = elements.seen;
                // Something was given as data; that it was not usable has been told.
                body.inline.get_or_insert_default();
            } else {
                body.settings.push((key, map.next_value()?));
            }
        }
        Ok(body)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Body, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Body::wrong_top("an array"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Body, E> {
        Ok(Body::wrong_top("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Body, E> {
        Ok(Body::wrong_top("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Body, E> {
        Ok(Body::wrong_top("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Body, E> {
        Ok(Body::wrong_top("a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Body, E> {
        Ok(Body::wrong_top("a string"))
    }

    fn visit_unit<E>(self) -> Result<Body, E> {
        Ok(Body::wrong_top("null"))
    }
}
