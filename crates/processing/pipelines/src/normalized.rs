//! What was really written by the normalisation stage, read back from the bucket to prove it.

use std::sync::Arc;

use caudal_core::ports::StageInput;
use caudal_core::results::NormalizedStatistics;
use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::MomentSummary;
use caudal_storage::{Datasets, Source};

/// Opens the stored normalised columns of a job, and checks that they are those of its source.
///
/// # Errors
/// `StorageUnavailable` where they are gone, damaged, or of another shape than the source.
pub(crate) async fn read_back(
    datasets: &Datasets,
    input: &StageInput,
    source: &Source,
) -> Result<Arc<Source>> {
    let stored = datasets.normalized_source(input.job_id()).await?;
    if stored.rows() != source.rows() || !stored.names().eq(source.names()) {
        let detail = format!(
            "the stored normalised data has {} rows of {} columns, and the source has {} of {}",
            stored.rows(),
            stored.columns(),
            source.rows(),
            source.columns()
        );
        return Err(Error::new(ErrorKind::StorageUnavailable, detail));
    }
    Ok(stored)
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
