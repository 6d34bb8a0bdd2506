//! The quality of the data over all columns.

use caudal_core::job::SourceDescription;
use caudal_core::results::{DataQuality, SparkProcessing};

pub fn judge(source: &SourceDescription, pipelines: &SparkProcessing) -> DataQuality {
    let mut quality = DataQuality::default();
    for (name, column) in pipelines.columns().into_iter().flatten() {
        quality.outliers_detected += column.zscore_outliers;
        quality.missing_values += column.missing;
        quality.infinite_values += column.infinite;
        if column.count > 0 && column.min == column.max {
            quality.constant_columns.push(name.clone());
        }
    }
    let cells = source.cells();
    let bad = quality.missing_values + quality.infinite_values + quality.outliers_detected;
    quality.quality_score = (cells > 0).then(|| (cells - bad) as f64 / cells as f64);
    quality
}
