//! The courier: takes what is announced, journals it, and goes until it is heard or given up, whoever was killed meanwhile.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::job::JobStatus;
use caudal_core::ports::{Clock, Ids};
use caudal_core::webhooks::{Deliveries, Delivery, DeliveryAttempt, DeliveryOutcome, Webhooks};
use caudal_core::{JobId, Result};
use chrono::TimeDelta;
use tokio::sync::Semaphore;

use crate::message;
use crate::sending::{self, Parcel, SendingOptions, Sent};
use crate::signature::SigningKey;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub struct CourierOptions {
    pub key: SigningKey,
    pub sending: SendingOptions,
    /// The pause after the first attempt; each further one is four times as long.
    pub first_pause: Duration,
    /// What clients have before every path.
    pub base_path: String,
}

/// Attempts at one delivery. With a first pause of five seconds the last one is made a day later.
const ATTEMPTS: u32 = 10;
const PAUSE_FACTOR: f64 = 4.0;
const LONGEST_PAUSE: f64 = 12.0 * 3600.0;

/// Attempts on their way at the same time.
const AT_ONCE: usize = 16;

/// Between two looks for deliveries that nobody makes.
const PATROL: Duration = Duration::from_secs(60);

/// How long it is kept how a delivery ended.
const KEPT: TimeDelta = TimeDelta::days(7);

/// The wait after the bucket did not answer.
const BUCKET_PAUSE: Duration = Duration::from_secs(5);

/// Delivers messages. Cheap to clone.
#[derive(Clone)]
pub struct Courier(Arc<Office>);

struct Office {
    deliveries: Arc<dyn Deliveries>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    options: CourierOptions,
    /// Deliveries that this process makes.
    in_hand: Mutex<HashSet<JobId>>,
    places: Semaphore,
}

impl Courier {
    /// Starts to deliver: what was left by others, and what is announced from now on.
    pub fn start(
        deliveries: Arc<dyn Deliveries>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        options: CourierOptions,
    ) -> Courier {
        let places = Semaphore::new(AT_ONCE);
        let office = Office { deliveries, clock, ids, options, in_hand: Mutex::default(), places };
        let courier = Courier(Arc::new(office));
        let patrol = courier.clone();
        tokio::spawn(async move { patrol.patrol().await });
        courier
    }

    async fn patrol(&self) {
        loop {
            if let Err(error) = self.look_around().await {
                tracing::warn!(%error, cause = error.cause, "deliveries could not be looked for");
            }
            tokio::time::sleep(PATROL).await;
        }
    }

    async fn look_around(&self) -> Result<()> {
        self.0.deliveries.pending().await?.into_iter().for_each(|job| self.take(job));
        self.0.deliveries.forget(self.0.clock.now() - KEPT).await
    }

    /// Makes a delivery on a task of its own, unless one does already.
    fn take(&self, job: JobId) {
        if !self.in_hand().insert(job) {
            return;
        }
        let courier = self.clone();
        tokio::spawn(async move {
            while let Err(error) = courier.0.deliver(job).await {
                tracing::warn!(%job, %error, cause = error.cause, "a delivery cannot go on yet");
                tokio::time::sleep(BUCKET_PAUSE).await;
            }
            courier.in_hand().remove(&job);
        });
    }

    fn in_hand(&self) -> std::sync::MutexGuard<'_, HashSet<JobId>> {
        self.0.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Webhooks for Courier {
    fn check(&self, url: &str) -> Result<(), String> {
        sending::target(url, &self.0.options.sending).map(drop)
    }

    async fn announce(&self, status: &JobStatus, url: &str) -> Result<()> {
        let delivery = Delivery {
            job_id: status.job_id,
            owner: status.owner.clone(),
            url: url.to_owned(),
            body: message::body(status, &self.0.options.base_path),
            created_at: self.0.clock.now(),
        };
        if self.0.deliveries.begin(&delivery).await? {
            self.take(status.job_id);
        }
        Ok(())
    }
}

impl Office {
    /// Attempts a delivery until it has ended.
    async fn deliver(&self, job: JobId) -> Result<()> {
        let mut said = String::new();
        loop {
            let attempts = self.deliveries.attempts(job).await?;
            let made = attempts.len() as u32;
            if let Some(last) = attempts.last() {
                let due = last.at + TimeDelta::milliseconds((last.next_in * 1000.0) as i64);
                self.sleep_until(due).await;
            }
            let Some(delivery) = self.deliveries.find(job).await? else { return Ok(()) };
            if made >= ATTEMPTS {
                return self.end(job, false, made, said).await;
            }
            let attempt = DeliveryAttempt {
                id: self.ids.entry_id(),
                at: self.clock.now(),
                next_in: self.pause(job, made),
            };
            if !self.deliveries.attempt(job, made, &attempt).await? {
                // Another instance makes this one.
                continue;
            }
            match self.attempt(&delivery, &attempt).await {
                Sent::Heard(status) => {
                    return self.end(job, true, made + 1, format!("answered {status}")).await;
                }
                Sent::Refused(reason) => return self.end(job, false, made + 1, reason).await,
                Sent::Failed(reason, pause) => {
                    tracing::info!(%job, attempt = made + 1, reason, "a webhook was not heard");
                    said = reason;
                    tokio::time::sleep(pause.unwrap_or_default()).await;
                }
            }
        }
    }

    async fn attempt(&self, delivery: &Delivery, attempt: &DeliveryAttempt) -> Sent {
        let Ok(_place) = self.places.acquire().await else {
            return Sent::Failed("the server stops".into(), None);
        };
        let id = format!("msg_{}", delivery.job_id);
        let timestamp = attempt.at.timestamp();
        let signature = self.options.key.of_owner(&delivery.owner).sign(&id, timestamp, &delivery.body);
        let parcel = Parcel { id: &id, timestamp, signature: &signature, body: &delivery.body };
        sending::send(&delivery.url, &parcel, &self.options.sending).await
    }

    async fn end(&self, job: JobId, delivered: bool, attempts: u32, said: String) -> Result<()> {
        match delivered {
            true => tracing::debug!(%job, attempts, "a webhook was heard"),
            false => tracing::warn!(%job, attempts, said, "a webhook was given up"),
        }
        let outcome = DeliveryOutcome { delivered, attempts, at: self.clock.now(), said };
        self.deliveries.end(job, &outcome).await
    }

    /// Seconds between an attempt and the next one: longer each time, and not the same for all jobs.
    fn pause(&self, job: JobId, made: u32) -> f64 {
        let spread = 0.8 + 0.4 * f64::from(job.0.as_bytes()[15]) / 255.0;
        let grown = self.options.first_pause.as_secs_f64() * PAUSE_FACTOR.powi(made as i32);
        grown.min(LONGEST_PAUSE) * spread
    }

    async fn sleep_until(&self, due: chrono::DateTime<chrono::Utc>) {
        if let Ok(left) = (due - self.clock.now()).to_std() {
            tokio::time::sleep(left).await;
        }
    }
}
