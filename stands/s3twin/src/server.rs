//! Answers a request as S3 would, or fails as it was told to.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as BlockingMutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::sync::{Mutex, MutexGuard};

use crate::faults::{Fates, Fault, Faults};

/// No bucket can have this name. `PUT /_twin?slow=0.1,truncated=0.05` changes what fails, without a query to nothing;
/// both answer with what has happened so far, as does GET.
const CONTROL: &str = "/_twin";

const INJECTED: &str = "injected";

/// What Amazon says where a role may not use the key of a bucket, and where a clock is wrong.
const NO_KEY: &str = "User: arn:aws:sts::123456789012:assumed-role/r/f is not authorized to perform: \
                      kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:123456789012:key/0f4d because no \
                      identity-based policy allows the kms:GenerateDataKey action";
const SKEWED: &str = "The difference between the request time and the current time is too large.";

/// Locks that the keys share.
const LOCKS: usize = 4096;

/// The server. Cheap to clone.
#[derive(Clone)]
pub struct Twin(Arc<Inner>);

struct Inner {
    root: PathBuf,
    service: S3Service,
    fates: BlockingMutex<Fates>,
    /// One writer of a key at a time; none where conditional writes are not to hold.
    locks: Option<Vec<Mutex<()>>>,
    requests: AtomicU64,
    met: [AtomicU64; Fault::ALL.len()],
}

impl Twin {
    pub fn new(root: &Path, faults: Faults, seed: u64, locked: bool) -> Result<Twin, Error> {
        let files = FileSystem::new(root).map_err(|e| Error::other(format!("{}: {e:?}", root.display())))?;
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single("test", "testtest"));
        Ok(Twin(Arc::new(Inner {
            root: root.to_owned(),
            service: builder.build(),
            fates: BlockingMutex::new(Fates::new(faults, seed)),
            locks: locked.then(|| (0..LOCKS).map(|_| Mutex::new(())).collect()),
            requests: AtomicU64::new(0),
            met: Default::default(),
        })))
    }

    /// # Errors
    /// Where the connection is to be closed without an answer.
    pub async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Error> {
        if request.uri().path() == CONTROL {
            return Ok(self.control(&request));
        }
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        let (latency, fault) =
            self.0.fates.lock().unwrap_or_else(PoisonError::into_inner).next(request.uri().path());
        if latency > Duration::ZERO {
            tokio::time::sleep(latency).await;
        }
        let fault = fault.filter(|fault| can_happen(*fault, request.method(), request.headers()));
        if let Some(fault) = fault {
            self.0.met[fault as usize].fetch_add(1, Ordering::Relaxed);
        }
        match fault {
            Some(Fault::Slow) => return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", INJECTED)),
            Some(Fault::Error) => {
                return Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", INJECTED));
            }
            Some(Fault::Conflict) => {
                return Ok(refusal(StatusCode::CONFLICT, "ConditionalRequestConflict", INJECTED));
            }
            Some(Fault::KmsDenied) => return Ok(refusal(StatusCode::FORBIDDEN, "AccessDenied", NO_KEY)),
            Some(Fault::Skewed) => {
                return Ok(refusal(StatusCode::FORBIDDEN, "RequestTimeTooSkewed", SKEWED));
            }
            Some(Fault::DroppedBefore) => return Err(Error::other("dropped")),
            _ => {}
        }
        let response = self.serve(request).await?;
        match fault {
            Some(Fault::AppliedError) => {
                Ok(refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", INJECTED))
            }
            Some(Fault::DroppedAfter) => Err(Error::other("dropped")),
            Some(Fault::Truncated) => truncated(response).await,
            _ => Ok(response),
        }
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, Error> {
        let bucket = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        // The files behind this would make the bucket.
        if !bucket.is_empty() && !self.0.root.join(bucket).is_dir() {
            return Ok(refusal(StatusCode::NOT_FOUND, "NoSuchBucket", "there is none"));
        }
        let _one_writer = match request.method() {
            &Method::GET | &Method::HEAD => None,
            _ => self.lock(request.uri().path()).await,
        };
        let served = self.0.service.call(request.map(Body::from)).await;
        served.map_err(|e| Error::other(format!("{e:?}")))
    }

    async fn lock(&self, path: &str) -> Option<MutexGuard<'_, ()>> {
        let locks = self.0.locks.as_ref()?;
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        Some(locks[hasher.finish() as usize % LOCKS].lock().await)
    }

    fn control(&self, request: &Request<Incoming>) -> Response<Body> {
        if request.method() == Method::PUT {
            match request.uri().query().unwrap_or_default().parse::<Faults>() {
                Ok(faults) => self.0.fates.lock().unwrap_or_else(PoisonError::into_inner).faults = faults,
                Err(wrong) => return answer(StatusCode::BAD_REQUEST, wrong),
            }
        }
        let mut counts = format!("requests={}\n", self.0.requests.load(Ordering::Relaxed));
        for (fault, met) in Fault::ALL.iter().zip(&self.0.met) {
            counts += &format!("{}={}\n", fault.name(), met.load(Ordering::Relaxed));
        }
        answer(StatusCode::OK, counts)
    }
}

/// Whether a fault makes sense for a request: a read that is answered with an error after it was done is as one before.
fn can_happen(fault: Fault, method: &Method, headers: &HeaderMap) -> bool {
    match fault {
        Fault::Slow | Fault::Error | Fault::DroppedBefore | Fault::Skewed => true,
        Fault::AppliedError | Fault::DroppedAfter | Fault::KmsDenied => {
            method != Method::GET && method != Method::HEAD
        }
        Fault::Conflict => {
            headers.contains_key("if-none-match") && method != Method::GET && method != Method::HEAD
        }
        Fault::Truncated => method == Method::GET,
    }
}

fn answer(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let error =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>");
    answer(status, error)
}

/// The first half of a body; then the connection ends.
async fn truncated(response: Response<Body>) -> Result<Response<Body>, Error> {
    let (parts, body) = response.into_parts();
    let whole = body.collect().await.map_err(Error::other)?.to_bytes();
    let half: Bytes = whole.slice(..whole.len() / 2);
    let frames = [Ok(Frame::data(half)), Err(Error::other("truncated"))];
    let body = Body::http_body_unsync(StreamBody::new(stream::iter(frames)));
    Ok(Response::from_parts(parts, body))
}
