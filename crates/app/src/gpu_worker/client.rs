//! The asking side: the stage's port with a worker behind it, and what the planner wants to know of one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use caudal_core::job::{GPU_DEVICE, Plan};
use caudal_core::ports::{Normalizer, StageInput};
use caudal_core::request::Normalization;
use caudal_core::results::GpuProcessing;
use caudal_core::system::GpuDescription;
use caudal_core::{Error, ErrorKind, Result};
use caudal_normalize::{
    CardPort, Decoding, DeviceRates, FillPiece, NoCard, Rate, cpu_rates, encode, made_up,
};
use caudal_storage::{Datasets, Filler, Source};
use futures::stream;
use tokio::sync::mpsc;

use super::{ARROW_STREAM, DEVICE_PATH, PIECES, STAGE_PATH};

/// How long a worker may take to answer a connection, and be silent while it works.
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(900);

/// Rows of the columns that a worker is measured with.
const SMALL: usize = 1 << 14;
const LARGE: usize = 1 << 19;

/// A worker as a client of it.
pub struct WorkerClient {
    http: reqwest::Client,
    url: String,
    token: String,
    datasets: Datasets,
}

impl WorkerClient {
    /// # Errors
    /// `Internal` where the HTTP client cannot be made.
    pub fn new(url: &str, token: String, datasets: Datasets) -> Result<WorkerClient> {
        // Somebody may have chosen a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().connect_timeout(CONNECT).read_timeout(SILENCE).build();
        let http = http.map_err(|e| Error::new(ErrorKind::Internal, "no HTTP client").cause(e))?;
        Ok(WorkerClient { http, url: url.trim_end_matches('/').to_owned(), token, datasets })
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        let detail = format!("the GPU worker {} does not answer", self.url);
        Error::new(ErrorKind::UnavailableEngine, detail).cause(error)
    }

    /// What the worker's card is.
    ///
    /// # Errors
    /// `UnavailableEngine` where it does not answer, or does not know the token.
    pub async fn device(&self) -> Result<GpuDescription> {
        let request = self.http.get(format!("{}{DEVICE_PATH}", self.url)).bearer_auth(&self.token);
        let answer = request.timeout(CONNECT * 6).send().await.map_err(|e| self.unreachable(e))?;
        let answer = self.accepted(answer).await?;
        let text = answer.text().await.map_err(|e| self.unreachable(e))?;
        serde_json::from_str(&text).map_err(|e| {
            let detail = format!("the GPU worker {} answers something else than a worker does", self.url);
            Error::new(ErrorKind::UnavailableEngine, detail).cause(e)
        })
    }

    /// An answer of success, or what the worker says instead.
    async fn accepted(&self, answer: reqwest::Response) -> Result<reqwest::Response> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.unwrap_or_default();
        let problem: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        let said = problem.as_ref().and_then(|p| p["detail"].as_str()).unwrap_or("nothing more");
        let detail = format!("the GPU worker {} answers {}: {said}", self.url, status.as_u16());
        Err(Error::new(ErrorKind::UnavailableEngine, detail))
    }

    /// Sends columns, and takes them back normalised with what the worker says of its work.
    async fn stage(
        &self,
        names: Vec<String>,
        rows: u64,
        normalization: Normalization,
        fill: Arc<FillPiece>,
    ) -> Result<(Source, GpuProcessing)> {
        let (out, pieces) = mpsc::channel::<Result<Bytes>>(PIECES);
        let sending = tokio::task::spawn_blocking(move || {
            let gone = |_| Error::new(ErrorKind::UnavailableEngine, "the GPU worker takes nothing more");
            let sent = encode(&names, rows, String::new(), &*fill, |piece| {
                out.blocking_send(Ok(piece)).map_err(gone)
            });
            if let Err(error) = &sent {
                // The worker must not take what it has for everything.
                let _ = out.blocking_send(Err(Error::new(error.kind, error.detail.clone())));
            }
            sent
        });
        let body = stream::unfold(pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            Some((piece.map_err(|error| std::io::Error::other(error.detail)), pieces))
        });
        let answered = self
            .http
            .post(format!("{}{STAGE_PATH}?normalization={normalization}", self.url))
            .bearer_auth(&self.token)
            .header("content-type", ARROW_STREAM)
            .body(reqwest::Body::wrap_stream(body))
            .send()
            .await;
        // What stopped the reading of the source is told before what the worker made of it.
        if let Ok(Err(error)) = sending.await
            && error.kind != ErrorKind::UnavailableEngine
        {
            return Err(error);
        }
        let answer = self.accepted(answered.map_err(|e| self.unreachable(e))?).await?;
        self.receive(answer).await
    }

    async fn receive(&self, mut answer: reqwest::Response) -> Result<(Source, GpuProcessing)> {
        let (pieces, mut received) = mpsc::channel::<Bytes>(PIECES);
        let mut decoding = Decoding::begin(&self.datasets, self.datasets.memory_limit() / 2);
        let gathering = tokio::task::spawn_blocking(move || {
            while let Some(piece) = received.blocking_recv() {
                decoding.add(piece)?;
            }
            decoding.finish()
        });
        while let Some(piece) = answer.chunk().await.map_err(|e| self.unreachable(e))? {
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        drop(pieces);
        let stopped = |e| Error::new(ErrorKind::Internal, "reading the worker's answer stopped").cause(e);
        let gathered = gathering.await.map_err(stopped)?;
        let (source, beside) = gathered.map_err(|error| match error.kind {
            ErrorKind::InvalidData => {
                let detail = format!("the GPU worker {} answers what is no Arrow stream", self.url);
                Error::new(ErrorKind::UnavailableEngine, detail).cause(error)
            }
            _ => error,
        })?;
        let result = beside.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| {
            let detail = format!("the GPU worker {} does not say what it did", self.url);
            Error::new(ErrorKind::UnavailableEngine, detail)
        })?;
        Ok((source, result))
    }
}

