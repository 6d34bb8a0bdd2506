//! The kernels against exact rational arithmetic and the plain definitions, on named and random columns.

mod accuracy;
mod billion;
mod cases;
mod determinism;
mod gpu;
mod normalization;
mod order_statistics;
mod random_inputs;
mod reference;
mod two_passes;
