//! What each pipeline costs on this host, measured on made-up columns of two sizes.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use caudal_core::job::{JobId, JobRecord, LOCAL_OWNER};
use caudal_core::ports::{CancelToken, ProgressSink, StageInput};
use caudal_core::request::{JobRequest, StatisticsLevel};
use caudal_core::{Error, ErrorKind, Result};
use caudal_storage::{Column, Source, Table};
use serde::{Deserialize, Serialize};

use crate::dataframe::Engine;
use crate::rdd;

/// Rows of the two columns that are measured.
const SMALL: usize = 1_000;
const LARGE: usize = 200_000;

/// Times each measurement is taken; the quickest counts, since other work only ever adds.
const REPETITIONS: usize = 3;

/// What the pipelines cost on one host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub rdd: Cost,
    pub dataframe: Cost,
}

/// Seconds for a run: `fixed` for each column and `per_cell` for each of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub fixed: f64,
    pub per_cell: f64,
}

/// Where a calibration is kept between processes.
#[async_trait]
pub trait CalibrationCache: Send + Sync {
    async fn load(&self) -> Option<Calibration>;
    async fn store(&self, calibration: &Calibration);
}

impl Cost {
    /// Seconds for `columns` columns of `rows` rows.
    pub fn seconds(self, rows: u64, columns: u64) -> f64 {
        columns as f64 * (self.fixed + self.per_cell * rows as f64)
    }

    fn between(small: f64, large: f64) -> Cost {
        let per_cell = (large - small).max(0.0) / (LARGE - SMALL) as f64;
        Cost { fixed: (small - per_cell * SMALL as f64).max(0.0), per_cell }
    }
}

impl Calibration {
    /// Runs both pipelines; takes a fraction of a second.
    ///
    /// # Errors
    /// `Internal` when a pipeline fails.
    pub(crate) async fn measure() -> Result<Calibration> {
        let engine = Engine::new()?;
        let (small, large) = (Arc::new(made_up(SMALL)), Arc::new(made_up(LARGE)));
        Ok(Calibration {
            rdd: Cost::between(time_rdd(&small).await?, time_rdd(&large).await?),
            dataframe: Cost::between(
                time_dataframe(&engine, &small).await?,
                time_dataframe(&engine, &large).await?,
            ),
        })
    }
}

/// A name as part of a key.
#[expect(clippy::disallowed_methods, reason = "a measurement of this host reads its clock")]
async fn time_rdd(table: &Arc<Source>) -> Result<f64> {
    let mut quickest = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let (table, begun) = (table.clone(), Instant::now());
        let work = move || rdd::profile(&table, None, StatisticsLevel::Full, u64::MAX, &nobody());
        let stopped = |e| Error::new(ErrorKind::Internal, "the calibration stopped").cause(e);
        tokio::task::spawn_blocking(work).await.map_err(stopped)??;
        quickest = quickest.min(begun.elapsed().as_secs_f64());
    }
    Ok(quickest)
}

#[expect(clippy::disallowed_methods, reason = "a measurement of this host reads its clock")]
async fn time_dataframe(engine: &Engine, table: &Arc<Source>) -> Result<f64> {
    let mut quickest = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let begun = Instant::now();
        engine.profile(table.clone(), None, StatisticsLevel::Full, u64::MAX, &nobody()).await?;
        quickest = quickest.min(begun.elapsed().as_secs_f64());
    }
    Ok(quickest)
}

/// A column of numbers with three digits, some thousand of them different: what measured data looks like.
fn made_up(rows: usize) -> Source {
    let mut state = 0_u64;
    let values = (0..rows).map(|_| {
        // SplitMix64 (Steele, Lea and Flood, 2014); the sum of four digits' worth gives a bell.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let sum: u64 =
            mixed.to_le_bytes().chunks(2).map(|c| u64::from(c[0]) * 4 + u64::from(c[1] >> 6)).sum();
        sum as f64 / 1000.0
    });
    let column = Column { name: "value".into(), values: values.collect(), ..Column::default() };
    Source::from(Table { rows, columns: vec![column], ..Table::default() })
}

/// The input of a run that no job asked for.
pub(crate) fn nobody() -> StageInput {
    StageInput {
        record: Arc::new(JobRecord {
            job_id: JobId(Default::default()),
            owner: LOCAL_OWNER.into(),
            created_at: Default::default(),
            request: JobRequest::default(),
            inline: true,
        }),
        attempt: 0,
        cancel: CancelToken::default(),
        progress: ProgressSink::silent(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_through_two_measurements_gives_them_back() {
        let cost = Cost::between(0.010, 0.200);
        assert!((cost.seconds(SMALL as u64, 1) - 0.010).abs() < 1e-12);
        assert!((cost.seconds(LARGE as u64, 1) - 0.200).abs() < 1e-12);
        assert!((cost.seconds(LARGE as u64, 3) - 0.600).abs() < 1e-12);
    }
}
