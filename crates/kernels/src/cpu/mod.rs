//! The code that touches every row, for the CPU: portable loops over eight lanes, compiled for each set of vector
//! instructions, and workers over blocks.

pub(crate) mod below;
pub(crate) mod block;
pub(crate) mod column;
pub(crate) mod hash;
pub(crate) mod lanes;
pub(crate) mod normalize;
pub(crate) mod partition;
pub(crate) mod passes;
pub(crate) mod profile;
pub(crate) mod runs;
pub(crate) mod sample_sort;
pub(crate) mod scan;
pub(crate) mod simd;
pub(crate) mod sort;
pub(crate) mod sorted;
