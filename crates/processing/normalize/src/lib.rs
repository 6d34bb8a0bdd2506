//! The normalisation stage: device choice, batches and fallback, and the stored result.
//!
//! The device that a plan names does the work; where a GPU cannot, or stops in the middle, the processor takes its place, to
//! the same bits and with the reason in the result.

mod card;
mod devices;
mod fitted;
mod frames;
mod rates;
mod stage;

pub use caudal_kernels::cuda::{Gpu, Unavailable};
pub use devices::{CardPort, HostDevices, LocalCard, NoCard, RatesCache};
pub use frames::{Decoding, FillPiece, encode};
pub use rates::{DeviceRates, Rate, cpu_rates, made_up};
pub use stage::{HostNormalizer, Staged, run_stage};
