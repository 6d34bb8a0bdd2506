//! The code that touches every row, for the CPU: portable loops over eight lanes and rayon over blocks.

pub(crate) mod block;
pub(crate) mod column;
pub(crate) mod lanes;
pub(crate) mod normalize;
pub(crate) mod profile;
pub(crate) mod sorted;
