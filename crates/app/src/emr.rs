//! Services of AWS that run applications of Spark, as the settings have them.

use std::sync::Arc;
use std::time::Duration;

use caudal_aws::AwsClient;
use caudal_core::{Error, ErrorKind, Result};
use caudal_spark::{
    ClusterChoice, EmrServerless, EmrSteps, RemoteOptions, ServerlessPlace, Service, StepsPlace,
    TransientCluster,
};
use caudal_storage::{Applications, Bucket};

use crate::host::{RandomIds, SystemClock};
use crate::settings::{EmrSettings, Settings};

/// The service that the settings name, if any.
///
/// # Errors
/// `InvalidRequest` where something that it needs is not named.
pub(crate) fn service(settings: &Settings, bucket: &Bucket) -> Result<Option<Arc<dyn Service>>> {
    let emr = &settings.emr;
    if emr.on.is_empty() {
        return Ok(None);
    }
    let client = Arc::new(AwsClient::new(settings.aws.all())?);
    let applications = Applications::new(bucket.clone());
    Ok(Some(match emr.on.as_str() {
        "serverless" => {
            let prices = &settings.prices;
            let place = ServerlessPlace {
                application: named("application", &emr.application)?,
                role: named("role", &emr.role)?,
                minutes: emr.minutes,
                prices: [
                    prices.emr_serverless_vcpu_hour,
                    prices.emr_serverless_gb_hour,
                    prices.emr_serverless_disk_gb_hour,
                ],
            };
            Arc::new(EmrServerless::new(client, applications, place))
        }
        _ => {
            let place = StepsPlace { cluster: cluster(emr)?, intent: seconds(emr.intent_seconds) };
            Arc::new(EmrSteps::new(
                client,
                applications,
                place,
                Arc::new(SystemClock::new()),
                Arc::new(RandomIds),
            ))
        }
    }))
}

/// How patient a launcher is; `wakes` where somebody is told of the ends of applications.
pub(crate) fn options(settings: &Settings, wakes: bool) -> RemoteOptions {
    // Whoever is woken looks once, and a process that waits looks now and then.
    let look = if wakes { Duration::ZERO } else { seconds(settings.emr.look_seconds) };
    RemoteOptions { look, log: seconds(settings.emr.log_seconds), wakes }
}

fn cluster(emr: &EmrSettings) -> Result<ClusterChoice> {
    if !emr.cluster.is_empty() {
        return Ok(ClusterChoice::Running(emr.cluster.clone()));
    }
    Ok(ClusterChoice::Transient(Box::new(TransientCluster {
        release: named("release", &emr.release)?,
        service_role: named("service_role", &emr.service_role)?,
        instance_profile: named("instance_profile", &emr.instance_profile)?,
        subnet: named("subnet", &emr.subnet)?,
        master_type: named("master_type", &emr.master_type)?,
        core_type: named("core_type", &emr.core_type)?,
        core_count: emr.core_count.max(1),
    })))
}

fn named(name: &str, value: &str) -> Result<String> {
    match value {
        "" => {
            let detail = format!("the settings cannot be used: emr.on is set, and emr.{name} is empty");
            Err(Error::new(ErrorKind::InvalidRequest, detail))
        }
        value => Ok(value.to_owned()),
    }
}

fn seconds(setting: f64) -> Duration {
    Duration::from_secs_f64(setting)
}
