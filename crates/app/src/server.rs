//! The HTTP server: one router over one running [`App`].

use axum::Router;
use caudal_core::{Error, ErrorKind, Result};
use caudal_gateway::{BodyBudget, BodyLimits, Gateway, GatewayOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::compose::App;
use crate::settings::Settings;

/// The API over a running [`App`]; answers that go on for long end when `closing` becomes true.
///
/// # Errors
/// `InvalidRequest` for a wrong setting.
pub fn router(app: &App, settings: &Settings, closing: watch::Receiver<bool>) -> Result<Router> {
    Ok(caudal_gateway::router(Gateway {
        orchestrator: app.orchestrator.clone(),
        data: app.data.clone(),
        uploads: app.uploads.clone(),
        budget: BodyBudget::new(settings.server.body_memory()?),
        options: GatewayOptions {
            body: BodyLimits {
                max_sent: settings.server.max_body()?,
                max_decoded: settings.server.max_decompressed()?,
                grace: settings.server.body_time(),
                rate: settings.server.body_rate()?,
            },
            default_wait: settings.server.default_wait(),
            max_wait: settings.server.max_wait(),
            error_pages: caudal_gateway::ERROR_PAGES.into(),
        },
        closing,
    }))
}

/// A server that listens, but does not answer yet.
pub struct Server {
    listener: TcpListener,
    router: Router,
    app: App,
    closing: watch::Sender<bool>,
}

impl Server {
    /// Takes the address and starts the actors.
    ///
    /// # Errors
    /// `InvalidRequest` for an address beyond loopback without `insecure`, since nobody is asked to sign in;
    /// `StorageUnavailable` when the address or the bucket cannot be had.
    pub async fn bind(settings: &Settings, insecure: bool) -> Result<Server> {
        let address = settings.server.address;
        if !address.ip().is_loopback() && !insecure {
            let detail = format!(
                "{address} can be reached from other machines, and this server asks nobody to sign in"
            );
            let hint = "bind to 127.0.0.1, or give --insecure if you mean it";
            return Err(Error::new(ErrorKind::InvalidRequest, detail).hint(hint));
        }
        let listener = TcpListener::bind(address).await.map_err(|e| {
            let detail = format!("the address {address} cannot be listened on: {e}");
            Error::new(ErrorKind::StorageUnavailable, detail)
                .hint("another program may have it; choose one with --listen")
        })?;
        let app = App::start(settings, true).await?;
        let (closing, closed) = watch::channel(false);
        Ok(Server { listener, router: router(&app, settings, closed)?, app, closing })
    }

    /// Where it listens; the port is the one that was taken.
    ///
    /// # Errors
    /// `Internal` when the system does not say.
    pub fn address(&self) -> Result<std::net::SocketAddr> {
        self.listener.local_addr().map_err(|e| Error::new(ErrorKind::Internal, "no local address").cause(e))
    }

    /// Answers until `shutdown` resolves, then lets the open requests end.
    ///
    /// # Errors
    /// `Internal` when the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        self.app.measure_host();
        let closing = self.closing;
        let shutdown = async move {
            shutdown.await;
            closing.send_replace(true);
        };
        let served = caudal_gateway::serve(self.listener, self.router, shutdown).await;
        self.app.orchestrator.shutdown().await;
        served.map_err(|e| Error::new(ErrorKind::Internal, "the listener failed").cause(e))
    }
}
