//! A source whose columns have been fitted, on the processor or on a card, and its normalised rows.

use std::ops::Range;
use std::sync::Arc;

use caudal_core::Result;
use caudal_core::ports::StageInput;
use caudal_core::results::{Columns, NormalizedColumn, ScalerParameters, WrittenValue};
use caudal_kernels::{Fit, Method, apply, apply_in_place, fit_column};
use caudal_storage::{BLOCK_ROWS, Filler, Source, SourceColumn, Steps};
use rayon::prelude::*;

use crate::card::Card;

/// Rows of a column that are taken from a card at once.
const AHEAD: u64 = 1 << 20;

/// Values shown of each column in the result.
const SHOWN: u64 = 10;

/// A source whose columns have been fitted.
pub(crate) struct Fitted {
    pub source: Arc<Source>,
    pub fits: Vec<Fit>,
    /// The card that fitted them, where one did.
    pub card: Option<Card>,
}

impl Fitted {
    /// Surveys and fits every column, the columns and their blocks side by side.
    ///
    /// # Errors
    /// Whatever stops the source from being read.
    pub fn on_processor(source: Arc<Source>, method: Method, input: &StageInput) -> Result<Fitted> {
        let steps = Steps::new(input, "normalizing", source.rows() * source.columns() as u64);
        let fit = |column| {
            let control = steps.control();
            let scanned = SourceColumn { source: &source, column, control: &control };
            fit_column(method, &scanned, scanned.survey()?)
        };
        let fits: Result<Vec<Fit>> = (0..source.columns()).into_par_iter().map(fit).collect();
        Ok(Fitted { fits: fits?, source, card: None })
    }

    pub fn names(&self) -> Vec<String> {
        self.source.names().map(str::to_owned).collect()
    }

    /// Some normalised rows of a column: from the card where it has them, and otherwise from the processor, to the same
    /// bits.
    ///
    /// # Errors
    /// Whatever stops the source from being read.
    pub fn fill(&self, column: usize, rows: Range<u64>, out: &mut [f64]) -> Result<()> {
        let parameters = &self.fits[column].parameters;
        if let Some(card) = &self.card
            && card.fill(&self.source, column, rows.clone(), parameters, out)?
        {
            return Ok(());
        }
        match self.source.slice(column, rows.clone()) {
            Some(values) => apply(parameters, values, out),
            None => {
                self.source.reader(column, rows)?.fill(out)?;
                apply_in_place(parameters, out);
            }
        }
        Ok(())
    }

    /// Makes the normalised rows of a column, from the first of some rows on.
    ///
    /// # Errors
    /// Whatever stops the source from being read.
    pub fn filler(self: &Arc<Self>, column: usize, rows: Range<u64>) -> Result<Box<Filler>> {
        match self.card.is_some() {
            true => Ok(self.filler_ahead(column, rows)),
            false => self.filler_in_turn(column, rows),
        }
    }

    fn filler_in_turn(self: &Arc<Self>, column: usize, rows: Range<u64>) -> Result<Box<Filler>> {
        let (fitted, mut at) = (self.clone(), rows.start);
        let mut reader = self.source.reader(column, rows)?;
        Ok(Box::new(move |out| {
            let parameters = &fitted.fits[column].parameters;
            let rows = at..at + out.len() as u64;
            at = rows.end;
            match fitted.source.slice(column, rows.clone()) {
                Some(values) => apply(parameters, values, out),
                None => {
                    // Rows before these may have lain in memory.
                    reader.skip_to(rows.start)?;
                    reader.fill(out)?;
                    apply_in_place(parameters, out);
                }
            }
            Ok(())
        }))
    }

    /// Takes many rows from the card at once, however few are asked for.
    fn filler_ahead(self: &Arc<Self>, column: usize, rows: Range<u64>) -> Box<Filler> {
        let (fitted, mut at) = (self.clone(), rows.start);
        let (mut ahead, mut taken) = (Vec::new(), 0);
        Box::new(move |mut out: &mut [f64]| {
            while !out.is_empty() {
                if taken == ahead.len() {
                    let wanted = (rows.end.saturating_sub(at)).min(AHEAD).max(out.len() as u64);
                    ahead.resize(wanted as usize, 0.0);
                    fitted.fill(column, at..at + wanted, &mut ahead)?;
                    (at, taken) = (at + wanted, 0);
                }
                let step = out.len().min(ahead.len() - taken);
                let (now, later) = out.split_at_mut(step);
                now.copy_from_slice(&ahead[taken..taken + step]);
                (out, taken) = (later, taken + step);
            }
            Ok(())
        })
    }

    /// Goes through all normalised rows, which are not kept.
    ///
    /// # Errors
    /// Those of [`fill`](Self::fill).
    pub fn fill_all(&self) -> Result<()> {
        /// Blocks that a worker takes at once.
        const RUN: u64 = 16 * BLOCK_ROWS;
        let rows = self.source.rows();
        let runs: Vec<(usize, Range<u64>)> = (0..self.source.columns())
            .flat_map(|column| {
                (0..rows.div_ceil(RUN)).map(move |run| (column, run * RUN..rows.min((run + 1) * RUN)))
            })
            .collect();
        runs.into_par_iter().try_for_each_init(Vec::new, |out, (column, rows)| {
            out.resize((rows.end - rows.start) as usize, 0.0);
            self.fill(column, rows, out)
        })
    }

    /// What is told of each column.
    ///
    /// # Errors
    /// Those of [`fill`](Self::fill).
    pub fn results(&self) -> Result<Columns<NormalizedColumn>> {
        let shown = self.source.rows().min(SHOWN);
        let result = |(column, fit): (usize, &Fit)| {
            let mut first = vec![0.0; shown as usize];
            self.fill(column, 0..shown, &mut first)?;
            let first = first.into_iter().map(WrittenValue).collect();
            Ok((self.source.name(column).to_owned(), describe(fit, first)))
        };
        self.fits.iter().enumerate().map(result).collect()
    }
}

fn describe(fit: &Fit, normalized_data: Vec<WrittenValue>) -> NormalizedColumn {
    let summary = &fit.summary;
    NormalizedColumn {
        count: summary.count,
        missing: summary.missing,
        infinite: summary.positive_infinite + summary.negative_infinite,
        mean: summary.mean,
        std_dev: summary.std_dev,
        min: summary.min,
        max: summary.max,
        parameters: ScalerParameters {
            center: fit.parameters.center,
            scale: fit.parameters.scale,
            half_scale: fit.parameters.half_scale,
        },
        normalized_data,
        warnings: fit.warnings.iter().map(|w| w.name().to_owned()).collect(),
    }
}
