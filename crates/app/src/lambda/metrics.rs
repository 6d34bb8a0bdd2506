//! What an invocation tells CloudWatch: one line of the Embedded Metric Format, which needs no call and no permission.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use caudal_core::ports::Clock;
use caudal_core::{JobId, PriceList};
use lambda_runtime::Context;
use serde_json::{Value, json};

use crate::host::SystemClock;

/// MB in a GB, as AWS bills memory.
const MB_PER_GB: f64 = 1024.0;

/// What all invocations of this execution environment share.
pub struct Metrics {
    service: String,
    prices: PriceList,
    clock: SystemClock,
    warm: AtomicBool,
    /// Whether its invocations count among the service's.
    counts: bool,
}

/// How one invocation went.
#[derive(Default)]
pub struct Outcome {
    pub failed: bool,
    /// A job that ended in it.
    pub ended: Option<JobId>,
}

impl Metrics {
    pub fn new(service: String, prices: PriceList) -> Self {
        Metrics { service, prices, clock: SystemClock::new(), warm: AtomicBool::new(false), counts: true }
    }

    /// Of a function that runs before each call of another one: it adds to the service's cost, but not to its
    /// invocations, of which the share that fails would look half as large.
    #[cfg(feature = "authorizer")]
    pub fn apart(service: String, prices: PriceList) -> Self {
        Metrics { counts: false, ..Metrics::new(service, prices) }
    }

    /// Since this environment began to run.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Writes the metrics of an invocation that began at `begun`.
    pub fn tell(&self, context: &Context, begun: Duration, outcome: &Outcome) {
        let line = self.line(context, self.now().saturating_sub(begun), outcome);
        // A log that takes nothing is no reason to fail an invocation.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    fn line(&self, context: &Context, duration: Duration, outcome: &Outcome) -> Value {
        let now = self.clock.now();
        let gigabytes = f64::from(context.env_config.memory) / MB_PER_GB;
        let cost =
            duration.as_secs_f64() * gigabytes * self.prices.lambda_gb_second + self.prices.lambda_request;
        let mut values = vec![
            ("Invocations", "Count", json!(1)),
            ("Duration", "Milliseconds", json!(duration.as_secs_f64() * 1e3)),
            ("Error", "None", json!(u8::from(outcome.failed))),
            ("ColdStart", "Count", json!(u8::from(!self.warm.swap(true, Ordering::Relaxed)))),
            ("EstimatedCost", "None", json!(cost)),
        ];
        // Ids of jobs carry the time at which the jobs were taken in.
        if let Some(taken_in) = outcome.ended.and_then(|job| job.0.get_timestamp()) {
            let (seconds, nanoseconds) = taken_in.to_unix();
            let age = now.timestamp_millis() as f64 / 1e3 - (seconds as f64 + f64::from(nanoseconds) / 1e9);
            values.push(("JobLatency", "Seconds", json!(age.max(0.0))));
        }
        let declared = |of_service: bool| -> Vec<Value> {
            let among = |name: &str| of_service == (self.counts || name == "EstimatedCost");
            let values = values.iter().filter(|(name, ..)| among(name));
            values.map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect()
        };
        let function = json!(["Service", "Function"]);
        let directives = [(json!([["Service"], function]), true), (json!([function]), false)];
        let directives: Vec<Value> = directives
            .into_iter()
            .map(|(dimensions, of_service)| (dimensions, declared(of_service)))
            .filter(|(_, metrics)| !metrics.is_empty())
            .map(|(dimensions, metrics)| json!({"Namespace": "Caudal", "Dimensions": dimensions, "Metrics": metrics}))
            .collect();
        let mut line = json!({
            "_aws": {"Timestamp": now.timestamp_millis(), "CloudWatchMetrics": directives},
            "Service": self.service,
            "Function": context.env_config.function_name,
            "request": context.request_id,
        });
        for (name, _, value) in values {
            line[name] = value;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use caudal_core::ports::Ids;

    use super::*;

    #[test]
    fn the_line_declares_every_metric_that_it_carries_and_a_cold_start_once() {
        let metrics = Metrics::new("stack".into(), PriceList { lambda_request: 1.0, ..PriceList::default() });
        let job = crate::host::RandomIds.job_id();
        let outcome = Outcome { failed: true, ended: Some(job) };
        let line = metrics.line(&Context::default(), Duration::from_millis(250), &outcome);
        let declared = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap();
        for metric in declared {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        }
        assert_eq!((declared.len(), &line["Error"], &line["ColdStart"]), (6, &json!(1), &json!(1)));
        assert_eq!((&line["Duration"], &line["EstimatedCost"]), (&json!(250.0), &json!(1.0)));
        assert!(line["JobLatency"].as_f64().unwrap() < 60.0, "{line}");
        let next = metrics.line(&Context::default(), Duration::ZERO, &Outcome::default());
        assert_eq!(
            (&next["ColdStart"], &next["Error"], next.get("JobLatency")),
            (&json!(0), &json!(0), None)
        );
    }

    #[cfg(feature = "authorizer")]
    #[test]
    fn of_a_function_before_another_only_the_cost_is_the_services() {
        let metrics = Metrics::apart("stack".into(), PriceList::default());
        let line = metrics.line(&Context::default(), Duration::ZERO, &Outcome::default());
        let [of_service, of_function] = line["_aws"]["CloudWatchMetrics"].as_array().unwrap().as_slice()
        else {
            panic!("{line}")
        };
        assert_eq!(of_service["Metrics"], json!([{"Name": "EstimatedCost", "Unit": "None"}]));
        assert_eq!(of_service["Dimensions"], json!([["Service"], ["Service", "Function"]]));
        assert_eq!(of_function["Dimensions"], json!([["Service", "Function"]]));
        assert_eq!(of_function["Metrics"].as_array().unwrap().len(), 4);
    }
}
