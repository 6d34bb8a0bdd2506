//! When a job goes to Apache Spark: where it is asked for, or where the measured break-even says so.

use caudal_core::job::SourceDescription;
use caudal_core::request::{EngineChoice, JobRequest, PipelineType};
use caudal_core::spark::SparkSurvey;
use caudal_core::{Error, ErrorKind, Result};

use crate::calibration::Calibration;
use crate::planner::{MeasuredPlanner, duration};

/// An engine, and why.
pub(crate) struct Chosen {
    /// Its name as it appears in results.
    pub engine: String,
    pub on_spark: bool,
    pub why: String,
}

/// What Spark takes for a job, as measured with its own metrics (docs/benchmarks.md): seconds besides its tasks, and
/// seconds of one core for each cell by each pipeline, normalisation included.
const SPARK_STARTS: f64 = 6.0;
const RDD_CELL: f64 = 2.1e-7;
const DATAFRAME_CELL: f64 = 5.5e-7;

/// Below this Spark still starts while the embedded engine has finished, whatever the cluster.
const WORTH_A_LOOK: u64 = 100_000_000;

/// A cluster that a request can ask for without naming anything larger: ten executors of two cores.
const USUAL_CORES: u32 = 20;

impl MeasuredPlanner {
    pub(crate) async fn engine(&self, request: &JobRequest, source: &SourceDescription) -> Result<Chosen> {
        match request.engine {
            EngineChoice::Embedded => Ok(embedded("it was asked for".into())),
            EngineChoice::Spark => Ok(on_spark(self.survey(request).await?, "it was asked for".into())),
            EngineChoice::Auto if source.cells() < WORTH_A_LOOK => {
                Ok(embedded(format!("{} values are done before Spark has started", source.cells())))
            }
            EngineChoice::Auto => {
                let here = embedded_seconds(&self.calibration().await?, request.pipeline_type, source);
                Ok(match self.survey(request).await {
                    Ok(survey) => weigh(here, source.cells(), request.pipeline_type, survey),
                    Err(_) => embedded(advice(here, source.cells(), request.pipeline_type)),
                })
            }
        }
    }

    async fn survey(&self, request: &JobRequest) -> Result<SparkSurvey> {
        match &self.spark {
            Some(spark) => spark.survey(request.spark_config.as_ref()).await,
            None => {
                let detail = "this build does not submit jobs to Apache Spark";
                Err(Error::new(ErrorKind::UnavailableEngine, detail).hint("ask for engine auto or embedded"))
            }
        }
    }
}

fn embedded(why: String) -> Chosen {
    Chosen { engine: "embedded".into(), on_spark: false, why }
}

fn on_spark(survey: SparkSurvey, why: String) -> Chosen {
    Chosen { engine: survey.name, on_spark: true, why }
}

/// Of a cell, in seconds of one core.
fn spark_cell(asked: PipelineType) -> f64 {
    match asked {
        PipelineType::Rdd | PipelineType::Auto => RDD_CELL,
        PipelineType::Dataframe => DATAFRAME_CELL,
        PipelineType::Both => RDD_CELL + DATAFRAME_CELL,
    }
}

fn embedded_seconds(costs: &Calibration, asked: PipelineType, source: &SourceDescription) -> f64 {
    let (rows, columns) = (source.rows, source.columns.len() as u64);
    let (rdd, dataframe) = (costs.rdd.seconds(rows, columns), costs.dataframe.seconds(rows, columns));
    match asked {
        PipelineType::Rdd => rdd,
        PipelineType::Dataframe => dataframe,
        PipelineType::Both => rdd + dataframe,
        PipelineType::Auto => rdd.min(dataframe),
    }
}

fn spark_seconds(cells: u64, asked: PipelineType, cores: u32) -> f64 {
    SPARK_STARTS + cells as f64 * spark_cell(asked) / f64::from(cores.max(1))
}

fn weigh(here: f64, cells: u64, asked: PipelineType, survey: SparkSurvey) -> Chosen {
    let there = spark_seconds(cells, asked, survey.cores);
    let compared = format!(
        "{cells} values take {} here by measurement, and about {} on the {} cores of {}",
        duration(here),
        duration(there),
        survey.cores,
        survey.name
    );
    match there < here {
        true => on_spark(survey, compared),
        false if survey.local => embedded(advice(here, cells, asked)),
        false => embedded(compared),
    }
}

/// What a cluster would have brought, where it would have.
fn advice(here: f64, cells: u64, asked: PipelineType) -> String {
    let there = spark_seconds(cells, asked, USUAL_CORES);
    match there < here {
        true => format!(
            "no Spark cluster is configured; on one of {USUAL_CORES} cores this would take about {} and not {} (docs/spark.md)",
            duration(there),
            duration(here)
        ),
        false => format!(
            "{cells} values take {} here by measurement, and a Spark cluster of {USUAL_CORES} cores would not be quicker",
            duration(here)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(cores: u32, local: bool) -> SparkSurvey {
        SparkSurvey { name: "spark 3.4.4 on somewhere".into(), cores, local }
    }

    #[test]
    fn a_job_goes_to_spark_only_where_the_cluster_makes_up_for_the_start() {
        // 1e9 values: 210 seconds of a core of Spark, and 10 seconds here.
        let weigh = |survey| weigh(10.0, 1_000_000_000, PipelineType::Rdd, survey);
        assert!(!weigh(cluster(2, true)).on_spark);
        assert!(!weigh(cluster(20, false)).on_spark);
        let chosen = weigh(cluster(200, false));
        assert!(chosen.on_spark, "{}", chosen.why);
        assert!(
            chosen.why.contains("10.00 s here") && chosen.why.contains("7.05 s on the 200 cores"),
            "{}",
            chosen.why
        );
    }

    #[test]
    fn without_a_cluster_it_is_said_when_one_would_have_been_better() {
        let slow = advice(100.0, 1_000_000_000, PipelineType::Rdd);
        assert!(slow.contains("no Spark cluster is configured") && slow.contains("16.50 s"), "{slow}");
        assert!(advice(10.0, 1_000_000_000, PipelineType::Rdd).contains("would not be quicker"));
    }
}
