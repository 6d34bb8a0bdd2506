//! `GET /metrics`: the queue, its places and what became of jobs, as Prometheus reads it.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use caudal_orchestration::Figure;

use crate::Gateway;
use crate::parameters::NoQuery;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[utoipa::path(
    get,
    path = "/metrics",
    tag = "service",
    summary = "Figures of this process, for Prometheus",
    responses((status = 200, description = "Prometheus text.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(gateway): State<Arc<Gateway>>, _: NoQuery) -> Response {
    let headers = [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, "no-store")];
    (headers, rendered(&gateway.orchestrator.figures())).into_response()
}

fn rendered(figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures {
        let kind = if figure.is_counter { "counter" } else { "gauge" };
        // Writing to a string does not fail.
        let _ = writeln!(text, "# HELP {0} {1}\n# TYPE {0} {kind}", figure.name, figure.help);
        for (labels, value) in &figure.values {
            let _ = match labels.is_empty() {
                true => writeln!(text, "{} {value}", figure.name),
                false => writeln!(text, "{}{{{labels}}} {value}", figure.name),
            };
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_named_explained_and_told_with_its_labels() {
        let figure = Figure {
            name: "caudal_jobs",
            help: "Jobs.",
            is_counter: false,
            values: vec![("state=\"waiting\"", 2.0), ("", 0.5)],
        };
        let expected = "# HELP caudal_jobs Jobs.\n# TYPE caudal_jobs gauge\ncaudal_jobs{state=\"waiting\"} 2\n\
                        caudal_jobs 0.5\n";
        assert_eq!(rendered(&[figure]), expected);
    }
}
