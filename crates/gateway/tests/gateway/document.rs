//! The OpenAPI document: whole, consistent, and true to the handlers.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::client::{get, post};

const OPERATIONS: [(&str, &str); 19] = [
    ("/process", "post"),
    ("/jobs", "get"),
    ("/jobs/{id}", "delete"),
    ("/jobs/{id}", "get"),
    ("/jobs/{id}/result", "get"),
    ("/jobs/{id}/data", "get"),
    ("/jobs/{id}/events", "get"),
    ("/uploads", "post"),
    ("/uploads/{id}", "get"),
    ("/uploads/{id}", "delete"),
    ("/uploads/{id}/parts/{number}", "put"),
    ("/uploads/{id}/complete", "post"),
    ("/health/live", "get"),
    ("/health/ready", "get"),
    ("/metrics", "get"),
    ("/system", "get"),
    ("/docs", "get"),
    ("/docs/errors/{code}", "get"),
    ("/openapi.json", "get"),
];

fn document() -> Value {
    serde_json::to_value(caudal_gateway::openapi()).expect("JSON")
}

/// Calls `visit` with every object of a JSON value.
fn objects(value: &Value, visit: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values().for_each(|value| objects(value, visit));
        }
        Value::Array(list) => list.iter().for_each(|value| objects(value, visit)),
        _ => {}
    }
}

#[tokio::test]
async fn what_is_served_is_the_document_of_the_library() {
    let answer = get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), document());
}

#[test]
fn it_is_openapi_3_1_and_has_every_operation_and_no_other() {
    let document = document();
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    let mut found = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        found.extend(
            methods.as_object().expect("methods").keys().map(|method| (path.as_str(), method.as_str())),
        );
    }
    assert_eq!(found, BTreeSet::from(OPERATIONS));
}

#[test]
fn every_operation_has_a_summary_a_tag_and_a_name_of_its_own() {
    let document = document();
    let mut names = BTreeSet::new();
    for (path, method) in OPERATIONS {
        let operation = &document["paths"][path][method];
        assert!(operation["summary"].is_string() && operation["tags"][0].is_string(), "{method} {path}");
        assert!(
            names.insert(operation["operationId"].as_str().expect("a name").to_owned()),
            "{method} {path}"
        );
    }
}

#[test]
fn every_reference_leads_to_a_schema() {
    let document = document();
    let mut references = BTreeSet::new();
    objects(&document, &mut |map| {
        references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned))
    });
    assert!(references.contains("#/components/schemas/FinalResponse"));
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn every_error_is_documented_as_a_problem() {
    let document = document();
    for (path, method) in OPERATIONS {
        let responses = document["paths"][path][method]["responses"].as_object().expect("responses");
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{method} {path} {status}");
        }
    }
}

#[test]
fn columns_are_documented_by_their_names() {
    let columns = &document()["components"]["schemas"]["GpuProcessing"]["properties"]["columns"];
    assert_eq!(columns["type"], "object");
    assert_eq!(columns["additionalProperties"]["$ref"], "#/components/schemas/NormalizedColumn");
}

#[tokio::test]
async fn the_documented_requests_are_in_order() {
    let document = document();
    let body = &document["paths"]["/process"]["post"]["requestBody"]["content"]["application/json"];
    let examples = body["examples"].as_object().expect("examples");
    assert!(examples.len() >= 3);
    for example in examples.values() {
        // Validation lets them through, and the storage of this test takes nothing.
        post(example["value"].to_string()).await.problem(503, "storage-unavailable");
    }
}

/// The document as it is committed, for whoever generates clients without building Caudal.
#[test]
fn the_committed_document_is_the_one_that_is_generated() {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests");
    let path = std::path::Path::new(&package).join("../../docs/openapi.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&document()).expect("JSON"));
    if std::env::var_os("CAUDAL_UPDATE").is_some() {
        std::fs::write(&path, &generated).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == generated, "docs/openapi.json is stale: run this test with CAUDAL_UPDATE=1");
}
