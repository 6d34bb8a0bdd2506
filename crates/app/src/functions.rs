//! Work that functions do instead of this process, where the settings name any.

use std::sync::Arc;

use async_trait::async_trait;
use caudal_core::Result;
use caudal_core::job::{CHOSEN_BY_STAGE, Plan, SourceDescription};
use caudal_core::ports::{ChosenDevice, DevicePlanner, Handover, Normalizer, StageInput};
use caudal_core::request::{DeviceChoice, JobRequest};
use caudal_core::results::GpuProcessing;

#[cfg(not(feature = "lambda-http"))]
pub use self::disabled::connect;
#[cfg(feature = "lambda-http")]
pub use crate::lambda::remote::connect;

/// Ports that other functions stand behind; none where this process does everything itself.
#[derive(Default)]
pub struct Functions {
    pub handover: Option<Arc<dyn Handover>>,
    pub gpu_processing: Option<Arc<dyn Normalizer>>,
}

impl Functions {
    /// Who normalises: the function where there is one, `local` for what the function cannot derive.
    pub fn normalizer(&self, local: Arc<dyn Normalizer>) -> Arc<dyn Normalizer> {
        match self.gpu_processing.clone() {
            Some(function) => Arc::new(ByKind { function, local }),
            None => local,
        }
    }

    /// Who chooses the device: the function that normalises, by what it has; `local` for what is done here.
    pub fn devices(&self, local: Arc<dyn DevicePlanner>) -> Arc<dyn DevicePlanner> {
        match self.gpu_processing {
            Some(_) => Arc::new(ThereByKind { local }),
            None => local,
        }
    }
}

struct ThereByKind {
    local: Arc<dyn DevicePlanner>,
}

#[async_trait]
impl DevicePlanner for ThereByKind {
    async fn device(&self, request: &JobRequest, source: &SourceDescription) -> Result<ChosenDevice> {
        if request.derives() || request.device == DeviceChoice::Cpu {
            return self.local.device(request, source).await;
        }
        let why = "the function that normalises knows what it has".into();
        Ok(ChosenDevice { device: CHOSEN_BY_STAGE, why, fallback_reason: None })
    }
}

struct ByKind {
    function: Arc<dyn Normalizer>,
    local: Arc<dyn Normalizer>,
}

#[async_trait]
impl Normalizer for ByKind {
    /// Rows and columns that a query derives are known where the query engine is, and nowhere else.
    async fn normalize(&self, input: &StageInput, plan: &Plan) -> Result<GpuProcessing> {
        match input.record.request.derives() {
            true => self.local.normalize(input, plan).await,
            false => self.function.normalize(input, plan).await,
        }
    }
}

#[cfg(not(feature = "lambda-http"))]
mod disabled {
    //! A build that calls no functions: says so where some are named.

    use caudal_core::{Error, ErrorKind, Result};
    use caudal_storage::Bucket;

    use super::Functions;
    use crate::Settings;

    /// # Errors
    /// `UnavailableEngine` where functions are named.
    pub fn connect(settings: &Settings, _: &Bucket) -> Result<Functions> {
        let named = &settings.functions;
        match [&named.orchestrator, &named.gpu_processing, &named.spark_launcher].iter().all(|n| n.is_empty())
        {
            true => Ok(Functions::default()),
            false => {
                let detail = "functions are named in the settings, and this build calls none";
                Err(Error::new(ErrorKind::UnavailableEngine, detail)
                    .hint("the packages below crates/lambda call them"))
            }
        }
    }
}
