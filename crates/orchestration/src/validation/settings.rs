//! The settings of a request: read one by one from JSON, and checked whatever way they came.

use std::collections::HashSet;
use std::str::FromStr;

use caudal_core::Faults;
use caudal_core::fault::pointer;
use caudal_core::request::{JobRequest, Source, SparkConfig};
use caudal_core::webhooks::Webhooks;
use serde_json::{Map, Value};

/// The settings of a request, by their names in the contract.
pub const NAMES: [&str; 16] = [
    "source",
    "where",
    "select",
    "sql",
    "normalization",
    "pipeline_type",
    "engine",
    "statistics",
    "device",
    "compare_devices",
    "spark_config",
    "output_format",
    "max_cost_usd",
    "webhook_url",
    "deadline_seconds",
    "data",
];
/// Thirty days: beyond it a job may be swept.
const LONGEST_DEADLINE: f64 = 2_592_000.0;

const SOURCE_SETTINGS: [&str; 3] = ["uri", "format", "columns"];
const SPARK_SETTINGS: [&str; 4] =
    ["executor_instances", "executor_memory", "executor_cores", "shuffle_partitions"];

/// Builds a request from its settings (all but `data`); what cannot be read is told and left at its
/// default. `null` is the same as leaving a setting out.
pub fn read(settings: Vec<(String, Value)>, faults: &mut Faults) -> JobRequest {
    let mut request = JobRequest::default();
    for (name, value) in settings.iter().filter(|(_, v)| !v.is_null()) {
        let at = pointer("", name);
        match name.as_str() {
            "source" => request.source = source(&at, value, faults),
            "where" => request.condition = text(&at, value, faults),
            "select" => request.select = texts(&at, "an array of expressions", value, faults),
            "sql" => request.sql = text(&at, value, faults),
            "normalization" => choice(&at, value, faults, &mut request.normalization),
            "pipeline_type" => choice(&at, value, faults, &mut request.pipeline_type),
            "engine" => choice(&at, value, faults, &mut request.engine),
            "statistics" => choice(&at, value, faults, &mut request.statistics),
            "device" => choice(&at, value, faults, &mut request.device),
            "compare_devices" => match value.as_bool() {
                Some(compare) => request.compare_devices = compare,
                None => wrong(&at, "true or false", value, faults),
            },
            "spark_config" => request.spark_config = spark_config(&at, value, faults),
            "output_format" => request.output_format = optional_choice(&at, value, faults),
            "max_cost_usd" => match value.as_f64() {
                Some(dollars) => request.max_cost_usd = Some(dollars),
                None => wrong(&at, "a number of US dollars", value, faults),
            },
            "webhook_url" => request.webhook_url = text(&at, value, faults),
            "deadline_seconds" => match value.as_f64() {
                Some(seconds) => request.deadline_seconds = Some(seconds),
                None => wrong(&at, "a number of seconds", value, faults),
            },
            _ => unknown(&at, name, &NAMES, faults),
        }
    }
    request
}

/// Checks what types cannot say; `inline` tells whether numbers came with the request, `webhooks` judges their addresses.
pub fn check(request: &JobRequest, inline: bool, webhooks: Option<&dyn Webhooks>, faults: &mut Faults) {
    match (inline, &request.source) {
        (false, None) => {
            faults.push(String::new, || "expected either \"data\" or \"source\", found neither".into())
        }
        (true, Some(_)) => {
            faults.push(|| "/source".into(), || "expected either \"data\" or \"source\", found both".into());
        }
        _ => {}
    }
    if let Some(source) = &request.source {
        check_source(source, faults);
    }
    check_derivation(request, faults);
    if let Some(config) = &request.spark_config {
        check_spark_config(config, faults);
    }
    if let Some(dollars) = request.max_cost_usd.filter(|d| !(d.is_finite() && *d >= 0.0)) {
        faults.push(|| "/max_cost_usd".into(), || format!("expected 0 or more US dollars, found {dollars}"));
    }
    if let Some(seconds) = request.deadline_seconds.filter(|s| !(*s > 0.0 && *s <= LONGEST_DEADLINE)) {
        let detail = || format!("expected a number of seconds up to {LONGEST_DEADLINE}, found {seconds}");
        faults.push(|| "/deadline_seconds".into(), detail);
    }
    if let Some(Err(reason)) = request.webhook_url.as_deref().map(|url| check_webhook(url, webhooks)) {
        faults.push(|| "/webhook_url".into(), || reason);
    }
}

