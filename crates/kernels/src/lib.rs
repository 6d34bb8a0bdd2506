//! Numbers in, numbers out: the arithmetic of every statistic and normalisation.
//!
//! Definitions that hold on every device live at the top of the crate ([`Moments`] and their merging, percentile
//! and histogram formulas, normalisation parameters); `cpu` holds the code that touches each row.

mod cpu;
mod dd;
mod histogram;
mod key;
mod moments;
mod normalization;
mod power_of_two;
mod quantile;
mod summary;

pub use cpu::column::{ZscoreCounts, ZscoreThreshold, moments, zscore_outliers};
pub use cpu::normalize::{Fit, apply, fit};
pub use cpu::profile::{PERCENTILES, Profile, profile};
pub use cpu::sorted::Sorted;
pub use histogram::{HistogramBins, histogram_edges};
pub use key::{key_of, value_of};
pub use moments::{Moments, merge_blocks};
pub use normalization::{Method, Parameters, Warning};
pub use quantile::{Quartiles, quartiles};
pub use summary::MomentSummary;

/// Source rows in one block, nulls included: the unit of work and of merging.
pub const BLOCK_ROWS: usize = 65_536;
