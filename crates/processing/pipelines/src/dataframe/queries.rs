//! The queries of the `dataframe` pipeline: location and spread of many columns in one scan, then each
//! column's value counts and all that is counted.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use caudal_core::ports::CancelToken;
use caudal_kernels::{
    HistogramBins, MomentSummary, PERCENTILES, Profile, Quartiles, ZscoreCounts, ZscoreThreshold,
    histogram_edges, quartiles,
};
use caudal_storage::Table;
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, first_value, max, min, sum};
use datafusion::prelude::{DataFrame, Expr, ExprFunctionExt, SessionContext, col, lit};

use super::moments_udaf::{self, moments_udaf};
use super::percentiles_udaf::percentiles_udaf;
use super::provider::{BLOCK, column_name, provider};

/// What queries run with.
pub(super) struct Queries {
    pub session: SessionContext,
    pub partitions: usize,
    pub cancel: CancelToken,
}

/// Where a column's values lie.
pub(super) struct Distribution {
    moments: MomentSummary,
    percentiles: [Option<f64>; PERCENTILES.len()],
    quartiles: Quartiles,
}

impl Queries {
    fn read(&self, table: &Arc<Table>, columns: Range<usize>) -> Result<DataFrame> {
        self.session.read_table(Arc::new(provider(table, columns, self.partitions, &self.cancel)?))
    }

    /// Counts, moments and percentiles of each column, in one scan.
    pub async fn distributions(
        &self,
        table: &Arc<Table>,
        columns: Range<usize>,
    ) -> Result<Vec<Distribution>> {
        let aggregates = columns.clone().flat_map(|i| {
            let x = || col(column_name(i));
            [
                count(lit(1_i64)).alias(named("rows", i)),
                count(x()).alias(named("present", i)),
                counted(x().eq(lit(f64::INFINITY))).alias(named("positive_infinite", i)),
                counted(x().eq(lit(f64::NEG_INFINITY))).alias(named("negative_infinite", i)),
                over_finite(min(x()), x()).alias(named("min", i)),
                over_finite(max(x()), x()).alias(named("max", i)),
                moments_udaf().call(vec![col(BLOCK), x()]).alias(named("moments", i)),
                percentiles_udaf().call(vec![x()]).alias(named("percentiles", i)),
            ]
        });
        let found = self.read(table, columns.clone())?.aggregate(vec![], aggregates.collect())?;
        let row = Row::of(found).await?;
        columns.map(|i| row.distribution(i)).collect()
    }

    /// Moments alone of each column, in one scan.
    pub async fn moments(&self, table: &Arc<Table>, columns: Range<usize>) -> Result<Vec<MomentSummary>> {
        let aggregates = columns
            .clone()
            .map(|i| moments_udaf().call(vec![col(BLOCK), col(column_name(i))]).alias(named("moments", i)));
        let found = self.read(table, columns.clone())?.aggregate(vec![], aggregates.collect())?;
        let row = Row::of(found).await?;
        columns.map(|i| row.moments(&named("moments", i))).collect()
    }

    /// Every count, from the column's distinct finite values and how often each occurs.
    pub async fn value_counts(&self, table: &Arc<Table>, i: usize, column: Distribution) -> Result<Profile> {
        let edges = column.edges();
        let x = col(column_name(i));
        let values = self
            .read(table, i..i + 1)?
            .filter(finite(x.clone()))?
            .aggregate(vec![x.alias(VALUE)], vec![count(lit(1_i64)).alias(TIMES)])?;
        let mut aggregates = column.counts();
        let starts = edges.iter().enumerate().take(edges.len().saturating_sub(1));
        aggregates.extend(
            starts.map(|(j, edge)| occurrences(col(VALUE).gt_eq(lit(*edge))).alias(named("from_edge", j))),
        );
        let row = Row::of(values.aggregate(vec![], aggregates)?).await?;
        row.profile(column, edges)
    }
}

/// A distinct value, and how often it occurs.
const VALUE: &str = "value";
const TIMES: &str = "times";

impl Distribution {
    fn edges(&self) -> Vec<f64> {
        let ends = self.moments.min.zip(self.moments.max);
        ends.map_or_else(Vec::new, |(min, max)| histogram_edges(min, max))
    }

    /// What is counted of the relation of values and times, but for the histogram.
    fn counts(&self) -> Vec<Expr> {
        let value = || col(VALUE);
        let most_frequent_first = vec![col(TIMES).sort(false, false), value().sort(true, false)];
        let below = self.quartiles.lower_fence.map(|fence| value().lt(lit(fence)));
        let above = self.quartiles.upper_fence.map(|fence| value().gt(lit(fence)));
        let outside = below.into_iter().chain(above).reduce(Expr::or).unwrap_or_else(|| lit(false));
        let (outlier, borderline) = self.beyond_three_deviations();
        vec![
            count(lit(1_i64)).alias("distinct"),
            first_value(value(), most_frequent_first).alias("mode"),
            max(col(TIMES)).alias("frequency"),
            occurrences(value().eq(lit(0.0))).alias("zeros"),
            occurrences(value().lt(lit(0.0))).alias("negatives"),
            occurrences(outside).alias("outliers"),
            occurrences(outlier).alias("zscore_outliers"),
            occurrences(borderline).alias("zscore_borderline"),
        ]
    }

