//! What a run cost, and what the same work would have cost on AWS.

use caudal_core::results::{CostAnalysis, DollarRange, GpuProcessing, SparkProcessing};

use super::performance::pipelines_time;
use crate::orchestrator::OrchestratorOptions;

/// Memory of the functions in the AWS template, in GB: the orchestrator's, and the normalisation's.
const ORCHESTRATOR_GB: f64 = 1.0;
const NORMALIZATION_GB: f64 = 2.0;

/// GB of Lambda memory that buy one whole processor (AWS, "Configure Lambda function memory").
const GB_PER_PROCESSOR: f64 = 1769.0 / 1024.0;

/// Objects that one job writes and reads, by the storage layout.
const PUTS_PER_JOB: f64 = 16.0;
const GETS_PER_JOB: f64 = 10.0;

/// An embedded run on the user's own machine is billed nothing, so every bill is 0; the estimate is
/// for the functions of the AWS template. Low: each function as fast as this host was. High: the
/// work of all this host's cores on the share of a processor that the function's memory buys.
pub fn analyze(
    options: &OrchestratorOptions,
    normalization: &GpuProcessing,
    pipelines: &SparkProcessing,
) -> CostAnalysis {
    let prices = &options.prices;
    let spark = pipelines_time(pipelines).unwrap_or(0.0);
    let gb_seconds = normalization.processing_time * NORMALIZATION_GB + spark * ORCHESTRATOR_GB;
    let slowed =
        |seconds: f64, gb: f64| seconds * options.cores as f64 * (GB_PER_PROCESSOR / gb).max(1.0) * gb;
    let slow_gb_seconds =
        slowed(normalization.processing_time, NORMALIZATION_GB) + slowed(spark, ORCHESTRATOR_GB);
    let requests = 3.0 * prices.lambda_request
        + PUTS_PER_JOB * prices.s3_put
        + GETS_PER_JOB * prices.s3_get
        + prices.api_gateway_request;
    CostAnalysis {
        estimated_usd: DollarRange {
            low: gb_seconds * prices.lambda_gb_second + requests,
            high: slow_gb_seconds * prices.lambda_gb_second + requests,
        },
        prices_as_of: prices.as_of.clone(),
        basis: format!(
            "this run used no billed service; the estimate is for AWS Lambda ({ORCHESTRATOR_GB} and \
             {NORMALIZATION_GB} GB) with S3 and API Gateway: low at this host's speed, high with the work of its \
             {} cores on one function's share of a processor",
            options.cores
        ),
        ..CostAnalysis::default()
    }
}
