//! What a host has to work with, as `GET /system` tells it.

use serde::{Deserialize, Serialize};

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SystemDescription {
    /// Of Caudal.
    pub version: String,
    pub cores: u64,
    /// Bytes that one job may take.
    pub memory_limit_bytes: u64,
    pub gpu: GpuDescription,
}

/// The GPU of a host, or why there is none to use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GpuDescription {
    /// `ok`, `no_driver`, `driver_too_old`, `no_device`, `device_too_old`, `busy`, `failed` or `self_test_failed`.
    pub state: String,
    /// What was found, or what is in the way.
    pub detail: String,
    /// What can be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The card's own name.
    pub name: Option<String>,
    /// Such as `9.0`.
    pub compute_capability: Option<String>,
    /// The version of CUDA that the driver supports, such as `12.9`.
    pub driver_cuda_version: Option<String>,
    pub memory_bytes: Option<u64>,
}
