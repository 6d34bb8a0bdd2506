//! How fast a run was, from the times that its stages measured.

use caudal_core::job::SourceDescription;
use caudal_core::results::{
    DeviceComparison, GpuProcessing, PerformanceMetrics, SparkApplication, SparkProcessing,
};

/// Seconds that the pipelines took together; `None` when none ran.
pub fn pipelines_time(pipelines: &SparkProcessing) -> Option<f64> {
    match (pipelines.rdd_time, pipelines.dataframe_time) {
        (None, None) => None,
        (rdd, dataframe) => Some(rdd.unwrap_or(0.0) + dataframe.unwrap_or(0.0)),
    }
}

/// What was measured; null where it was not.
pub fn measure(
    source: &SourceDescription,
    normalization: &GpuProcessing,
    pipelines: &SparkProcessing,
) -> PerformanceMetrics {
    let gpu = normalization.processing_time;
    let spark = pipelines_time(pipelines);
    let total = spark.map(|spark| gpu + spark).filter(|total| *total > 0.0);
    let gpu_percentage = total.map(|total| 100.0 * gpu / total);
    PerformanceMetrics {
        gpu_percentage,
        spark_percentage: gpu_percentage.map(|gpu| 100.0 - gpu),
        dataframe_speedup: pipelines.speedup,
        rdd_speedup: pipelines.speedup.filter(|s| *s > 0.0).map(|s| 1.0 / s),
        // Executor CPU time is Spark's to measure; the embedded engine has no executors.
        spark_efficiency: pipelines.spark.as_ref().and_then(SparkApplication::efficiency),
        elements_per_second: total.map(|total| source.cells() as f64 / total),
        gpu_vs_cpu_speedup: normalization.comparison.as_ref().and_then(speedup),
    }
}

/// Both devices are timed only in a run that compares them.
fn speedup(comparison: &DeviceComparison) -> Option<f64> {
    let pair = comparison.cpu_seconds.zip(comparison.gpu_seconds);
    pair.filter(|(_, gpu)| *gpu > 0.0).map(|(cpu, gpu)| cpu / gpu)
}