/// Normalises on a worker where the plan says so, and here where the worker does not.
pub struct RemoteNormalizer {
    pub client: Arc<WorkerClient>,
    pub datasets: Datasets,
    pub local: Arc<dyn Normalizer>,
}

#[async_trait]
impl Normalizer for RemoteNormalizer {
    async fn normalize(&self, input: &StageInput, plan: &Plan) -> Result<GpuProcessing> {
        if plan.device != GPU_DEVICE {
            return self.local.normalize(input, plan).await;
        }
        match self.on_worker(input, plan).await {
            Err(error) if error.kind == ErrorKind::UnavailableEngine => {
                tracing::warn!(job = %input.job_id(), %error, cause = error.cause, "this host takes the worker's place");
                let plan = Plan { device: "cpu".into(), fallback_reason: Some(error.detail), ..plan.clone() };
                self.local.normalize(input, &plan).await
            }
            done => done,
        }
    }
}

impl RemoteNormalizer {
    #[expect(clippy::disallowed_methods, reason = "a stage measures its own processing time")]
    async fn on_worker(&self, input: &StageInput, plan: &Plan) -> Result<GpuProcessing> {
        let source = self.datasets.source(input).await?;
        let begun = Instant::now();
        let names: Vec<String> = source.names().map(str::to_owned).collect();
        let (rows, cancel) = (source.rows(), input.cancel.clone());
        let read = source.clone();
        let raw = Arc::new(move |column: usize, rows: std::ops::Range<u64>, out: &mut [f64]| {
            cancel.check()?;
            match read.slice(column, rows.clone()) {
                Some(values) => out.copy_from_slice(values),
                None => drop(read.reader(column, rows)?.fill(out)?),
            }
            Ok(())
        });
        let (normalized, result) = self.client.stage(names.clone(), rows, plan.normalization, raw).await?;
        let same = normalized.rows() == rows && normalized.names().eq(names.iter().map(String::as_str));
        if !same || !result.columns.keys().eq(names.iter()) {
            let detail = format!("the GPU worker {} gave back other columns than it got", self.client.url);
            return Err(Error::new(ErrorKind::UnavailableEngine, detail));
        }
        let normalized = Arc::new(normalized);
        let fill = Arc::new(move |column, rows| as_they_are(&normalized, column, rows));
        self.datasets.put_normalized(input, plan.output_format, &names, rows, fill).await?;
        let device_name = result.device_name.map(|name| format!("{name} of {}", self.client.url));
        Ok(GpuProcessing { device_name, processing_time: begun.elapsed().as_secs_f64(), ..result })
    }
}

/// Hands out the rows of a column one after the other.
fn as_they_are(source: &Arc<Source>, column: usize, rows: std::ops::Range<u64>) -> Result<Box<Filler>> {
    let (source, mut at) = (source.clone(), rows.start);
    let mut reader = source.reader(column, rows)?;
    Ok(Box::new(move |out| {
        let rows = at..at + out.len() as u64;
        at = rows.end;
        match source.slice(column, rows.clone()) {
            Some(values) => out.copy_from_slice(values),
            None => {
                reader.skip_to(rows.start)?;
                reader.fill(out)?;
            }
        }
        Ok(())
    }))
}

/// A worker's card, for whoever plans.
pub struct WorkerCard(pub Arc<WorkerClient>);

#[async_trait]
impl CardPort for WorkerCard {
    async fn name(&self) -> std::result::Result<String, NoCard> {
        let described =
            self.0.device().await.map_err(|error| NoCard { reason: error.detail, hint: error.hint })?;
        match described.name {
            Some(name) => Ok(format!("{name} of {}", self.0.url)),
            None => Err(NoCard {
                reason: format!("the GPU worker {}: {}", self.0.url, described.detail),
                hint: described.hint,
            }),
        }
    }

    async fn holds(&self, _: u64) -> bool {
        // The worker's time is measured with everything that it does.
        true
    }

    #[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
    async fn measure(&self) -> std::result::Result<DeviceRates, String> {
        let (small, large) = (made_up(SMALL), made_up(LARGE));
        let mut seconds = [[0.0; 2]; 2];
        for (times, normalization) in seconds.iter_mut().zip([Normalization::Zscore, Normalization::Robust]) {
            for (time, values) in times.iter_mut().zip([&small, &large]) {
                let (values, rows) = (values.clone(), values.len() as u64);
                let fill = Arc::new(move |_: usize, rows: std::ops::Range<u64>, out: &mut [f64]| {
                    out.copy_from_slice(&values[rows.start as usize..rows.end as usize]);
                    Ok(())
                });
                let begun = Instant::now();
                self.0.stage(vec!["x".into()], rows, normalization, fill).await.map_err(|e| e.detail)?;
                *time = begun.elapsed().as_secs_f64();
            }
        }
        let rates = seconds.map(|[small, large]| Rate::between((SMALL, small), (LARGE, large)));
        let [once, quantiles] = rates;
        let (cpu, cpu_quantiles) = tokio::task::spawn_blocking(cpu_rates).await.map_err(|e| e.to_string())?;
        let searched = Rate { fixed: 0.0, per_cell: (quantiles.per_cell - once.per_cell).max(0.0) };
        Ok(DeviceRates { cpu, cpu_quantiles, upload: once, quantiles: searched, download: Rate::default() })
    }
}