fn check_webhook(url: &str, webhooks: Option<&dyn Webhooks>) -> Result<(), String> {
    let none = "nobody is called from here: webhooks.key is not set; follow the job at /jobs/{id} instead";
    webhooks.map_or(Err(none.into()), |webhooks| webhooks.check(url))
}

fn check_source(source: &Source, faults: &mut Faults) {
    if source.uri.trim().is_empty() {
        faults.push(
            || "/source/uri".into(),
            || "expected a URI such as file:numbers.csv, found nothing".into(),
        );
    }
    let Some(columns) = &source.columns else { return };
    if columns.is_empty() {
        let detail = || "expected at least one column name; leave it out to take every numeric column".into();
        faults.push(|| "/source/columns".into(), detail);
    }
    let mut seen = HashSet::new();
    for (i, name) in columns.iter().enumerate().filter(|(_, name)| !seen.insert(name.as_str())) {
        faults.push(|| format!("/source/columns/{i}"), || format!("the column \"{name}\" is named twice"));
    }
}

/// That the texts are SQL, and fit the source, is found when the source is read.
fn check_derivation(request: &JobRequest, faults: &mut Faults) {
    let select = request.select.iter().flatten().enumerate();
    let expressions = select.map(|(i, text)| (format!("/select/{i}"), text, "delay/distance as rate"));
    let condition = request.condition.iter().map(|text| ("/where".into(), text, "delay > 0"));
    let query = request.sql.iter().map(|text| ("/sql".into(), text, "select delay from source"));
    for (at, _, example) in condition.chain(expressions).chain(query).filter(|(_, t, _)| t.trim().is_empty())
    {
        faults.push(|| at, || format!("expected SQL such as \"{example}\", found nothing"));
    }
    if request.select.as_ref().is_some_and(Vec::is_empty) {
        let detail = || "expected at least one expression; leave it out to take every numeric column".into();
        faults.push(|| "/select".into(), detail);
    }
    if request.sql.is_some() && (request.condition.is_some() || request.select.is_some()) {
        let detail = || "expected either \"sql\" or \"where\" and \"select\", found both".into();
        faults.push(|| "/sql".into(), detail);
    }
}

fn check_spark_config(config: &SparkConfig, faults: &mut Faults) {
    let mut range = |name: &str, value: Option<u32>, low: u32, high: u32| {
        if let Some(value) = value.filter(|v| !(low..=high).contains(v)) {
            let detail = || format!("expected a whole number from {low} to {high}, found {value}");
            faults.push(|| format!("/spark_config/{name}"), detail);
        }
    };
    range("executor_instances", config.executor_instances, 1, 10);
    range("executor_cores", config.executor_cores, 1, 64);
    range("shuffle_partitions", config.shuffle_partitions, 1, 100_000);
    if let Some(memory) = config.executor_memory.as_ref().filter(|m| !is_memory_size(m)) {
        let detail = || format!("expected <number>[k|m|g] such as \"2g\", found \"{memory}\"");
        faults.push(|| "/spark_config/executor_memory".into(), detail);
    }
}

/// `<number>[k|m|g]`, and not zero.
fn is_memory_size(text: &str) -> bool {
    let digits = text.strip_suffix(['k', 'm', 'g', 'K', 'M', 'G']).unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u64>().is_ok_and(|n| n > 0)
}

