//! One column of a source, as the kernels go over it.

use caudal_core::{Error, Result};
use caudal_kernels::{BlockScan, Sample, survey};

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
    /// A sample of the column: the one that an earlier scan took along, one drawn from memory, or one that a scan is
    /// made for.
    ///
    /// # Errors
    /// Those of [`scan`].
    pub fn sample(&self) -> Result<Sample> {
        if let Some(sample) = self.source.samples.get(self.column).and_then(|sample| sample.get()) {
            return Ok(sample.clone());
        }
        let sample = match self.source.slice(self.column, 0..self.rows()) {
            Some(values) => Sample::of(values),
            None => survey(self)?.sample,
        };
        self.keep_sample(&sample);
        Ok(sample)
    }

    /// Keeps a sample for later scans of the column.
    pub fn keep_sample(&self, sample: &Sample) {
        // Any sample of the column is as good as another.
        let _ = self.source.samples.get(self.column).map(|kept| kept.set(sample.clone()));
    }
}
