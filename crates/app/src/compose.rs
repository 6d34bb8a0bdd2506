//! The only place that names concrete backends and puts them together.

use std::sync::Arc;

use caudal_core::Result;
use caudal_core::export::NormalizedData;
use caudal_core::ports::{Clock, Ids, Normalizer, Pipeline};
use caudal_core::spark::SparkEngine;
use caudal_core::uploads::Uploads;
use caudal_normalize::{CardPort, HostDevices, HostNormalizer, LocalCard};
use caudal_orchestration::retry::Dice;
use caudal_orchestration::{Orchestrator, OrchestratorOptions, Ports, QuotaLimits, Quotas};
use caudal_pipelines::{Dataframe, MeasuredPlanner, Rdd};
use caudal_spark::SparkJobs;
use caudal_storage::{Bucket, BucketClaims, BucketRecords, BucketUploads, BucketUsage, Datasets};
use tokio::task::AbortHandle;

use crate::functions;
use crate::host::{RandomIds, SystemClock, cores};
use crate::measured::Measured;
use crate::settings::Settings;
use crate::{store, sweep, webhooks};

/// A running Caudal: the actors, and the way to the data that they leave.
#[derive(Clone)]
pub struct App {
    pub orchestrator: Orchestrator,
    pub data: Arc<dyn NormalizedData>,
    pub uploads: Arc<dyn Uploads>,
    planner: Arc<MeasuredPlanner>,
    pub(crate) bucket: Bucket,
    #[cfg(feature = "lambda-http")]
    spark: Arc<dyn SparkEngine>,
    #[cfg(feature = "lambda-http")]
    handover: Option<Arc<dyn caudal_core::ports::Handover>>,
}

impl App {
    /// Puts the parts together as the settings say; `takes_over` where unfinished jobs that nobody works on are taken up.
    ///
    /// # Errors
    /// `StorageUnavailable` when the bucket cannot be opened, `InvalidRequest` for a wrong setting.
    pub async fn start(settings: &Settings, takes_over: bool) -> Result<App> {
        caudal_kernels::return_large_blocks();
        caudal_kernels::compute_on(settings.threads());
        let mut bucket = store::open(settings)?;
        if takes_over && settings.storage.sync {
            bucket = bucket.durable()?;
        }
        probe(&bucket, takes_over).await?;
        let functions = functions::connect(settings, &bucket)?;
        let datasets = store::datasets(settings, &bucket)?;
        let dataframe = Dataframe::new(datasets.clone());
        let sources = Arc::new(dataframe.derived_sources());
        let pipelines: Vec<Arc<dyn Pipeline>> =
            vec![Arc::new(Rdd::new(datasets.clone())), Arc::new(dataframe)];
        let spark: Arc<dyn SparkEngine> =
            Arc::new(SparkJobs::new(datasets.clone(), crate::spark::launcher(settings, &bucket)?));
        let calibration = Arc::new(Measured(bucket.clone()));
        let card = Card::of(settings, &datasets)?;
        let devices = functions.devices(Arc::new(HostDevices::new(card.planned, calibration.clone())));
        let planner = Arc::new(MeasuredPlanner::new(calibration, devices, Some(spark.clone())));
        let (clock, ids) = (Arc::new(SystemClock::new()), Arc::new(RandomIds));
        let uploads =
            BucketUploads::new(bucket.clone(), clock.clone(), ids.clone(), settings.uploads.limits()?);
        // Only a process that stays goes on until a message is heard.
        let webhooks = match takes_over {
            true => webhooks::start(settings, &bucket, clock.clone(), ids.clone())?,
            false => None,
        };
        let ports = Ports {
            clock,
            ids,
            records: Arc::new(BucketRecords::new(bucket.clone())),
            claims: Arc::new(BucketClaims::new(bucket.clone())),
            sources,
            planner: planner.clone(),
            normalizer: functions.normalizer(card.normalizer),
            pipelines,
            spark: Some(spark.clone()),
            webhooks,
            handover: functions.handover.clone(),
            dice: Arc::new(Dice::seeded(RandomIds.entry_id().as_u128() as u64)),
            quotas: quotas(settings, takes_over)?,
            writer: RandomIds.entry_id(),
        };
        let options = OrchestratorOptions {
            mailbox_size: settings.orchestration.mailbox_size,
            running_jobs: settings.running_jobs(),
            admitted_jobs: settings.orchestration.admitted_jobs,
            lease: settings.orchestration.lease(),
            retry: settings.orchestration.retry(),
            stage_deadline: settings.orchestration.stage_deadline(),
            job_deadline: settings.orchestration.job_deadline(),
            takes_over,
            cores: cores(),
            prices: settings.prices.clone(),
        };
        let orchestrator = Orchestrator::start(ports, options).await?;
        Ok(App {
            orchestrator,
            data: Arc::new(datasets),
            uploads: Arc::new(uploads),
            planner,
            bucket,
            #[cfg(feature = "lambda-http")]
            spark,
            #[cfg(feature = "lambda-http")]
            handover: functions.handover,
        })
    }