fn source(at: &str, value: &Value, faults: &mut Faults) -> Option<Source> {
    let map = object(at, value, faults)?;
    let mut source = Source { uri: String::new(), format: None, columns: None };
    let mut uri_seen = false;
    for (name, value) in map.iter().filter(|(_, v)| !v.is_null()) {
        let at = pointer(at, name);
        match name.as_str() {
            "uri" => {
                uri_seen = true;
                source.uri = text(&at, value, faults).unwrap_or_else(|| "file:".into());
            }
            "format" => source.format = optional_choice(&at, value, faults),
            "columns" => source.columns = texts(&at, "an array of column names", value, faults),
            _ => unknown(&at, name, &SOURCE_SETTINGS, faults),
        }
    }
    if !uri_seen {
        faults
            .push(|| pointer(at, "uri"), || "expected a URI such as file:numbers.csv, found nothing".into());
        source.uri = "file:".into();
    }
    Some(source)
}

fn texts(at: &str, expected: &str, value: &Value, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(items) = value.as_array() else {
        wrong(at, expected, value, faults);
        return None;
    };
    let texts = items.iter().enumerate().filter_map(|(i, item)| text(&pointer(at, i), item, faults));
    Some(texts.collect())
}

fn spark_config(at: &str, value: &Value, faults: &mut Faults) -> Option<SparkConfig> {
    let map = object(at, value, faults)?;
    let mut config = SparkConfig::default();
    for (name, value) in map.iter().filter(|(_, v)| !v.is_null()) {
        let at = pointer(at, name);
        match name.as_str() {
            "executor_instances" => config.executor_instances = whole_number(&at, value, faults),
            "executor_cores" => config.executor_cores = whole_number(&at, value, faults),
            "shuffle_partitions" => config.shuffle_partitions = whole_number(&at, value, faults),
            "executor_memory" => config.executor_memory = text(&at, value, faults),
            _ => unknown(&at, name, &SPARK_SETTINGS, faults),
        }
    }
    Some(config)
}

fn object<'v>(at: &str, value: &'v Value, faults: &mut Faults) -> Option<&'v Map<String, Value>> {
    let map = value.as_object();
    if map.is_none() {
        wrong(at, "an object", value, faults);
    }
    map
}

fn text(at: &str, value: &Value, faults: &mut Faults) -> Option<String> {
    let text = value.as_str().map(str::to_owned);
    if text.is_none() {
        wrong(at, "a string", value, faults);
    }
    text
}

fn whole_number(at: &str, value: &Value, faults: &mut Faults) -> Option<u32> {
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
    if number.is_none() {
        wrong(at, "a whole number", value, faults);
    }
    number
}

fn choice<T: FromStr<Err = String>>(at: &str, value: &Value, faults: &mut Faults, target: &mut T) {
    if let Some(chosen) = optional_choice(at, value, faults) {
        *target = chosen;
    }
}

fn optional_choice<T: FromStr<Err = String>>(at: &str, value: &Value, faults: &mut Faults) -> Option<T> {
    match text(at, value, faults)?.parse() {
        Ok(chosen) => Some(chosen),
        Err(detail) => {
            faults.push(|| at.to_owned(), || detail);
            None
        }
    }
}

fn wrong(at: &str, expected: &str, value: &Value, faults: &mut Faults) {
    let found = match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string().chars().take(60).collect(),
    };
    faults.push(|| at.to_owned(), || format!("expected {expected}, found {found}"));
}

fn unknown(at: &str, name: &str, known: &[&str], faults: &mut Faults) {
    let nearest = known
        .iter()
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let detail = || match nearest {
        Some((_, k)) => format!("unknown field; did you mean \"{k}\"?"),
        None => format!("unknown field; the fields here are {}", known.join(", ")),
    };
    faults.push(|| at.to_owned(), detail);
}
