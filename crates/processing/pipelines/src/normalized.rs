//! What was really written by the normalisation stage, read back from the bucket to prove it.

use std::sync::Arc;

use caudal_core::ports::StageInput;
use caudal_core::results::NormalizedStatistics;
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::MomentSummary;
use caudal_storage::{Datasets, Table};

/// Reads the stored normalised columns of a job, and checks that they are those of its source.
///
/// # Errors
/// `StorageUnavailable` where they are gone, damaged, or of another shape than the source.
pub(crate) async fn read_back(datasets: &Datasets, input: &StageInput, source: &Table) -> Result<Arc<Table>> {
    let stored = datasets.normalized(input.job_id()).await?;
    let names = |table: &Table| table.columns.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    if stored.rows != source.rows || names(&stored) != names(source) {
        let detail = format!(
            "the stored normalised data has {} rows of {} columns, and the source has {} of {}",
            stored.rows,
            stored.columns.len(),
            source.rows,
            source.columns.len()
        );
        return Err(Error::new(ErrorKind::StorageUnavailable, detail));
    }
    Ok(Arc::new(stored))
}

pub(crate) fn normalized_statistics(moments: MomentSummary) -> NormalizedStatistics {
    NormalizedStatistics {
        count: moments.count,
        mean: moments.mean,
        std_dev: moments.std_dev,
        min: moments.min,
        max: moments.max,
    }
}
