//! The final response as tables for a terminal.

use caudal_core::results::{ColumnStatistics, FinalResponse, NormalizedStatistics, SparkApplication};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};

use super::figures::{duration, number, optional, sparkline, whole};

/// Columns of data side by side in one table.
const SIDE_BY_SIDE: usize = 4;

/// The whole report.
pub fn render(response: &FinalResponse, source: &str) -> String {
    let mut out = heading(response, source);
    let columns: Vec<_> = response.spark_processing.columns().into_iter().flatten().collect();
    for group in columns.chunks(SIDE_BY_SIDE) {
        out += &statistics(group, response);
        out.push('\n');
    }
    out += &section("Quality", quality(response));
    out += &section("Pipelines", pipelines(response));
    out += &section("Cost", cost(response));
    out += &section("Recommendations", recommendations(response));
    out += &section("Notes", response.notes.clone());
    out += &section("Stored", stored(response));
    out
}

fn heading(response: &FinalResponse, source: &str) -> String {
    let summary = &response.processing_summary;
    let rows = summary.data_processed.checked_div(summary.columns).unwrap_or(0);
    format!(
        "{source}: {} rows × {} columns, {} on {}, job {}\n\n",
        whole(rows),
        summary.columns,
        response.gpu_processing.normalization,
        summary.gpu_processing.device,
        response.job_id
    )
}

fn section(title: &str, lines: Vec<String>) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let body: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!("{title}\n{body}\n")
}

type Named<'a> = (&'a String, &'a ColumnStatistics);

