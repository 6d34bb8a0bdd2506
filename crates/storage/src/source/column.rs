//! One column of a source, as the kernels go over it.

use caudal_core::{Error, ErrorKind, Result};
use caudal_kernels::{BlockScan, Sample, Survey, survey};

use super::{ScanControl, Source, scan};

/// A column that can be scanned any number of times.
pub struct SourceColumn<'s> {
    pub source: &'s Source,
    /// Its position among the processed columns.
    pub column: usize,
    pub control: &'s ScanControl,
}

impl BlockScan for SourceColumn<'_> {
    type Error = Error;

    fn rows(&self) -> u64 {
        self.source.rows()
    }

    fn scan<S: Send>(
        &self,
        begin: impl Fn() -> S + Sync,
        add: impl Fn(&mut S, u64, &[f64]) + Sync,
    ) -> Result<Vec<S>> {
        scan(self.source, &[self.column], self.control, begin, |state, _, block, values| {
            add(state, block, values);
            Ok(())
        })
    }
}

impl SourceColumn<'_> {
    /// A survey of the column: the one that an earlier stage made, or one that a scan is made for.
    ///
    /// # Errors
    /// Those of [`scan`].
    pub fn survey(&self) -> Result<&Survey> {
        let kept = self.source.surveys.get(self.column);
        let kept = kept.ok_or_else(|| Error::new(ErrorKind::Internal, "there is no such column"))?;
        if let Some(survey) = kept.get() {
            return Ok(survey);
        }
        let found = survey(self)?;
        // Whoever else made one found the same.
        Ok(kept.get_or_init(|| found))
    }

    /// A sample of the column: that of its survey, or one drawn from memory.
    ///
    /// # Errors
    /// Those of [`scan`].
    pub fn sample(&self) -> Result<Sample> {
        let surveyed = self.source.surveys.get(self.column).is_some_and(|survey| survey.get().is_some());
        match self.source.slice(self.column, 0..self.rows()) {
            Some(values) if !surveyed => Ok(Sample::of(values)),
            _ => Ok(self.survey()?.sample.clone()),
        }
    }

    /// Keeps a survey that was made on another device.
    pub fn keep_survey(&self, survey: &Survey) {
        if let Some(kept) = self.source.surveys.get(self.column) {
            // Any survey of the column is as good as another.
            kept.get_or_init(|| survey.clone());
        }
    }
}
