//! What things cost: from the settings, never from the code.

use serde::{Deserialize, Serialize};

/// Prices in US dollars, from the settings, with the day on which they were read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceList {
    pub as_of: String,
    pub lambda_gb_second: f64,
    pub lambda_request: f64,
    pub s3_put: f64,
    pub s3_get: f64,
    pub api_gateway_request: f64,
    /// An hour of a core, of a GB of memory, and of a GB of disk.
    pub emr_serverless_vcpu_hour: f64,
    pub emr_serverless_gb_hour: f64,
    pub emr_serverless_disk_gb_hour: f64,
}
