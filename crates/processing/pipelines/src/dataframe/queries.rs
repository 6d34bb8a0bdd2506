//! The queries of the `dataframe` pipeline: what DataFusion counts itself and the first pass of many columns in one
//! scan, then the passes that are left, each in a scan for all columns that want one.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use caudal_core::ports::CancelToken;
use caudal_kernels::{MomentSummary, Pass, Profile, Profiling, Share};
use caudal_storage::{Source, Steps};
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::prelude::{DataFrame, Expr, ExprFunctionExt, SessionContext, col, lit};

use super::pass_udaf::{Shelf, pass_udaf};
use super::provider::{BLOCK, column_name, provider};

/// What queries run with.
pub(super) struct Queries {
    pub session: SessionContext,
    pub partitions: usize,
    pub cancel: CancelToken,
}

impl Queries {
    fn read(&self, source: &Arc<Source>, columns: &[usize], steps: &Steps) -> Result<DataFrame> {
        let provider = provider(source, columns, self.partitions, &self.cancel, steps)?;
        self.session.read_table(Arc::new(provider))
    }

    /// The profiles of some columns, each with a profiling that has not begun.
    pub async fn profiles(
        &self,
        source: &Arc<Source>,
        columns: Range<usize>,
        mut profilings: Vec<Profiling>,
        steps: &Steps,
    ) -> Result<Vec<Profile>> {
        let all: Vec<usize> = columns.collect();
        let mut counts = Vec::with_capacity(all.len());
        loop {
            let wanting: Vec<usize> = (0..all.len()).filter(|i| profilings[*i].pass().is_some()).collect();
            if wanting.is_empty() {
                break;
            }
            let columns: Vec<usize> = wanting.iter().map(|i| all[*i]).collect();
            let shelf = Arc::new(Shelf::default());
            let passes = wanting
                .iter()
                .zip(&columns)
                .filter_map(|(i, column)| profilings[*i].pass().map(|pass| passed(pass, &shelf, *column)));
            let first = counts.is_empty();
            let natives = columns.iter().filter(|_| first).flat_map(|column| native(*column));
            let aggregates: Vec<Expr> = passes.chain(natives).collect();
            let row = Row::of(self.read(source, &columns, steps)?.aggregate(vec![], aggregates)?).await?;
            for (i, column) in wanting.into_iter().zip(columns) {
                profilings[i].take(row.shares(&shelf, column)?);
                if first {
                    counts.push(row.counts(column)?);
                }
            }
        }
        let profiles = profilings.into_iter().map(Profiling::finish).zip(counts);
        Ok(profiles.map(|(profile, counts)| counts.into_profile(profile)).collect())
    }

    /// Moments alone of each column, in one scan.
    pub async fn moments(
        &self,
        source: &Arc<Source>,
        columns: Range<usize>,
        steps: &Steps,
    ) -> Result<Vec<MomentSummary>> {
        let (columns, shelf) = (columns.collect::<Vec<_>>(), Arc::new(Shelf::default()));
        let aggregates = columns.iter().map(|i| passed(&Pass::Moments, &shelf, *i)).collect();
        let row = Row::of(self.read(source, &columns, steps)?.aggregate(vec![], aggregates)?).await?;
        columns.into_iter().map(|i| Ok(Share::moments(row.shares(&shelf, i)?).summary())).collect()
    }
}

fn passed(pass: &Pass, shelf: &Arc<Shelf>, i: usize) -> Expr {
    pass_udaf(pass, shelf).call(vec![col(BLOCK), col(column_name(i))]).alias(named("pass", i))
}

/// What DataFusion answers exactly itself.
fn native(i: usize) -> [Expr; 6] {
    let x = || col(column_name(i));
    [
        count(lit(1_i64)).alias(named("rows", i)),
        count(x()).alias(named("present", i)),
        counted(x().eq(lit(f64::INFINITY))).alias(named("positive_infinite", i)),
        counted(x().eq(lit(f64::NEG_INFINITY))).alias(named("negative_infinite", i)),
        over_finite(min(x()), x()).alias(named("min", i)),
        over_finite(max(x()), x()).alias(named("max", i)),
    ]
}

fn named(statistic: &str, number: usize) -> String {
    format!("{statistic}_{number}")
}

/// An aggregate over the rows where x is finite.
fn over_finite(aggregate: Expr, x: Expr) -> Expr {
    filtered(aggregate, x.between(lit(f64::MIN), lit(f64::MAX)))
}

/// Rows where a condition holds.
fn counted(condition: Expr) -> Expr {
    filtered(count(lit(1_i64)), condition)
}

fn filtered(aggregate: Expr, condition: Expr) -> Expr {
    aggregate.filter(condition).build().expect("an aggregate takes a filter")
}

/// What DataFusion counted of a column.
struct Counts {
    rows: u64,
    present: u64,
    positive_infinite: u64,
    negative_infinite: u64,
    min: Option<f64>,
    max: Option<f64>,
}

impl Counts {
    /// The profile with these in place of what our kernels counted, so that a comparison of the pipelines compares them.
    fn into_profile(self, profile: Profile) -> Profile {
        let moments = MomentSummary {
            rows: self.rows,
            missing: self.rows - self.present,
            positive_infinite: self.positive_infinite,
            negative_infinite: self.negative_infinite,
            count: self.present - self.positive_infinite - self.negative_infinite,
            min: self.min,
            max: self.max,
            ..profile.moments
        };
        Profile { moments, ..profile }
    }
}

/// The one row that an aggregate without groups gives.
struct Row(RecordBatch);

impl Row {
    async fn of(found: DataFrame) -> Result<Row> {
        let batches = found.collect().await?;
        let row = batches.into_iter().find(|batch| batch.num_rows() == 1);
        row.map(Row).ok_or_else(|| exec_datafusion_err!("an aggregate gave no row"))
    }

    fn array(&self, name: &str) -> Result<&Arc<dyn Array>> {
        self.0.column_by_name(name).ok_or_else(|| exec_datafusion_err!("there is no {name} in the answer"))
    }

    fn shares(&self, shelf: &Shelf, i: usize) -> Result<Vec<Share>> {
        Ok(shelf.take(self.array(&named("pass", i))?))
    }

    fn count(&self, name: &str) -> Result<u64> {
        let array = self.array(name)?.as_primitive::<Int64Type>();
        Ok(array.iter().next().flatten().map_or(0, i64::cast_unsigned))
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        Ok(self.array(name)?.as_primitive::<Float64Type>().iter().next().flatten())
    }

    fn counts(&self, i: usize) -> Result<Counts> {
        let count = |statistic| self.count(&named(statistic, i));
        Ok(Counts {
            rows: count("rows")?,
            present: count("present")?,
            positive_infinite: count("positive_infinite")?,
            negative_infinite: count("negative_infinite")?,
            min: self.number(&named("min", i))?,
            max: self.number(&named("max", i))?,
        })
    }
}
