//! Which device normalises a job: what was asked for, what is there, and what was measured on this host.

use std::sync::Arc;

use async_trait::async_trait;
use caudal_core::job::{GPU_DEVICE, SourceDescription};
use caudal_core::ports::{ChosenDevice, DevicePlanner};
use caudal_core::request::{DeviceChoice, JobRequest, Normalization};
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::cuda::Gpu;
use tokio::sync::OnceCell;

use crate::rates::{DeviceRates, measure};

/// Where measured rates are kept between processes, by the name of the card.
#[async_trait]
pub trait RatesCache: Send + Sync {
    async fn load(&self, card: &str) -> Option<DeviceRates>;
    async fn store(&self, card: &str, rates: &DeviceRates);
}

/// Why there is no card, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCard {
    pub reason: String,
    pub hint: Option<String>,
}

/// A card as the planner sees it, wherever it is.
#[async_trait]
pub trait CardPort: Send + Sync {
    /// Its name, once it has passed its self-test.
    async fn name(&self) -> std::result::Result<String, NoCard>;

    /// Whether columns of so many values stay on the card between passes.
    async fn holds(&self, cells: u64) -> bool;

    /// What normalising costs on the processor of this host and on the card.
    async fn measure(&self) -> std::result::Result<DeviceRates, String>;
}

/// The GPU of this host.
pub struct LocalCard;

#[async_trait]
impl CardPort for LocalCard {
    async fn name(&self) -> std::result::Result<String, NoCard> {
        match blocking(Gpu::open).await {
            Ok(Ok(gpu)) => Ok(gpu.info().name.clone()),
            Ok(Err(none)) => Err(NoCard { reason: none.to_string(), hint: none.hint().map(str::to_owned) }),
            Err(error) => Err(NoCard { reason: error.detail, hint: None }),
        }
    }

    async fn holds(&self, cells: u64) -> bool {
        let free = blocking(|| Gpu::open().ok().and_then(|gpu| gpu.free_bytes().ok())).await;
        free.ok().flatten().is_some_and(|free| cells.saturating_mul(8) <= free / 2)
    }

    async fn measure(&self) -> std::result::Result<DeviceRates, String> {
        let measured = blocking(|| {
            let gpu = Gpu::open().map_err(|none| none.to_string())?;
            measure(&gpu).map_err(|error| error.to_string())
        });
        measured.await.map_err(|error| error.detail)?
    }
}

/// The processor of this host, and a card.
pub struct HostDevices {
    card: Arc<dyn CardPort>,
    cache: Arc<dyn RatesCache>,
    rates: OnceCell<DeviceRates>,
}

impl HostDevices {
    pub fn new(card: Arc<dyn CardPort>, cache: Arc<dyn RatesCache>) -> HostDevices {
        HostDevices { card, cache, rates: OnceCell::new() }
    }

    /// What both devices cost here; measured once, unless the cache has it.
    async fn rates(&self, name: &str) -> std::result::Result<DeviceRates, String> {
        let measured = self.rates.get_or_try_init(|| async {
            if let Some(known) = self.cache.load(name).await {
                return Ok(known);
            }
            let rates = self.card.measure().await;
            let rates = rates.map_err(|reason| format!("the GPU could not be measured: {reason}"))?;
            self.cache.store(name, &rates).await;
            Ok(rates)
        });
        measured.await.copied()
    }

    async fn quicker(
        &self,
        normalization: Normalization,
        source: &SourceDescription,
    ) -> Result<ChosenDevice> {
        let name = match self.card.name().await {
            Ok(name) => name,
            Err(none) => return Ok(on_processor(none.reason)),
        };
        let rates = match self.rates(&name).await {
            Ok(rates) => rates,
            Err(reason) => return Ok(on_processor(reason)),
        };
        let robust = normalization == Normalization::Robust;
        let fits = self.card.holds(source.cells()).await;
        let cpu = rates.cpu_seconds(source.cells(), robust);
        let card = rates.gpu_seconds(source.cells(), source.columns.len() as u64, robust, fits);
        let why = format!(
            "by measurements on this host the CPU takes {} and {} {}, transfers included",
            duration(cpu),
            name,
            duration(card)
        );
        Ok(match card < cpu && normalization != Normalization::None {
            true => ChosenDevice { device: GPU_DEVICE, why, fallback_reason: None },
            false => on_processor(why),
        })
    }
}

#[async_trait]
impl DevicePlanner for HostDevices {
    async fn device(&self, request: &JobRequest, source: &SourceDescription) -> Result<ChosenDevice> {
        match request.device {
            DeviceChoice::Cpu => {
                Ok(ChosenDevice { device: "cpu", why: "it was asked for".into(), fallback_reason: None })
            }
            DeviceChoice::Auto => self.quicker(request.normalization, source).await,
            DeviceChoice::Gpu => match self.card.name().await {
                Ok(name) => {
                    let why = format!("it was asked for ({name})");
                    Ok(ChosenDevice { device: GPU_DEVICE, why, fallback_reason: None })
                }
                Err(none) => {
                    let hint = none.hint.map(|hint| format!("{hint}; or ask for device auto or cpu"));
                    Err(Error::new(ErrorKind::UnavailableEngine, none.reason)
                        .hint(hint.unwrap_or_else(|| "ask for device auto or cpu".into())))
                }
            },
        }
    }
}

fn on_processor(reason: String) -> ChosenDevice {
    ChosenDevice { device: "cpu", why: reason.clone(), fallback_reason: Some(reason) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let stopped = |e| Error::new(ErrorKind::Internal, "looking for a GPU stopped").cause(e);
    tokio::task::spawn_blocking(work).await.map_err(stopped)
}

/// Seconds for people, with three digits.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s => format!("{:.3} ms", s * 1e3),
    }
}
