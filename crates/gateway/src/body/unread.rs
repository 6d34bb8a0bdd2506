//! Bodies that are refused before they are read: what comes of them is taken and dropped, so that the client gets to see
//! its answer instead of a broken connection.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use hyper::body::{Frame, SizeHint};

/// More of a body than this is not worth the connection that it keeps.
const MOST: u64 = 32 << 20;

/// How long its rest may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Middleware: reads on where the answer is there before the body is. A connection whose body is not read to its end is
/// closed, and a client that is still sending then loses the answer (RFC 9112 §9.6).
pub(crate) async fn read_on(request: Request, next: Next) -> Response {
    // Whoever asks first sends nothing after a refusal.
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let unread = Unread::default();
    let request = request.map(|body| Body::new(Lent { body: Some(body), owner: unread.clone() }));
    let response = next.run(request).await;
    // A body that was too slow is not waited for again.
    if let Some(body) = unread.take()
        && response.status() != StatusCode::REQUEST_TIMEOUT
        && body.size_hint().lower() <= MOST
    {
        // The answer goes out meanwhile.
        tokio::spawn(tokio::time::timeout(LONGEST, discard(body)));
    }
    response
}

async fn discard(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut taken = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        taken += chunk.len() as u64;
        if taken > MOST {
            break;
        }
    }
}

/// The place to which a body comes back.
#[derive(Clone, Default)]
struct Unread(Arc<Mutex<Option<Body>>>);

impl Unread {
    fn put(&self, body: Body) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }

    fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    owner: Unread,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.owner.put(body);
        }
    }
}
