//! The settings of a job as query parameters, where the body of `POST /process` is the data itself.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use axum::extract::Query;
use axum::http::Uri;
use caudal_core::request::{JobRequest, Source, SourceFormat};
use caudal_core::{Error, ErrorKind, Faults};
use caudal_orchestration::validation::settings;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// The settings that no parameter has: the data is the body, and what there is to say of its source is said by `columns`.
const OF_THE_BODY: [&str; 2] = ["source", "data"];
const COLUMNS: &str = "columns";
/// Those that may stand several times.
const LISTS: [&str; 2] = [COLUMNS, "select"];
/// Those that are written as in JSON; all others are text.
const JSON: [&str; 4] = ["spark_config", "max_cost_usd", "compare_devices", "deadline_seconds"];

/// The names of all parameters.
fn parameters() -> impl Iterator<Item = &'static str> {
    [COLUMNS].into_iter().chain(settings::NAMES).filter(|name| !OF_THE_BODY.contains(name))
}

/// Reads the settings; `check` says what is wrong with them together. The request's source has no place yet.
///
/// # Errors
/// `MalformedRequest` for parameters that there are not, `InvalidRequest` with every fault of those that there are, each
/// as `?name`.
pub fn read(
    uri: &Uri,
    format: SourceFormat,
    check: impl FnOnce(&JobRequest) -> Faults,
) -> Result<JobRequest, Problem> {
    let mut settings = given(uri)?;
    let mut source = Map::from_iter([("uri".to_owned(), Value::from("upload:"))]);
    source.insert("format".into(), format.name().into());
    if let Some(columns) = settings.remove(COLUMNS) {
        source.insert(COLUMNS.into(), columns);
    }
    settings.insert("source".into(), source.into());
    let mut faults = Faults::default();
    let request = settings::read(settings.into_iter().collect(), &mut faults);
    faults.extend(check(&request));
    match faults.is_empty() {
        true => Ok(request),
        false => Err(Error::from_faults(ErrorKind::InvalidRequest, in_the_query(faults)).into()),
    }
}

/// Puts the source's place into a request that [`read`] made.
pub fn with_source(mut request: JobRequest, uri: String) -> JobRequest {
    if let Some(source) = &mut request.source {
        *source = Source { uri, ..source.clone() };
    }
    request
}

/// Every parameter that is given, sorted by its name; lists in their own order.
pub fn given(uri: &Uri) -> Result<BTreeMap<String, Value>, Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|e| {
        Error::new(ErrorKind::MalformedRequest, format!("the query cannot be read: {}", e.body_text()))
    })?;
    let mut settings: BTreeMap<String, Value> = BTreeMap::new();
    let mut faults = Faults::default();
    for (name, text) in pairs {
        let place = || format!("?{name}");
        if !parameters().any(|known| known == name) {
            let expected = || parameters().collect::<Vec<_>>().join(", ");
            faults.push(place, || format!("unknown parameter; expected {}", expected()));
        } else if LISTS.contains(&name.as_str()) {
            let list = settings.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().into_iter().for_each(|list| list.push(text.clone().into()));
        } else {
            let value = value(&name, text);
            match settings.entry(name) {
                Entry::Vacant(vacant) => drop(vacant.insert(value)),
                Entry::Occupied(given) => {
                    faults.push(|| format!("?{}", given.key()), || "is given twice".into());
                }
            }
        }
    }
    match faults.is_empty() {
        true => Ok(settings),
        false => Err(Error::from_faults(ErrorKind::MalformedRequest, faults).into()),
    }
}

fn value(name: &str, text: String) -> Value {
    match JSON.contains(&name) {
        true => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        false => Value::String(text),
    }
}

fn in_the_query(mut faults: Faults) -> Faults {
    for fault in &mut faults.first {
        let place = fault.pointer.trim_start_matches('/').trim_start_matches("source/");
        fault.pointer = format!("?{place}");
    }
    faults
}

#[cfg(test)]
mod tests {
    use caudal_core::request::{Normalization, OutputFormat, PipelineType};

    use super::*;

    fn read_query(query: &str) -> Result<JobRequest, Problem> {
        let check = |request: &JobRequest| {
            let mut faults = Faults::default();
            settings::check(request, false, None, &mut faults);
            faults
        };
        read(&format!("/process?{query}").parse().expect("a URI"), SourceFormat::Csv, check)
    }

    fn places(query: &str) -> (ErrorKind, Vec<String>) {
        let problem = read_query(query).expect_err("faults");
        let kind = problem.kind();
        let told = serde_json::to_value(crate::problem::ProblemDetails::new(problem, "")).expect("JSON");
        let errors = told["errors"].as_array().expect("errors").iter();
        (kind, errors.map(|e| e["pointer"].as_str().expect("a place").to_owned()).collect())
    }

    #[test]
    fn every_setting_of_a_request_can_stand_in_the_query() {
        let query = "columns=delay&columns=air%20time&where=delay%20%3E%200&select=delay&select=delay/2+as+half\
                     &normalization=robust&pipeline_type=both&engine=embedded&statistics=core&device=cpu\
                     &spark_config={%22executor_instances%22:2}&output_format=parquet&max_cost_usd=1.5\
                     &compare_devices=true&deadline_seconds=60";
        let request = with_source(read_query(query).expect("a request"), "upload:1".into());
        let source = request.source.as_ref().expect("a source");
        assert_eq!((source.uri.as_str(), source.format), ("upload:1", Some(SourceFormat::Csv)));
        assert_eq!(source.columns.as_deref(), Some(&["delay".to_owned(), "air time".to_owned()][..]));
        assert_eq!(request.condition.as_deref(), Some("delay > 0"));
        assert_eq!(request.select.as_ref().map(Vec::len), Some(2));
        assert_eq!(
            (request.normalization, request.pipeline_type, request.output_format),
            (Normalization::Robust, PipelineType::Both, Some(OutputFormat::Parquet))
        );
        assert_eq!(request.spark_config.and_then(|c| c.executor_instances), Some(2));
        assert_eq!(request.max_cost_usd, Some(1.5));
        assert_eq!((request.compare_devices, request.deadline_seconds), (true, Some(60.0)));
        assert!(read_query("").expect("a request").source.is_some());
    }

    #[test]
    fn faults_are_told_by_the_name_of_their_parameter() {
        let query = "normalization=upside-down&columns=a&columns=a&max_cost_usd=much&where=&deadline_seconds=0\
                     &compare_devices=1";
        let (kind, places) = places(query);
        assert_eq!(kind, ErrorKind::InvalidRequest);
        for place in [
            "?normalization",
            "?columns/1",
            "?max_cost_usd",
            "?where",
            "?deadline_seconds",
            "?compare_devices",
        ] {
            assert!(places.contains(&place.to_owned()), "{place} in {places:?}");
        }
    }

    #[test]
    fn what_is_unknown_or_stands_twice_is_refused_by_its_name() {
        let (kind, places) = places("colour=red&engine=auto&engine=spark&data=1");
        assert_eq!(kind, ErrorKind::MalformedRequest);
        assert_eq!(places, ["?colour", "?engine", "?data"]);
    }
}
