//! The server on a real socket.

use std::sync::Arc;
use std::time::Duration;

use caudal_gateway::{Serving, WireLimits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::empty_bucket::gateway;

fn serving() -> Serving {
    let wire = WireLimits {
        max_headers: 1 << 14,
        header_time: Duration::from_secs(30),
        idle_time: Duration::from_secs(30),
    };
    Serving { tls: None, wire: Arc::new(wire), max_connections: 10, error_pages: "docs/errors/".into() }
}

#[tokio::test]
async fn a_shutdown_ends_the_server_once_its_connections_are_idle() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = caudal_gateway::router(gateway().await);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        stopped.await.expect("a signal");
    };
    let server = tokio::spawn(caudal_gateway::serve(listener, router, serving(), shutdown));

    let mut kept = TcpStream::connect(address).await.expect("a connection");
    kept.write_all(b"GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("a request");
    let mut answer = [0; 12];
    kept.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 200");

    stop.send(()).expect("the server waits for it");
    server.await.expect("the server does not panic").expect("it ends well");
    let mut rest = Vec::new();
    kept.read_to_end(&mut rest).await.expect("the connection is closed in order");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