fn statistics(group: &[Named<'_>], response: &FinalResponse) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    let mut header = vec![Cell::new("")];
    header.extend(
        group.iter().map(|(name, _)| {
            Cell::new(name).add_attribute(Attribute::Bold).set_alignment(CellAlignment::Right)
        }),
    );
    table.set_header(header);
    for (label, value) in ROWS {
        let mut row = vec![Cell::new(label)];
        row.extend(group.iter().map(|(_, c)| Cell::new(value(c)).set_alignment(CellAlignment::Right)));
        table.add_row(row);
    }
    let parameters = group.iter().map(|(name, _)| {
        let fitted = response.gpu_processing.columns.get(*name).map(|c| &c.parameters);
        let text =
            fitted.map_or_else(|| "–".into(), |p| format!("{} / {}", number(p.center), optional(p.scale)));
        Cell::new(text).set_alignment(CellAlignment::Right)
    });
    table.add_row([Cell::new("center / scale")].into_iter().chain(parameters));
    format!("{table}\n")
}

type Row = (&'static str, fn(&ColumnStatistics) -> String);

const ROWS: [Row; 27] = [
    ("count", |c| whole(c.count)),
    ("missing", |c| whole(c.missing)),
    ("infinite", |c| whole(c.infinite)),
    ("distinct", |c| c.distinct.map_or_else(|| "–".into(), whole)),
    ("zeros", |c| whole(c.zeros)),
    ("negatives", |c| whole(c.negatives)),
    ("sum", |c| optional(c.sum)),
    ("mean", |c| optional(c.mean)),
    ("std dev", |c| optional(c.std_dev)),
    ("variance", |c| optional(c.variance)),
    ("skewness", |c| optional(c.skewness)),
    ("kurtosis", |c| optional(c.kurtosis)),
    ("min", |c| optional(c.min)),
    ("p1", |c| optional(c.percentiles.p1)),
    ("p5", |c| optional(c.percentiles.p5)),
    ("q1", |c| optional(c.quartiles.q1)),
    ("median", |c| optional(c.median)),
    ("q3", |c| optional(c.quartiles.q3)),
    ("p90", |c| optional(c.percentiles.p90)),
    ("p95", |c| optional(c.percentiles.p95)),
    ("p99", |c| optional(c.percentiles.p99)),
    ("max", |c| optional(c.max)),
    ("mode", |c| {
        c.mode
            .as_ref()
            .map_or_else(|| "–".into(), |m| format!("{} × {}", number(m.value), whole(m.frequency)))
    }),
    ("outliers (fences / 3σ)", |c| format!("{} / {}", whole(c.outliers.count), whole(c.zscore_outliers))),
    ("histogram", |c| format!("│{}│", sparkline(&c.histogram.counts))),
    ("quality", |c| c.quality_score.map_or_else(|| "–".into(), |q| format!("{:.2} %", 100.0 * q))),
    ("normalised mean / std", |c| normalized(c.normalized.as_ref())),
];

fn normalized(statistics: Option<&NormalizedStatistics>) -> String {
    // Rounding leaves a mean of 1e-17 where 0 is meant; a table has room for neither.
    let short = |x: Option<f64>| x.map_or_else(|| "–".into(), |x| number((x * 1e9).round() / 1e9));
    statistics.map_or_else(|| "–".into(), |n| format!("{} / {}", short(n.mean), short(n.std_dev)))
}

fn quality(response: &FinalResponse) -> Vec<String> {
    let quality = &response.data_quality;
    let score = quality.quality_score.map_or_else(|| "–".into(), |q| format!("{:.2} %", 100.0 * q));
    let mut lines = vec![format!(
        "score {score}: {} missing, {} infinite, {} beyond 3σ",
        whole(quality.missing_values),
        whole(quality.infinite_values),
        whole(quality.outliers_detected)
    )];
    if !quality.constant_columns.is_empty() {
        lines.push(format!("constant columns: {}", quality.constant_columns.join(", ")));
    }
    lines
}

fn pipelines(response: &FinalResponse) -> Vec<String> {
    let summary = &response.processing_summary;
    let results = &response.spark_processing;
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "not run".into(), duration);
    let mut lines = vec![
        format!("normalisation {}", time(summary.gpu_processing_time)),
        format!("rdd           {}", time(results.rdd_time)),
        format!("dataframe     {}", time(results.dataframe_time)),
    ];
    if let Some(agreement) = results.agreement {
        let difference = results.max_relative_difference.unwrap_or(0.0);
        lines.push(match agreement {
            true => match difference {
                0.0 => "both agree to the last bit".into(),
                _ => format!("both agree; the largest relative difference is {difference:.1e}"),
            },
            false => format!("they DISAGREE on {}", results.disagreements.join(", ")),
        });
    }
    if let Some(speed) = response.performance_metrics.elements_per_second {
        lines.push(format!("{} values per second", whole(speed as u64)));
    }
    lines.push(format!("whole job     {}", duration(summary.total_processing_time)));
    lines.extend(results.spark.iter().flat_map(spark));
    lines.push(format!("planner: {}", summary.planner));
    lines
}

/// What Spark measured of itself.
fn spark(application: &SparkApplication) -> Vec<String> {
    let work = &application.work;
    let efficiency = application.efficiency().map_or_else(|| "–".into(), |e| format!("{:.0} %", 100.0 * e));
    vec![
        format!(
            "spark {}: {} on {} ({} cores), {} stages, {} tasks, {} failed",
            application.version,
            application.application_id,
            application.master,
            application.cores,
            work.stages,
            whole(work.tasks),
            work.failed_tasks
        ),
        format!(
            "spark: {} of CPU, {efficiency} of its cores' time, {} in GC; {} bytes in, {} out, {} shuffled, {} spilled",
            duration(work.executor_cpu_seconds),
            duration(work.gc_seconds),
            whole(work.input_bytes),
            whole(work.output_bytes),
            whole(work.shuffle_read_bytes),
            whole(work.spill_bytes)
        ),
        format!("spark: {}", application.reasons.join("; ")),
    ]
}

fn cost(response: &FinalResponse) -> Vec<String> {
    let cost = &response.cost_analysis;
    vec![
        format!("billed ${:.6}", cost.total_cost_usd),
        format!(
            "on AWS between ${:.6} and ${:.6} (prices of {})",
            cost.estimated_usd.low, cost.estimated_usd.high, cost.prices_as_of
        ),
    ]
}

fn recommendations(response: &FinalResponse) -> Vec<String> {
    let all = &response.recommendations;
    [&all.performance, &all.cost_optimization, &all.data_quality].into_iter().flatten().cloned().collect()
}

fn stored(response: &FinalResponse) -> Vec<String> {
    let paths = &response.s3_paths;
    vec![
        format!("normalised data  {}", paths.normalized_data),
        format!("normalisation    {}", paths.gpu_results),
        format!("statistics       {}", paths.spark_results),
        format!("analysis         {}", paths.analysis_results),
        format!("final response   {}", paths.final_results),
    ]
}
