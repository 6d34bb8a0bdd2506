//! Tests: both pipelines say the same of every column, and the same bits for any number of partitions.

use std::sync::Arc;

use caudal_core::ErrorKind;
use caudal_core::request::StatisticsLevel;
use caudal_core::results::{ColumnStatistics, Columns};
use caudal_kernels::BLOCK_ROWS;
use caudal_storage::{Column, Source, Table};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::calibration::nobody;
use crate::dataframe::Engine;
use crate::rdd;

/// Bytes; little enough that different values are counted in rounds.
const MEMORY: u64 = 1 << 20;

fn table(columns: impl IntoIterator<Item = Vec<f64>>) -> Arc<Source> {
    let columns: Vec<Column> = columns
        .into_iter()
        .enumerate()
        .map(|(i, values)| Column { name: format!("column {i}"), values, ..Column::default() })
        .collect();
    Arc::new(Source::from(Table { rows: columns[0].values.len(), columns, ..Table::default() }))
}

fn by_rdd(table: &Arc<Source>) -> Columns<ColumnStatistics> {
    rdd::profile(table, Some(table), StatisticsLevel::Full, MEMORY, &nobody()).unwrap()
}

fn by_dataframe(table: &Arc<Source>, partitions: usize) -> Columns<ColumnStatistics> {
    let engine = Engine::with_partitions(partitions).unwrap();
    let input = nobody();
    let profile = engine.profile(table.clone(), Some(table.clone()), StatisticsLevel::Full, MEMORY, &input);
    Runtime::new().unwrap().block_on(profile).unwrap()
}

/// A column over several blocks with values that repeat, missing and infinite ones among them.
fn long(rows: usize) -> Vec<f64> {
    let value = |i: usize| match i % 101 {
        0 => f64::NAN,
        1 => f64::INFINITY,
        2 => f64::NEG_INFINITY,
        3 => -0.0,
        _ => ((i * 7919) % 100_003) as f64 / 7.0 - 5000.0,
    };
    (0..rows).map(value).collect()
}

#[test]
fn both_agree_on_columns_that_are_hard_to_count() {
    let nan = f64::NAN;
    for column in [
        vec![1.0, 2.0, 3.0, 4.0],
        vec![5.0],
        vec![nan, nan],
        vec![f64::INFINITY, f64::NEG_INFINITY, nan, 1.0],
        vec![f64::INFINITY],
        vec![-0.0, 0.0, -0.0],
        vec![7.5; 1000],
        vec![0.0, 0.0, 0.0, 0.0, 1.0],
        vec![1e308, -1e308, 1.7e308, -1.7e308],
        vec![f64::MAX, f64::MAX],
        vec![f64::MAX, f64::MIN],
        vec![5e-324, 1e-323, 0.0, -5e-324],
        vec![1e9 + 0.1, 1e9 - 0.1, 1e9],
        vec![1.0, 1.0, 2.0, 2.0, nan, 3.0],
        (0..30).map(|i| if i == 0 { 1e6 } else { f64::from(i) }).collect(),
        long(2_500),
    ] {
        let shown: Vec<f64> = column.iter().take(6).copied().collect();
        let table = table([column]);
        assert_eq!(by_dataframe(&table, 2), by_rdd(&table), "{shown:?}…");
    }
}

#[test]
fn the_bits_are_the_same_for_any_number_of_partitions() {
    let rows = 3 * BLOCK_ROWS + 17;
    let table = table([long(rows), (0..rows).map(|i| i as f64).collect()]);
    let expected = by_rdd(&table);
    for partitions in 1..=5 {
        assert_eq!(by_dataframe(&table, partitions), expected, "{partitions} partitions");
    }
}

#[test]
fn more_columns_than_one_scan_takes_come_in_their_order() {
    let table = table((0..35).map(|c| (0..50).map(|i| f64::from(i * c)).collect()));
    let found = by_dataframe(&table, 2);
    assert_eq!(found, by_rdd(&table));
    assert_eq!(found.keys().nth(20).unwrap(), "column 20");
}

#[test]
fn a_cancelled_job_stops_within_a_query() {
    let engine = Engine::with_partitions(2).unwrap();
    let input = nobody();
    input.cancel.cancel();
    let profile = engine.profile(table([long(10)]), None, StatisticsLevel::Full, MEMORY, &input);
    let error = Runtime::new().unwrap().block_on(profile).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Cancelled);
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1e3..1e3,
        2 => (-5i32..5).prop_map(f64::from),
        1 => any::<f64>(),
        1 => Just(f64::NAN),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_agree_on_any_column(values in prop::collection::vec(any_value(), 1..60)) {
        let table = table([values]);
        prop_assert_eq!(by_dataframe(&table, 2), by_rdd(&table));
    }
}
