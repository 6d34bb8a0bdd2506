//! The statistics through two pipelines, `rdd` (partition by partition) and `dataframe` (a query), and the
//! plan that chooses between them.

#[cfg(test)]
mod agreement;
mod calibration;
mod dataframe;
mod normalized;
mod planner;
mod rdd;
mod statistics;

pub use calibration::{Calibration, CalibrationCache, Cost};
pub use dataframe::Dataframe;
pub use planner::MeasuredPlanner;
pub use rdd::Rdd;
