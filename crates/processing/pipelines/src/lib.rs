//! The statistics through two pipelines, rdd and dataframe, and the plan that chooses.
