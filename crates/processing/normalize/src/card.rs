//! A card at work for one job: fits its columns, hands out their normalised rows, and stands back once it fails.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use caudal_core::ports::StageInput;
use caudal_core::{Error, Result};
use caudal_kernels::cuda::{DeviceError, Gpu, GpuError, Resident, survey_columns};
use caudal_kernels::{Fit, Method, Parameters, fit_column};
use caudal_storage::{ScanControl, Source, SourceColumn, Steps};
use rayon::prelude::*;

use crate::fitted::Fitted;

/// Columns up to this many rows are fitted on the processor once they are surveyed: launches would take longer.
const FEW_ROWS: u64 = 8_192;

/// Rows up to this many are normalised on the processor: bringing them takes longer, and the bits are the same.
const FEW_VALUES: usize = 4_096;

/// The card that has fitted a job's columns.
pub(crate) struct Card {
    resident: Resident,
    /// Why it is not used any more.
    failed: OnceLock<String>,
}

impl Card {
    /// Why the card stopped in the middle of the job, where it did.
    pub fn failed(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    /// The card's own name.
    pub fn name(&self) -> &str {
        &self.resident.gpu().info().name
    }

    /// Fills some normalised rows, unless the card has failed or they are too few; whether it did.
    ///
    /// # Errors
    /// Whatever stops the source from being read.
    pub fn fill(
        &self,
        source: &Source,
        column: usize,
        rows: Range<u64>,
        parameters: &Parameters,
        out: &mut [f64],
    ) -> Result<bool> {
        if self.failed.get().is_some() || out.len() < FEW_VALUES {
            return Ok(false);
        }
        let filled = if self.resident.is_whole() {
            self.resident.normalize(column, parameters, rows, out)
        } else {
            match source.slice(column, rows.clone()) {
                Some(values) => out.copy_from_slice(values),
                None => drop(source.reader(column, rows)?.fill(out)?),
            }
            self.resident.gpu().normalize(parameters, out)
        };
        match filled {
            Ok(()) => Ok(true),
            Err(error) => {
                let _ = self.failed.set(error.to_string());
                Ok(false)
            }
        }
    }
}

/// Why columns were not fitted on a card.
pub(crate) enum NotFitted {
    Gpu(GpuError),
    Source(Error),
}

impl From<DeviceError<Error>> for NotFitted {
    fn from(error: DeviceError<Error>) -> NotFitted {
        match error {
            DeviceError::Gpu(error) => NotFitted::Gpu(error),
            DeviceError::Source(error) => NotFitted::Source(error),
        }
    }
}

/// Surveys all columns together on the card, and fits them.
pub(crate) fn fit_on_card(
    gpu: &Arc<Gpu>,
    source: &Arc<Source>,
    method: Method,
    input: &StageInput,
) -> std::result::Result<Fitted, NotFitted> {
    let steps = Steps::new(input, "normalizing", source.rows() * source.columns() as u64);
    let controls: Vec<ScanControl> = (0..source.columns()).map(|_| steps.control()).collect();
    let scanned: Vec<SourceColumn<'_>> = (0..source.columns())
        .zip(&controls)
        .map(|(column, control)| SourceColumn { source, column, control })
        .collect();
    let (surveys, resident) = survey_columns(gpu, &scanned)?;
    let fit = |column: usize| {
        let (scanned, survey) = (&scanned[column], &surveys[column]);
        scanned.keep_survey(survey);
        match source.rows() <= FEW_ROWS {
            true => fit_column(method, scanned, survey).map_err(NotFitted::Source),
            false => Ok(fit_column(method, &resident.column(column, scanned), survey)?),
        }
    };
    let fits: std::result::Result<Vec<Fit>, NotFitted> =
        (0..scanned.len()).into_par_iter().map(fit).collect();
    let fits = fits?;
    Ok(Fitted { fits, source: source.clone(), card: Some(Card { resident, failed: OnceLock::new() }) })
}
