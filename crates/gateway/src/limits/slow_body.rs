//! Bodies that come too slowly are cut off: a client that stops in the middle would keep a place that others need.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use caudal_core::{Error, ErrorKind};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::Gateway;
use crate::problem::Problem;

/// How slowly a body may come.
#[derive(Clone, Copy, Debug)]
pub struct BodyTime {
    /// The longest pause between two bytes.
    pub idle: Duration,
    /// Bytes per second over the whole body, once the first `idle` is over.
    pub slowest: u64,
}

/// Middleware: ends requests whose bodies come too slowly, whatever the handler makes of the broken body.
pub(crate) async fn watch_body(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    let time = gateway.options.body_time;
    let late = Arc::new(AtomicBool::new(false));
    let request = request.map(|body| match body.is_end_stream() {
        true => body,
        false => Body::new(SlowBody {
            body,
            time,
            begun: Instant::now(),
            received: 0,
            pause: Box::pin(sleep(time.idle)),
            late: late.clone(),
        }),
    });
    let response = next.run(request).await;
    match late.load(Ordering::Relaxed) {
        true => too_slow(time).into_response(),
        false => response,
    }
}

fn too_slow(time: BodyTime) -> Problem {
    let BodyTime { idle, slowest } = time;
    let detail = format!(
        "the body came too slowly: at most {} seconds may pass between two bytes, and {slowest} bytes a second are \
         the least over the whole",
        idle.as_secs_f64()
    );
    let hint = "send the request again; put large data into a file and name it as source.uri";
    Problem::from(Error::new(ErrorKind::RequestTimeout, detail).hint(hint))
        .with_header(CONNECTION, HeaderValue::from_static("close"))
}

struct SlowBody {
    body: Body,
    time: BodyTime,
    begun: Instant,
    received: u64,
    pause: Pin<Box<Sleep>>,
    late: Arc<AtomicBool>,
}

impl SlowBody {
    /// Whether less has come than the slowest client would have sent.
    fn is_behind(&self, now: Instant) -> bool {
        let over = now.saturating_duration_since(self.begun).saturating_sub(self.time.idle);
        over.as_secs_f64() * self.time.slowest as f64 > self.received as f64
    }

    fn cut(&self) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.late.store(true, Ordering::Relaxed);
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "the body came too slowly");
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }
}

impl HttpBody for SlowBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.late.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.pause.as_mut().poll(cx));
            return self.cut();
        };
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
        let now = Instant::now();
        if self.is_behind(now) {
            return self.cut();
        }
        let until = now + self.time.idle;
        self.pause.as_mut().reset(until);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
