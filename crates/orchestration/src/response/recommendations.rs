//! What to do next, drawn from the figures of this run; each sentence names the figure behind it.

use caudal_core::job::{Plan, SourceDescription};
use caudal_core::request::{JobRequest, Normalization, SourceFormat};
use caudal_core::results::{ColumnStatistics, FinalResponse, Recommendations};

/// Columns named in one sentence.
const NAMED: usize = 5;

pub fn recommend(response: &FinalResponse, source: &SourceDescription) -> Recommendations {
    Recommendations {
        performance: performance(response, source),
        cost_optimization: cost(response, source),
        data_quality: quality(response),
    }
}

/// What the user should know and did not ask.
pub fn notes(request: &JobRequest, source: &SourceDescription, plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if request.output_format.is_none() && plan.output_format != Default::default() {
        notes.push(format!(
            "the normalised data is stored as {}, since {} cells are more than one JSON document should hold",
            plan.output_format,
            source.cells()
        ));
    }
    if request.spark_config.is_some() && !plan.on_spark {
        notes.push("spark_config was not needed: the embedded engine ran this job".into());
    }
    for column in &source.skipped {
        notes.push(format!("column \"{}\" was skipped: {}", column.name, column.reason));
    }
    notes
}

fn performance(response: &FinalResponse, source: &SourceDescription) -> Vec<String> {
    let mut advice = Vec::new();
    if let Some(speedup) = response.spark_processing.speedup {
        let (quicker, times) = if speedup >= 1.0 { ("dataframe", speedup) } else { ("rdd", 1.0 / speedup) };
        advice.push(format!(
            "the {quicker} pipeline was {times:.1} times as fast on this data: ask for it, or for auto, when you do not need both"
        ));
    }
    let text = matches!(source.format, Some(SourceFormat::Csv | SourceFormat::Json | SourceFormat::Ndjson));
    if text && source.cells() > 1_000_000 {
        advice.push(format!(
            "{} cells were parsed from text: Parquet is read without parsing, and only the columns that are needed",
            source.cells()
        ));
    }
    advice
}

fn cost(response: &FinalResponse, source: &SourceDescription) -> Vec<String> {
    let mut advice = Vec::new();
    let estimate = &response.cost_analysis.estimated_usd;
    if response.cost_analysis.total_cost_usd == 0.0 {
        advice.push(format!(
            "this run was billed nothing; on AWS Lambda it would have cost between ${:.6} and ${:.6}",
            estimate.low, estimate.high
        ));
    }
    let csv = source.format == Some(SourceFormat::Csv);
    if csv && source.bytes_read > 100_000_000 {
        advice.push(format!(
            "{:.0} MB of CSV were read; as Parquet the same numbers are several times smaller to store and to transfer",
            source.bytes_read as f64 / 1e6
        ));
    }
    advice
}

fn quality(response: &FinalResponse) -> Vec<String> {
    let mut advice = Vec::new();
    let columns: Vec<_> = response.spark_processing.columns().into_iter().flatten().collect();
    let mut tell = |matches: fn(&ColumnStatistics) -> bool, sentence: &str| {
        let names: Vec<_> = columns.iter().filter(|(_, c)| matches(c)).map(|(n, _)| n.as_str()).collect();
        if !names.is_empty() {
            advice.push(format!("{}: {sentence}", list(&names)));
        }
    };
    tell(|c| c.count == 0, "no finite value at all; leave the column out or look at where it comes from");
    tell(|c| c.count > 0 && c.min == c.max, "constant; it carries no information for a model");
    tell(
        |c| share(c.missing, c) > 0.05,
        "more than 5 % of the values are missing; impute them or find out why",
    );
    tell(|c| c.infinite > 0, "holds infinite values; they are kept and left out of every statistic");
    tell(
        |c| share(c.zscore_outliers, c) > 0.01,
        "more than 1 % of the values lie beyond 3 standard deviations",
    );
    tell(
        |c| c.skewness.is_some_and(|s| s.abs() > 2.0),
        "strongly skewed (|skewness| > 2); a log or power transform may help",
    );
    tell(|c| c.inexact_integers > 0, "holds integers beyond 2^53, which lost digits on their way to f64");
    tell(|c| !c.overflowed.is_empty(), "some statistics are beyond the range of f64; rescale the column");
    if response.gpu_processing.normalization == Normalization::Zscore {
        tell(
            |c| share(c.outliers.count, c) > 0.05,
            "more than 5 % of the values lie outside Tukey's fences; robust normalisation is less moved by them than zscore",
        );
    }
    let warned = |warning: &str| {
        let columns = response.gpu_processing.columns.iter();
        columns.filter(|(_, c)| c.warnings.iter().any(|w| w == warning)).map(|(n, _)| n.as_str()).collect()
    };
    let zero_iqr: Vec<&str> = warned("zero_iqr");
    if !zero_iqr.is_empty() {
        advice.push(format!(
            "{}: the middle half is one value, so robust scaling divides by 1",
            list(&zero_iqr)
        ));
    }
    advice
}

fn share(part: u64, column: &ColumnStatistics) -> f64 {
    if column.rows == 0 { 0.0 } else { part as f64 / column.rows as f64 }
}

fn list(names: &[&str]) -> String {
    let told: Vec<_> = names.iter().take(NAMED).map(|n| format!("\"{n}\"")).collect();
    match names.len().saturating_sub(NAMED) {
        0 => told.join(", "),
        more => format!("{} and {more} more", told.join(", ")),
    }
}
