//! Numbers in, numbers out: the arithmetic of every statistic and normalisation.
//!
//! Definitions that hold on every device live at the top of the crate ([`Moments`] and their merging, percentile
//! and histogram formulas, normalisation parameters); `cpu` and `cuda` hold the code that touches each row.

mod allocator;
mod brackets;
mod cpu;
pub mod cuda;
mod dd;
mod histogram;
mod huge_pages;
mod kept_blocks;
mod key;
mod moments;
mod normalization;
mod power_of_two;
mod quantile;
mod raw;
mod sample;
mod summary;
mod threads;
mod zscore;

pub use allocator::return_large_blocks;
pub use brackets::{Bracketed, Brackets, Ranks};
pub use cpu::below::CountsBelow;
pub use cpu::column::{column_moments, moments};
pub use cpu::hash::ValueCounts;
pub use cpu::normalize::{Fit, Survey, apply, apply_in_place, fit, fit_column, survey};
pub use cpu::passes::{Pass, Passes, Share};
pub use cpu::profile::{
    Location, Profile, ProfileOptions, Profiling, profile, profile_column, profile_sorted, profile_surveyed,
};
pub use cpu::scan::{BlockScan, InMemory};
pub use cpu::simd::Instructions;
pub use cpu::sorted::Sorted;
pub use histogram::{HistogramBins, histogram_edges};
pub use huge_pages::{bytes as huge_bytes, column as huge_column, with_room as huge_room};
pub use kept_blocks::KeptBlocks;
pub use key::{key_of, value_of};
pub use moments::{Moments, merge_blocks};
pub use normalization::{Method, Parameters, Warning};
pub use quantile::{PERCENTILES, Quartiles, quartiles};
pub use raw::bytes_of_column;
pub use sample::{Sample, Sampler};
pub use summary::MomentSummary;
pub use threads::compute_on;
pub use zscore::ZscoreCounts;

/// Source rows in one block, nulls included: the unit of work and of merging.
pub const BLOCK_ROWS: usize = 65_536;