    /// Whether a value is a z-score outlier, and whether another rounding might decide otherwise.
    fn beyond_three_deviations(&self) -> (Expr, Expr) {
        let (Some(mean), Some(std_dev)) = (self.moments.mean, self.moments.std_dev) else {
            return (lit(false), lit(false));
        };
        if std_dev == 0.0 {
            return (lit(false), lit(false));
        }
        let threshold = ZscoreThreshold::new(mean, std_dev);
        let deviation = || (col(VALUE) * lit(threshold.before) - lit(threshold.mean)) * lit(threshold.after);
        let within = |excess: Expr| excess.between(lit(-threshold.band), lit(threshold.band));
        let (above, below) = (deviation() - lit(threshold.limit), lit(-threshold.limit) - deviation());
        let outlier = deviation().gt(lit(threshold.limit)).or(deviation().lt(lit(-threshold.limit)));
        (outlier, within(above).or(within(below)))
    }
}

fn named(statistic: &str, number: usize) -> String {
    format!("{statistic}_{number}")
}

fn finite(x: Expr) -> Expr {
    x.between(lit(f64::MIN), lit(f64::MAX))
}

/// An aggregate over the rows where x is finite.
fn over_finite(aggregate: Expr, x: Expr) -> Expr {
    filtered(aggregate, finite(x))
}

/// Rows where a condition holds.
fn counted(condition: Expr) -> Expr {
    filtered(count(lit(1_i64)), condition)
}

/// Source rows whose value meets a condition, in the relation of values and times; null for none.
fn occurrences(condition: Expr) -> Expr {
    filtered(sum(col(TIMES)), condition)
}

fn filtered(aggregate: Expr, condition: Expr) -> Expr {
    aggregate.filter(condition).build().expect("an aggregate takes a filter")
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

    /// A count; a sum over nothing is 0.
    fn count(&self, name: &str) -> Result<u64> {
        let array = self.array(name)?.as_primitive::<Int64Type>();
        Ok(array.iter().next().flatten().map_or(0, i64::cast_unsigned))
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        Ok(self.array(name)?.as_primitive::<Float64Type>().iter().next().flatten())
    }

    fn moments(&self, name: &str) -> Result<MomentSummary> {
        Ok(moments_udaf::read(self.array(name)?.as_binary::<i32>().value(0))?.summary())
    }

    fn distribution(&self, i: usize) -> Result<Distribution> {
        let count = |statistic| self.count(&named(statistic, i));
        let (rows, present) = (count("rows")?, count("present")?);
        let (positive, negative) = (count("positive_infinite")?, count("negative_infinite")?);
        let moments = MomentSummary {
            rows,
            missing: rows - present,
            positive_infinite: positive,
            negative_infinite: negative,
            count: present - positive - negative,
            min: self.number(&named("min", i))?,
            max: self.number(&named("max", i))?,
            ..self.moments(&named("moments", i))?
        };
        let list = self.array(&named("percentiles", i))?.as_list::<i32>().value(0);
        let list = list.as_primitive::<Float64Type>();
        let percentiles = std::array::from_fn(|k| list.is_valid(k).then(|| list.value(k)));
        let percentile = |p| PERCENTILES.iter().zip(percentiles).find(|(q, _)| **q == p).and_then(|(_, x)| x);
        let pair = percentile(25).zip(percentile(75));
        let quartiles = pair.map_or_else(Quartiles::default, |(q1, q3)| quartiles(q1, q3));
        Ok(Distribution { moments, percentiles, quartiles })
    }

    fn profile(&self, column: Distribution, edges: Vec<f64>) -> Result<Profile> {
        let bins = edges.len().saturating_sub(1);
        let mut from_edge =
            (0..bins).map(|j| self.count(&named("from_edge", j))).collect::<Result<Vec<_>>>()?;
        from_edge.push(0);
        let counts = from_edge.windows(2).map(|pair| pair[0] - pair[1]).collect();
        let frequency = self.count("frequency")?;
        Ok(Profile {
            mode: self.number("mode")?.map(|value| (value, frequency)),
            outliers: self.count("outliers")?,
            zscore: ZscoreCounts {
                outliers: self.count("zscore_outliers")?,
                borderline: self.count("zscore_borderline")?,
            },
            zeros: self.count("zeros")?,
            negatives: self.count("negatives")?,
            distinct: Some(self.count("distinct")?),
            histogram: HistogramBins { edges, counts: if bins == 0 { Vec::new() } else { counts } },
            moments: column.moments,
            percentiles: column.percentiles,
            quartiles: column.quartiles,
        })
    }
}
