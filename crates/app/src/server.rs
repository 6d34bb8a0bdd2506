//! The HTTP server: one router over one running [`App`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use caudal_core::{Error, ErrorKind, Result};
use caudal_gateway::limits::BodyTime;
use caudal_gateway::origin::Origins;
use caudal_gateway::tls::{Tls, TlsFiles};
use caudal_gateway::{BodyBudget, BodyLimits, Gateway, GatewayOptions, Serving, WireLimits};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::access;
use crate::compose::App;
use crate::gpu::Host;
use crate::settings::{AuthRequired, Settings};

/// Who can reach an API, and whether they have to say who they are.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Whether every request has to show a key or token.
    pub required: bool,
    /// Whether only this machine reaches it.
    pub own: bool,
    /// Whether an answer is on its way before it has ended.
    pub streams: bool,
}

/// The API over a running [`App`]; answers that go on for long end when `closing` becomes true.
///
/// # Errors
/// `InvalidRequest` for a wrong setting.
pub fn router(
    app: &App,
    settings: &Settings,
    reach: Reach,
    closing: watch::Receiver<bool>,
) -> Result<Router> {
    let server = &settings.server;
    Ok(caudal_gateway::router(Gateway {
        orchestrator: app.orchestrator.clone(),
        data: app.data.clone(),
        system: Arc::new(Host { memory_limit: settings.memory_limit()? }),
        uploads: app.uploads.clone(),
        budget: BodyBudget::new(server.body_memory()?),
        guard: access::guard(settings, &app.bucket, reach.required)?,
        limits: access::limits(settings),
        options: GatewayOptions {
            body: BodyLimits { max_sent: server.max_body()?, max_decoded: server.max_decompressed()? },
            default_wait: server.default_wait(),
            max_wait: server.max_wait(),
            whole_within: (!reach.streams).then(|| server.max_wait()),
            body_time: BodyTime { idle: server.idle_time(), slowest: server.slowest_body()? },
            origins: origins(settings, reach),
            error_pages: server.error_pages(),
            base_path: server.base_path.clone(),
        },
        closing,
    }))
}

/// Where nobody signs in, and only this machine reaches the server, it answers to this machine's names alone.
fn origins(settings: &Settings, reach: Reach) -> Origins {
    let own = reach.own && !reach.required;
    Origins {
        allowed: settings.cors.allowed_origins.clone(),
        credentials: settings.cors.allow_credentials,
        hosts: own.then(|| settings.server.hosts.clone()),
    }
}

fn bytes(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// A server that listens, but does not answer yet.
pub struct Server {
    listener: TcpListener,
    router: Router,
    serving: Serving,
    app: App,
    closing: watch::Sender<bool>,
    drain: Duration,
    sweeper: Option<AbortHandle>,
}

impl Server {
    /// Takes the address and starts the actors.
    ///
    /// # Errors
    /// `InvalidRequest` for an address beyond loopback without TLS or without anybody who could sign in, unless that
    /// is asked for as `insecure`; `StorageUnavailable` when the address or the bucket cannot be had.
    pub async fn bind(settings: &Settings, insecure: bool) -> Result<Server> {
        let address = settings.server.address;
        let exposed = !address.ip().is_loopback() && !insecure;
        let required = exposed || settings.auth.required == AuthRequired::Always;
        let reach = Reach { required, own: address.ip().is_loopback(), streams: true };
        let serving = serving(settings)?;
        if exposed && serving.tls.is_none() {
            return Err(without_tls(address));
        }
        if required {
            access::check(settings).await?;
        }
        let listener = TcpListener::bind(address).await.map_err(|e| {
            let detail = format!("the address {address} cannot be listened on: {e}");
            Error::new(ErrorKind::StorageUnavailable, detail)
                .hint("another program may have it; choose one with --listen")
        })?;
        let app = App::start(settings, true).await?;
        let sweeper = app.sweep_now_and_then(settings);
        let drain = settings.server.drain();
        let (closing, closed) = watch::channel(false);
        let router = router(&app, settings, reach, closed)?;
        Ok(Server { listener, router, serving, app, closing, drain, sweeper })
    }

    /// Where it listens; the port is the one that was taken.
    ///
    /// # Errors
    /// `Internal` when the system does not say.
    pub fn url(&self) -> Result<String> {
        let scheme = if self.serving.tls.is_some() { "https" } else { "http" };
        let address = self.listener.local_addr();
        let address = address.map_err(|e| Error::new(ErrorKind::Internal, "no local address").cause(e))?;
        Ok(format!("{scheme}://{address}"))
    }

    /// Answers until `shutdown` resolves. Then nothing is taken in any more, jobs that run may end for as long as the
    /// settings say, and open requests are answered. The certificate is read again when it changes, and each time that
    /// `reload` resolves.
    ///
    /// # Errors
    /// `Internal` when the listener fails.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
        reload: impl AsyncFnMut(),
    ) -> Result<()> {
        self.app.measure_host();
        let (closing, mut heard) = (self.closing.clone(), self.closing.subscribe());
        let stop = async move {
            shutdown.await;
            closing.send_replace(true);
        };
        let orchestrator = self.app.orchestrator.clone();
        let drain = async move {
            // An error is the end of whoever tells, which is as good.
            let _ = heard.wait_for(|told| *told).await;
            orchestrator.drain(self.drain).await;
        };
        let tls = self.serving.tls.clone();
        let certificates = async {
            match tls {
                Some(tls) => tls.watch(reload).await,
                None => std::future::pending().await,
            }
        };
        let serve = caudal_gateway::serve(self.listener, self.router, self.serving, stop);
        let served = tokio::select! {
            (served, ()) = async { tokio::join!(serve, drain) } => served,
            () = certificates => Ok(()),
        };
        if let Some(sweeper) = self.sweeper {
            sweeper.abort();
        }
        self.app.orchestrator.shutdown().await;
        served.map_err(|e| Error::new(ErrorKind::Internal, "the listener failed").cause(e))
    }
}

pub(crate) fn serving(settings: &Settings) -> Result<Serving> {
    let server = &settings.server;
    let tls = server.tls()?.map(|(certificate, key)| Tls::load(TlsFiles { certificate, key })).transpose()?;
    Ok(Serving {
        tls: tls.map(Arc::new),
        wire: Arc::new(WireLimits {
            max_headers: bytes(server.max_headers()?),
            header_time: server.header_time(),
            idle_time: server.idle_time(),
        }),
        max_connections: server.max_connections,
        error_pages: server.error_pages().into(),
    })
}

fn without_tls(address: SocketAddr) -> Error {
    let detail =
        format!("{address} can be reached from other machines, and there is no TLS: keys would be readable");
    Error::new(ErrorKind::InvalidRequest, detail)
        .hint("give --tls-cert and --tls-key, bind to 127.0.0.1, or give --insecure if you mean it")
}