    /// Gives a job to another instance, where there is a way to.
    ///
    /// # Errors
    /// `Overloaded` or `StorageUnavailable` where it is not taken.
    #[cfg(feature = "lambda-http")]
    pub async fn hand_over(&self, job: caudal_core::JobId) -> Result<()> {
        match &self.handover {
            Some(handover) => handover.hand_over(job).await,
            None => Ok(()),
        }
    }

    /// Whether a job only waits for its application on Apache Spark.
    ///
    /// # Errors
    /// Whatever keeps that from being found out.
    #[cfg(feature = "lambda-http")]
    pub async fn is_waiting(&self, job: caudal_core::JobId) -> Result<bool> {
        Ok(self.spark.is_waiting(job).await? && !self.orchestrator.has_ended(job).await?)
    }

    /// Measures this host in the background, so that the first job that is planned need not wait for it.
    pub fn measure_host(&self) {
        let planner = self.planner.clone();
        tokio::spawn(async move {
            if let Err(error) = planner.calibration().await {
                tracing::warn!(%error, cause = error.cause, "this host could not be measured");
            }
        });
    }
}

/// Where the settings limit what owners may have, servers count it.
fn quotas(settings: &Settings, takes_over: bool) -> Result<Option<Arc<Quotas>>> {
    let limits = QuotaLimits {
        concurrent_jobs: settings.limits.concurrent_jobs(),
        elements_per_day: settings.limits.elements_per_day(),
    };
    if !takes_over || limits == QuotaLimits::default() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Quotas::new(limits, Arc::new(BucketUsage::new(store::open(settings)?))))))
}

impl App {
    /// Sweeps the bucket in the background, as often as the settings say.
    pub fn sweep_now_and_then(&self, settings: &Settings) -> Option<AbortHandle> {
        let (every, retention) = (settings.retention.sweeps()?, settings.retention.retention());
        Some(tokio::spawn(sweep::keep_sweeping(self.bucket.clone(), retention, every)).abort_handle())
    }
}

/// The card that jobs are planned for, and who normalises: this host, or a worker that the settings name.
struct Card {
    planned: Arc<dyn CardPort>,
    normalizer: Arc<dyn Normalizer>,
}

impl Card {
    fn of(settings: &Settings, datasets: &Datasets) -> Result<Card> {
        let local = Arc::new(HostNormalizer::new(datasets.clone()));
        if settings.gpu.worker.is_empty() {
            return Ok(Card { planned: Arc::new(LocalCard), normalizer: local });
        }
        Card::of_worker(settings, datasets, local)
    }

    #[cfg(feature = "gpu-worker")]
    fn of_worker(settings: &Settings, datasets: &Datasets, local: Arc<dyn Normalizer>) -> Result<Card> {
        use crate::gpu_worker::{RemoteNormalizer, WorkerCard, WorkerClient};
        let (url, token) = (&settings.gpu.worker, settings.gpu.token()?);
        let client = Arc::new(WorkerClient::new(url, token, datasets.clone())?);
        Ok(Card {
            planned: Arc::new(WorkerCard(client.clone())),
            normalizer: Arc::new(RemoteNormalizer { client, datasets: datasets.clone(), local }),
        })
    }

    #[cfg(not(feature = "gpu-worker"))]
    fn of_worker(_: &Settings, _: &Datasets, _: Arc<dyn Normalizer>) -> Result<Card> {
        let detail = "gpu.worker is set, and this build asks none";
        Err(caudal_core::Error::new(caudal_core::ErrorKind::UnavailableEngine, detail))
    }
}

/// Rounds in which a bucket is tried. A store that looks for an object before it writes it, without a lock, passes one by luck.
const ROUNDS: usize = 4;

/// A single run trusts a folder, where nobody else writes meanwhile; and so does each start of a function, of which there
/// may be many a minute, what another found out about the bucket within a day.
async fn probe(bucket: &Bucket, takes_over: bool) -> Result<()> {
    match takes_over {
        true => bucket.probe(RandomIds.entry_id(), ROUNDS).await,
        false if bucket.is_remote() => {
            bucket.probe_unless_known(RandomIds.entry_id(), ROUNDS, SystemClock::new().now()).await
        }
        false => Ok(()),
    }
}
