//! Which pipelines, engine, device and output format a job gets, and why.

use std::sync::Arc;

use async_trait::async_trait;
use caudal_core::job::{PipelineKind, Plan, SourceDescription};
use caudal_core::ports::{ChosenDevice, DevicePlanner, Planner};
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
    devices: Arc<dyn DevicePlanner>,
    pub(crate) spark: Option<Arc<dyn SparkEngine>>,
}

impl MeasuredPlanner {
    /// `spark` where the build can submit to Apache Spark.
    pub fn new(
        cache: Arc<dyn CalibrationCache>,
        devices: Arc<dyn DevicePlanner>,
        spark: Option<Arc<dyn SparkEngine>>,
    ) -> Self {
        MeasuredPlanner { cache, calibration: OnceCell::new(), devices, spark }
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
        let ChosenDevice { device, why: device_reason, fallback_reason } = match on_spark {
            true => on_cluster(request.device)?,
            false => self.devices.device(request, source).await?,
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
            compare_devices: request.compare_devices && !on_spark,
            fallback_reason,
            why: why.join("; "),
        })
    }
}

/// Executors have no GPU.
fn on_cluster(choice: DeviceChoice) -> Result<ChosenDevice> {
    match choice {
        DeviceChoice::Cpu | DeviceChoice::Auto => Ok(ChosenDevice {
            device: "spark",
            why: "normalisation is the last pass of the same application".into(),
            fallback_reason: None,
        }),
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

    /// A host whose GPU is quicker from a million cells on.
    struct Card;

    #[async_trait]
    impl DevicePlanner for Card {
        async fn device(&self, request: &JobRequest, source: &SourceDescription) -> Result<ChosenDevice> {
            let device = match request.device {
                DeviceChoice::Gpu => "gpu",
                DeviceChoice::Auto if source.cells() >= 1_000_000 => "gpu",
                _ => "cpu",
            };
            Ok(ChosenDevice { device, why: "the card says so".into(), fallback_reason: None })
        }
    }

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
            Arc::new(Card),
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
    }

    #[tokio::test]
    async fn the_device_is_what_the_host_says_and_the_plan_says_why() {
        let few = plan(JobRequest::default(), 5).await;
        let many = plan(JobRequest { compare_devices: true, ..JobRequest::default() }, 1_000_000).await;
        assert_eq!((few.device.as_str(), many.device.as_str()), ("cpu", "gpu"));
        assert_eq!((few.compare_devices, many.compare_devices), (false, true));
        assert!(many.why.contains("device gpu: the card says so"), "{}", many.why);
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
        let planner = MeasuredPlanner::new(cache.clone(), Arc::new(Card), None);
        let first = planner.calibration().await.unwrap();
        assert_eq!(planner.calibration().await.unwrap(), first);
        assert_eq!(*cache.0.lock().unwrap(), [first]);
        assert!(first.rdd.per_cell > 0.0 && first.dataframe.per_cell > 0.0, "{first:?}");
    }
}
