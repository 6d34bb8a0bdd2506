//! The worker's side: takes an Arrow stream of columns, normalises them on the card, and streams them back.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use caudal_core::job::{JobId, JobRecord, LOCAL_OWNER};
use caudal_core::ports::{CancelToken, Ids, ProgressSink, StageInput};
use caudal_core::request::{JobRequest, Normalization};
use caudal_core::{Error, ErrorKind, Result};
use caudal_gateway::Serving;
use caudal_normalize::{Decoding, Gpu, encode, run_stage};
use caudal_storage::Datasets;
use futures::{StreamExt, stream};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{ARROW_STREAM, DEVICE_PATH, PIECES, STAGE_PATH};
use crate::host::RandomIds;
use crate::server::serving;
use crate::settings::Settings;
use crate::store;

/// How long a client may pause in the middle of its stream.
const PATIENCE: Duration = Duration::from_secs(60);

/// When a client may come back while every place is taken, in seconds.
const RETRY_AFTER: &str = "2";

/// A worker that listens, but does not answer yet.
pub struct GpuWorker {
    listener: TcpListener,
    router: Router,
    serving: Serving,
}

struct Worker {
    token: String,
    datasets: Datasets,
    memory: u64,
    places: Arc<Semaphore>,
}

impl GpuWorker {
    /// Takes the address, once the card has passed its self-test.
    ///
    /// # Errors
    /// `UnavailableEngine` without a card; `InvalidRequest` without a token of at least sixteen characters;
    /// `StorageUnavailable` where the address cannot be had.
    pub async fn bind(settings: &Settings, address: std::net::SocketAddr) -> Result<GpuWorker> {
        let (token, serving) = (settings.gpu.token()?, serving(settings)?);
        let opened = tokio::task::spawn_blocking(Gpu::open).await;
        let opened =
            opened.map_err(|e| Error::new(ErrorKind::Internal, "looking for a GPU stopped").cause(e))?;
        opened.map_err(|unavailable| Error::new(ErrorKind::UnavailableEngine, unavailable.to_string()))?;
        caudal_kernels::return_large_blocks();
        caudal_kernels::compute_on(settings.threads());
        let bucket = store::open(settings)?;
        let worker = Arc::new(Worker {
            token,
            datasets: store::datasets(settings, &bucket)?,
            memory: settings.memory_limit()? / settings.gpu.worker_jobs as u64,
            places: Arc::new(Semaphore::new(settings.gpu.worker_jobs)),
        });
        let listener = TcpListener::bind(address).await.map_err(|e| {
            Error::new(
                ErrorKind::StorageUnavailable,
                format!("the address {address} cannot be listened on: {e}"),
            )
        })?;
        let router = Router::new()
            .route(STAGE_PATH, post(normalize))
            .route(DEVICE_PATH, get(device))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(worker);
        Ok(GpuWorker { listener, router, serving })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// `Internal` when the system does not say.
    pub fn url(&self) -> Result<String> {
        let scheme = if self.serving.tls.is_some() { "https" } else { "http" };
        let address = self.listener.local_addr();
        let address = address.map_err(|e| Error::new(ErrorKind::Internal, "no local address").cause(e))?;
        Ok(format!("{scheme}://{address}"))
    }

    /// Answers until `shutdown` resolves.
    ///
    /// # Errors
    /// `Internal` when the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let served = caudal_gateway::serve(self.listener, self.router, self.serving, shutdown).await;
        served.map_err(|e| Error::new(ErrorKind::Internal, "the listener failed").cause(e))
    }
}

impl Worker {
    /// Whether a request carries the token; compared in a time that does not depend on where it differs.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let differing = self.token.bytes().zip(given.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
        given.len() == self.token.len() && differing == 0
    }
}

fn refusal(status: StatusCode, detail: &str) -> Response {
    let body = serde_json::json!({"status": status.as_u16(), "detail": detail});
    let headers = [(header::CONTENT_TYPE, "application/problem+json"), (header::RETRY_AFTER, RETRY_AFTER)];
    (status, headers, body.to_string()).into_response()
}

fn stranger() -> Response {
    refusal(StatusCode::UNAUTHORIZED, "this worker answers those who know its token")
}

async fn device(State(worker): State<Arc<Worker>>, headers: HeaderMap) -> Response {
    if !worker.knows(&headers) {
        return stranger();
    }
    match tokio::task::spawn_blocking(crate::gpu::describe).await {
        Ok(description) => Json(description).into_response(),
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "looking for the card stopped"),
    }
}

#[derive(Deserialize)]
struct Asked {
    normalization: Normalization,
}

