//! Which pipelines, engine, device and output format a job gets, and why.

use std::sync::Arc;

use async_trait::async_trait;
use caudal_core::job::{PipelineKind, Plan, SourceDescription};
use caudal_core::ports::Planner;
use caudal_core::request::{
    DeviceChoice, JobRequest, MAX_INLINE_ELEMENTS, OutputFormat, PipelineType, SourceFormat,
};
use caudal_core::spark::SparkEngine;
use caudal_core::{Error, ErrorKind, Result};
use tokio::sync::OnceCell;

use crate::calibration::{Calibration, CalibrationCache};
use crate::spark_choice::Chosen;

/// Chooses by what was measured on this host.
pub struct MeasuredPlanner {
    cache: Arc<dyn CalibrationCache>,
    calibration: OnceCell<Calibration>,
    pub(crate) spark: Option<Arc<dyn SparkEngine>>,
}

impl MeasuredPlanner {
    /// `spark` where the build can submit to Apache Spark.
    pub fn new(cache: Arc<dyn CalibrationCache>, spark: Option<Arc<dyn SparkEngine>>) -> Self {
        MeasuredPlanner { cache, calibration: OnceCell::new(), spark }
    }

    /// Measures this host, unless the cache has it already; planning waits for it otherwise.
    ///
    /// # Errors
    /// `Internal` when a pipeline cannot run.
    pub async fn calibration(&self) -> Result<Calibration> {
        let measured = self.calibration.get_or_try_init(|| async {
            if let Some(known) = self.cache.load().await {
                return Ok(known);
            }
            let calibration = Calibration::measure().await?;
            self.cache.store(&calibration).await;
            Ok(calibration)
        });
        measured.await.copied()
    }

    async fn pipelines(
        &self,
        request: &JobRequest,
        source: &SourceDescription,
    ) -> Result<(Vec<PipelineKind>, String)> {
        let asked = |kinds| Ok((kinds, format!("pipeline {} was asked for", request.pipeline_type)));
        match request.pipeline_type {
            PipelineType::Rdd => asked(vec![PipelineKind::Rdd]),
            PipelineType::Dataframe => asked(vec![PipelineKind::Dataframe]),
            PipelineType::Both => asked(vec![PipelineKind::Rdd, PipelineKind::Dataframe]),
            PipelineType::Auto => {
                let costs = self.calibration().await?;
                let (rows, columns) = (source.rows, source.columns.len() as u64);
                let rdd = costs.rdd.seconds(rows, columns);
                let dataframe = costs.dataframe.seconds(rows, columns);
                let quicker = if rdd <= dataframe { PipelineKind::Rdd } else { PipelineKind::Dataframe };
                let why = format!(
                    "pipeline {}: by measurements on this host rdd takes {} and dataframe {}",
                    quicker.name(),
                    duration(rdd),
                    duration(dataframe)
                );
                Ok((vec![quicker], why))
            }
        }
    }
}

#[async_trait]
impl Planner for MeasuredPlanner {
    async fn plan(&self, request: &JobRequest, source: &SourceDescription) -> Result<Plan> {
        let Chosen { engine, on_spark, why: engine_reason } = self.engine(request, source).await?;
        let (device, fallback_reason) =
            if on_spark { on_cluster(request.device)? } else { device(request.device)? };
        let device_reason = match (on_spark, &fallback_reason) {
            (true, _) => "normalisation is the last pass of the same application",
            (false, Some(reason)) => reason,
            (false, None) => "it was asked for",
        };
        let (pipelines, pipeline_reason) = match on_spark {
            true => on_executors(request.pipeline_type),
            false => self.pipelines(request, source).await?,
        };
        let (output_format, format_reason) = output_format(request.output_format, source);
        let why = [
            format!("engine {engine}: {engine_reason}"),
            format!("device {device}: {device_reason}"),
            pipeline_reason,
            format_reason,
        ];
        Ok(Plan {
            pipelines,
            normalization: request.normalization,
            statistics: request.statistics,
            output_format,
            engine,
            on_spark,
            device: device.into(),
            fallback_reason,
            why: why.join("; "),
        })
    }
}

fn device(choice: DeviceChoice) -> Result<(&'static str, Option<String>)> {
    match choice {
        DeviceChoice::Cpu => Ok(("cpu", None)),
        DeviceChoice::Auto => Ok(("cpu", Some("this build has no GPU support".into()))),
        DeviceChoice::Gpu => Err(Error::new(ErrorKind::UnavailableEngine, "this build has no GPU support")
            .hint("ask for device auto or cpu")),
    }
}

/// Executors have no GPU.
fn on_cluster(choice: DeviceChoice) -> Result<(&'static str, Option<String>)> {
    match choice {
        DeviceChoice::Cpu | DeviceChoice::Auto => Ok(("spark", None)),
        DeviceChoice::Gpu => Err(Error::new(
            ErrorKind::UnavailableEngine,
            "a job on Spark normalises on its executors, without a GPU",
        )
        .hint("ask for device auto, or for engine embedded")),
    }
}

/// On Spark the rdd pipeline is the quicker one at every size that was measured (docs/benchmarks.md).
fn on_executors(asked: PipelineType) -> (Vec<PipelineKind>, String) {
    let reason = match asked {
        PipelineType::Auto => {
            "pipeline rdd: on Spark it was the quicker at every size that was measured".into()
        }
        asked => format!("pipeline {asked} was asked for"),
    };
    let kinds = match asked {
        PipelineType::Auto | PipelineType::Rdd => vec![PipelineKind::Rdd],
        PipelineType::Dataframe => vec![PipelineKind::Dataframe],
        PipelineType::Both => vec![PipelineKind::Rdd, PipelineKind::Dataframe],
    };
    (kinds, reason)
}

