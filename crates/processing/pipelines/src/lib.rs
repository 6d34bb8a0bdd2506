//! The statistics through two pipelines, `rdd` (partition by partition) and `dataframe` (a query), the plan that
//! chooses between them, and what a job derives from its source before either sees it.

#[cfg(test)]
mod agreement;
mod calibration;
mod dataframe;
mod derived;
mod normalized;
mod planner;
mod rdd;
mod spark_choice;
mod statistics;

pub use calibration::{Calibration, CalibrationCache, Cost};
pub use dataframe::Dataframe;
pub use derived::DerivedSources;
pub use planner::MeasuredPlanner;
pub use rdd::Rdd;