async fn normalize(
    State(worker): State<Arc<Worker>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !worker.knows(&headers) {
        return stranger();
    }
    let Ok(place) = worker.places.clone().try_acquire_owned() else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "every place of this worker is taken");
    };
    let (pieces, received) = mpsc::channel(PIECES);
    let (begun, begins) = oneshot::channel();
    let (out, answer) = mpsc::channel::<Result<Bytes>>(PIECES);
    let cancel = CancelToken::default();
    let input = nobody(cancel.clone());
    tokio::spawn(receive(body, pieces));
    let job = Job { worker: worker.clone(), input, received, out };
    tokio::task::spawn_blocking(move || {
        job.run(asked.normalization, begun);
        drop(place);
    });
    let given_up = GivenUp(cancel);
    match begins.await {
        Ok(Ok(())) => {
            let pieces = stream::unfold((answer, given_up), |(mut answer, given_up)| async move {
                let piece = answer.recv().await?;
                Some((piece.map_err(|error| std::io::Error::other(error.detail)), (answer, given_up)))
            });
            ([(header::CONTENT_TYPE, ARROW_STREAM)], Body::from_stream(pieces)).into_response()
        }
        Ok(Err(error)) => refusal(status_of(&error), &error.detail),
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the stage stopped"),
    }
}

fn status_of(error: &Error) -> StatusCode {
    match error.kind {
        ErrorKind::InvalidData => StatusCode::BAD_REQUEST,
        ErrorKind::InsufficientDisk | ErrorKind::InsufficientMemory => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Stops the work of a client that is gone.
struct GivenUp(CancelToken);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Hands on what comes; an error where it stops, so that what came is not taken for everything.
async fn receive(body: Body, pieces: mpsc::Sender<Result<Bytes>>) {
    let mut body = body.into_data_stream();
    loop {
        let piece = match tokio::time::timeout(PATIENCE, body.next()).await {
            Ok(Some(Ok(piece))) => Ok(piece),
            Ok(None) => return,
            Ok(Some(Err(error))) => {
                Err(Error::new(ErrorKind::InvalidData, "the stream broke off").cause(error))
            }
            Err(_) => Err(Error::new(ErrorKind::InvalidData, "the stream paused for too long")),
        };
        let last = piece.is_err();
        if pieces.send(piece).await.is_err() || last {
            return;
        }
    }
}

struct Job {
    worker: Arc<Worker>,
    input: StageInput,
    received: mpsc::Receiver<Result<Bytes>>,
    out: mpsc::Sender<Result<Bytes>>,
}

impl Job {
    /// Reads everything, fits, says that it begins, and writes the answer.
    fn run(mut self, normalization: Normalization, begun: oneshot::Sender<Result<()>>) {
        let staged = self.gather().and_then(|source| {
            let staged = run_stage(Arc::new(source), normalization, &self.input, true)?;
            let result = staged.result(normalization, None, staged.seconds())?;
            let beside = serde_json::to_string(&result).map_err(|e| {
                Error::new(ErrorKind::Internal, "the result cannot be written as JSON").cause(e)
            })?;
            Ok((staged, beside))
        });
        let (staged, beside) = match staged {
            Ok(done) => done,
            Err(error) => {
                tracing::warn!(%error, cause = error.cause, "the stage failed");
                // Nobody may be waiting any more.
                let _ = begun.send(Err(error));
                return;
            }
        };
        if begun.send(Ok(())).is_err() {
            return;
        }
        let gone = |_| Error::new(ErrorKind::Cancelled, "the client is gone");
        let fill = |column: usize, rows, out: &mut [f64]| staged.fill(column, rows, out);
        let sent = encode(&staged.names(), staged.rows(), beside, &fill, |piece| {
            self.out.blocking_send(Ok(piece)).map_err(gone)
        });
        if let Some(reason) = staged.failed() {
            tracing::warn!(reason, "the card failed in the middle of an answer, and the processor went on");
        }
        if let Err(error) = sent {
            tracing::warn!(%error, cause = error.cause, "the answer broke off");
            let _ = self.out.blocking_send(Err(error));
        }
    }

    fn gather(&mut self) -> Result<caudal_storage::Source> {
        let mut decoding = Decoding::begin(&self.worker.datasets, self.worker.memory);
        while let Some(piece) = self.received.blocking_recv() {
            self.input.cancel.check()?;
            decoding.add(piece?)?;
        }
        Ok(decoding.finish()?.0)
    }
}

/// The input of a stage whose job is another instance's.
fn nobody(cancel: CancelToken) -> StageInput {
    let record = JobRecord {
        job_id: JobId(RandomIds.entry_id()),
        owner: LOCAL_OWNER.into(),
        created_at: Default::default(),
        request: JobRequest::default(),
        inline: false,
    };
    StageInput { record: Arc::new(record), attempt: 0, cancel, progress: ProgressSink::silent() }
}
