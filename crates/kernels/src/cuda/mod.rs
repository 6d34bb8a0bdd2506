//! The same passes on NVIDIA's cards: every result has the same bits as on the processor.
//!
//! Kernels are the CUDA C++ of `crates/kernels/cuda`, compiled ahead of time and embedded. The driver is found while
//! running; where it is not, [`Gpu::open`] says why and nothing else happens.

mod column;
mod device;
mod driver;
mod feed;
mod gpu;
mod image;
mod normalize;
mod passes;
mod self_test;

pub use column::{GpuColumn, Resident, survey_columns};
pub use driver::DriverFault;
pub use gpu::{Gpu, GpuInfo, GpuOptions, Unavailable};
pub use image::{Part, image_parts, image_sources};

/// Why a card did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GpuError {
    /// Even the smallest batch does not fit.
    OutOfMemory,
    /// The driver reported a fault; the card is not used again by this process.
    Lost(DriverFault),
    /// An answer that cannot be.
    Wrong(&'static str),
}

impl std::fmt::Display for GpuError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GpuError::OutOfMemory => f.write_str("the GPU has too little free memory"),
            GpuError::Lost(fault) => write!(f, "the GPU failed: {fault}"),
            GpuError::Wrong(what) => write!(f, "the GPU gave what cannot be: {what}"),
        }
    }
}

impl std::error::Error for GpuError {}

/// What stops a column from being gone over on a card.
#[derive(Debug)]
pub enum DeviceError<E> {
    Gpu(GpuError),
    /// The column could not be read.
    Source(E),
}

impl<E> From<GpuError> for DeviceError<E> {
    fn from(error: GpuError) -> Self {
        DeviceError::Gpu(error)
    }
}