/// Bytes of the shortest cell of a text: a digit and what parts it from the next.
const SHORTEST_CELL: u64 = 2;

fn output_format(asked: Option<OutputFormat>, source: &SourceDescription) -> (OutputFormat, String) {
    let cells = source.cells();
    let many = cells > MAX_INLINE_ELEMENTS;
    let text = matches!(source.format, Some(SourceFormat::Csv | SourceFormat::Ndjson));
    if asked.is_none() && cells == 0 && text && source.bytes_read > SHORTEST_CELL * MAX_INLINE_ELEMENTS {
        let reason =
            "output format parquet: how many values there are is not known before Spark has read them";
        return (OutputFormat::Parquet, reason.into());
    }
    match asked {
        Some(format) => (format, format!("output format {format} was asked for")),
        None if many => (
            OutputFormat::Parquet,
            format!("output format parquet: {cells} values are more than one JSON document should hold"),
        ),
        None => (OutputFormat::Json, "output format json: the default".into()),
    }
}

/// Seconds for people, with three digits.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s => format!("{:.3} ms", s * 1e3),
    }
}

#[cfg(test)]
mod tests {
    use caudal_core::job::ColumnDescription;
    use caudal_core::request::EngineChoice;

    use super::*;
    use crate::calibration::Cost;

    struct Known(Calibration);

    #[async_trait]
    impl CalibrationCache for Known {
        async fn load(&self) -> Option<Calibration> {
            Some(self.0)
        }

        async fn store(&self, _: &Calibration) {}
    }

    /// A host on which rdd starts quickly and dataframe goes quickly.
    fn planner() -> MeasuredPlanner {
        MeasuredPlanner::new(
            Arc::new(Known(Calibration {
                rdd: Cost { fixed: 1e-5, per_cell: 1e-7 },
                dataframe: Cost { fixed: 5e-3, per_cell: 1e-8 },
            })),
            None,
        )
    }

    fn source(rows: u64) -> SourceDescription {
        let column = ColumnDescription { name: "x".into(), data_type: "Float64".into() };
        SourceDescription { format: None, rows, bytes_read: 0, columns: vec![column], skipped: Vec::new() }
    }

    async fn plan(request: JobRequest, rows: u64) -> Plan {
        planner().plan(&request, &source(rows)).await.unwrap()
    }

    #[tokio::test]
    async fn auto_takes_the_quicker_pipeline_for_the_size() {
        let few = plan(JobRequest::default(), 5).await;
        assert_eq!(few.pipelines, [PipelineKind::Rdd]);
        let many = plan(JobRequest::default(), 10_000_000).await;
        assert_eq!(many.pipelines, [PipelineKind::Dataframe]);
        assert!(many.why.contains("rdd takes 1.00 s and dataframe 105.000 ms"), "{}", many.why);
    }

    #[tokio::test]
    async fn both_run_one_after_the_other() {
        let request = JobRequest { pipeline_type: PipelineType::Both, ..JobRequest::default() };
        assert_eq!(plan(request, 5).await.pipelines, [PipelineKind::Rdd, PipelineKind::Dataframe]);
    }

    #[tokio::test]
    async fn one_document_up_to_a_million_values_and_parquet_beyond() {
        assert_eq!(plan(JobRequest::default(), 1_000_000).await.output_format, OutputFormat::Json);
        assert_eq!(plan(JobRequest::default(), 1_000_001).await.output_format, OutputFormat::Parquet);
        let asked = JobRequest { output_format: Some(OutputFormat::Json), ..JobRequest::default() };
        assert_eq!(plan(asked, 2_000_000).await.output_format, OutputFormat::Json);
    }

    #[tokio::test]
    async fn what_this_build_cannot_do_is_refused_or_said() {
        let spark = JobRequest { engine: EngineChoice::Spark, ..JobRequest::default() };
        let error = planner().plan(&spark, &source(1)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::UnavailableEngine);
        let gpu = JobRequest { device: DeviceChoice::Gpu, ..JobRequest::default() };
        assert!(planner().plan(&gpu, &source(1)).await.is_err());
        let auto = plan(JobRequest::default(), 1).await;
        assert_eq!((auto.device.as_str(), auto.fallback_reason.is_some()), ("cpu", true));
    }

    #[tokio::test]
    async fn a_host_is_measured_once_and_the_measurement_kept() {
        use std::sync::Mutex;

        #[derive(Default)]
        struct Empty(Mutex<Vec<Calibration>>);

        #[async_trait]
        impl CalibrationCache for Empty {
            async fn load(&self) -> Option<Calibration> {
                None
            }

            async fn store(&self, calibration: &Calibration) {
                self.0.lock().unwrap().push(*calibration);
            }
        }

        let cache = Arc::new(Empty::default());
        let planner = MeasuredPlanner::new(cache.clone(), None);
        let first = planner.calibration().await.unwrap();
        assert_eq!(planner.calibration().await.unwrap(), first);
        assert_eq!(*cache.0.lock().unwrap(), [first]);
        assert!(first.rdd.per_cell > 0.0 && first.dataframe.per_cell > 0.0, "{first:?}");
    }
}
