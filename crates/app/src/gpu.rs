//! The GPU of this host, as the doctor and `GET /system` tell of it.

use caudal_core::ports::SystemReport;
use caudal_core::system::{GpuDescription, SystemDescription};
use caudal_normalize::Gpu;

use crate::host::cores;

/// Looks for a card, with a self-test at the first use.
pub fn describe() -> GpuDescription {
    let gpu = match Gpu::open() {
        Ok(gpu) => gpu,
        Err(unavailable) => {
            return GpuDescription {
                state: unavailable.name().into(),
                detail: unavailable.to_string(),
                hint: unavailable.hint().map(str::to_owned),
                ..GpuDescription::default()
            };
        }
    };
    let info = gpu.info();
    let version = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let free =
        gpu.free_bytes().map_or_else(|error| error.to_string(), |free| format!("{:.1} GB free", gb(free)));
    GpuDescription {
        state: "ok".into(),
        detail: format!(
            "{}, compute capability {}, {:.1} GB, of which {free}; its self-test passed",
            info.name,
            version(info.capability),
            gb(info.memory_bytes)
        ),
        hint: None,
        name: Some(info.name.clone()),
        compute_capability: Some(version(info.capability)),
        driver_cuda_version: Some(version(info.driver)),
        memory_bytes: Some(info.memory_bytes),
    }
}

fn gb(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// This host.
pub struct Host {
    /// Bytes that one job may take.
    pub memory_limit: u64,
}

#[async_trait::async_trait]
impl SystemReport for Host {
    async fn system(&self) -> SystemDescription {
        let gpu = tokio::task::spawn_blocking(describe).await.unwrap_or_else(|_| GpuDescription {
            state: "failed".into(),
            detail: "looking for it stopped".into(),
            ..GpuDescription::default()
        });
        SystemDescription {
            version: env!("CARGO_PKG_VERSION").into(),
            cores: cores() as u64,
            memory_limit_bytes: self.memory_limit,
            gpu,
        }
    }
}
