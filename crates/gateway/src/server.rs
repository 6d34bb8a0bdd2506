//! Serves a router over HTTP/1.1, with or without TLS, within bounds of time and number, with an orderly end.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use futures::FutureExt;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt;

use crate::tls::Tls;
use crate::wire::{Answer, Answering, Wire, WireLimits};

/// How long open requests may go on after the shutdown began.
const GRACE: Duration = Duration::from_secs(30);

/// How long to wait before the next connection when the system has no place for one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Room in the parser's buffer beside the headers.
const BUFFER: usize = 64 * 1024;

/// How a server answers.
#[derive(Clone)]
pub struct Serving {
    pub tls: Option<Arc<Tls>>,
    pub wire: Arc<WireLimits>,
    /// Connections at a time; more wait until one ends.
    pub max_connections: usize,
    /// Where the error pages are.
    pub error_pages: Arc<str>,
}

/// Who is at the other end of a connection: an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Answers until `shutdown` resolves, then takes no more connections, lets open requests end for at most half a
/// minute, and returns.
///
/// # Errors
/// None at present: a connection that fails is its client's loss, and a listener that is out of file
/// descriptors is tried again.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    serving: Serving,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let connections = Arc::new(GracefulShutdown::new());
    let places = Arc::new(Semaphore::new(serving.max_connections.min(Semaphore::MAX_PERMITS)));
    let server = Arc::new(Server { router, serving, connections: connections.clone() });
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            (stream, peer, place) = accept(&listener, &places) => {
                tokio::spawn(server.clone().answer(stream, peer, place));
            }
            () = &mut shutdown => break,
        }
    }
    drop((listener, server));
    end(connections).await;
    Ok(())
}

/// Connections that are still agreeing on TLS hold on to `connections` for a moment longer.
async fn end(connections: Arc<GracefulShutdown>) {
    let over = async {
        let mut connections = connections;
        loop {
            match Arc::try_unwrap(connections) {
                Ok(all) => return all.shutdown().await,
                Err(shared) => connections = shared,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(GRACE, over).await.is_err() {
        tracing::warn!("requests were still open after {} s; they are cut off", GRACE.as_secs());
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = places.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, place),
            Err(error) if is_the_clients(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether a client went away before its connection was accepted.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

struct Server {
    router: Router,
    serving: Serving,
    connections: Arc<GracefulShutdown>,
}

impl Server {
    async fn answer(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        place: Option<OwnedSemaphorePermit>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small answers may be delayed");
        }
        let tls = self.serving.tls.clone();
        match tls {
            None => self.speak(stream, peer).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => self.speak(stream, peer).await,
                Err(error) => tracing::debug!(%error, "a client did not agree on TLS"),
            },
        }
        drop(place);
    }

    async fn speak<S>(self: Arc<Self>, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Serving { wire, error_pages, .. } = self.serving.clone();
        let (answering, router) = (Answering::default(), self.router.clone());
        let max_buffer = wire.max_headers + BUFFER;
        let wire = Wire::new(stream, wire, error_pages, answering.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answering.begin();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            let answered = router.clone().oneshot(request);
            answered.map(|answered| answered.map(|response| counted(response, answer)))
        });
        let connection = http1::Builder::new()
            .max_headers(256)
            .max_buf_size(max_buffer)
            .serve_connection(TokioIo::new(wire), service);
        let connection = self.connections.watch(connection);
        drop(self);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// The answer is under way until the last byte of its body is taken.
fn counted(response: Response<Body>, answer: Answer) -> Response<Counted> {
    response.map(|body| Counted { body, _answer: answer })
}

struct Counted {
    body: Body,
    _answer: Answer,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
