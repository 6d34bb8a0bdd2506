//! The HTTP face of Caudal: one file per resource, one place for errors, and the OpenAPI document.
//!
//! Handlers translate between HTTP and the orchestrator's handle and decide nothing else. What goes
//! wrong leaves a handler as a [`problem::Problem`], and [`problem::render`] writes all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use caudal_core::export::NormalizedData;
use caudal_core::ports::SystemReport;
use caudal_core::uploads::Uploads;
use caudal_orchestration::Orchestrator;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::limits::{BodyTime, Limits};
use crate::origin::Origins;

pub mod api_page;
mod body;
mod byte_range;
mod compression;
pub mod data;
mod digest;
mod elsewhere;
pub mod error_pages;
pub mod events;
mod header_list;
pub mod health;
mod idempotency;
pub mod identity;
pub mod job_request;
pub mod jobs;
pub mod limits;
pub mod metrics;
mod negotiate;
pub mod openapi;
pub mod origin;
mod owner;
mod parameters;
mod prefer;
pub mod problem;
pub mod process;
mod query_settings;
mod server;
pub mod system;
pub mod tls;
pub mod uploads;
mod wire;

pub use body::{BodyBudget, BodyLimits};
pub use error_pages::ERROR_PAGES;
pub use identity::Guard;
pub use openapi::openapi;
pub use server::{Peer, Serving, serve};
pub use wire::WireLimits;

/// What the handlers call.
#[derive(Clone)]
pub struct Gateway {
    pub orchestrator: Orchestrator,
    pub data: Arc<dyn NormalizedData>,
    pub system: Arc<dyn SystemReport>,
    pub uploads: Arc<dyn Uploads>,
    /// The room that the bodies of all requests share.
    pub budget: BodyBudget,
    pub guard: Guard,
    pub limits: Limits,
    pub options: GatewayOptions,
    /// Becomes true when the server stops: answers that go on for long end then.
    pub closing: watch::Receiver<bool>,
}

#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// What the body of `POST /process` is bound by.
    pub body: BodyLimits,
    /// How long `POST /process` waits when the client says nothing.
    pub default_wait: Duration,
    /// The longest wait that a client may ask for.
    pub max_wait: Duration,
    /// Where an answer arrives only when it has ended: how long one that could go on may last.
    pub whole_within: Option<Duration>,
    /// How slowly a body may come.
    pub body_time: BodyTime,
    /// Which pages of other origins may use the API.
    pub origins: Origins,
    /// Where the error pages are: a problem's `type` is this and the error's code.
    pub error_pages: String,
    /// What stands before every path as clients know it, and is taken away before a request comes here: `/v1`, or nothing.
    pub base_path: String,
}

impl GatewayOptions {
    /// A path of this API, as clients know it.
    fn shown(&self, path: impl std::fmt::Display) -> String {
        format!("{}{path}", self.base_path)
    }
}

/// All resources, each answer an HTTP answer: nothing that a client sends makes the service fail.
pub fn router(gateway: Gateway) -> Router {
    let gateway = Arc::new(gateway);
    let (router, _) = resources().split_for_parts();
    router
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        // No handler takes a body as it comes: `body` reads them, within its bounds.
        .layer(DefaultBodyLimit::max(0))
        .layer(from_fn_with_state(gateway.clone(), limits::watch_body))
        .layer(from_fn_with_state(gateway.clone(), identity::authenticate))
        .layer(from_fn_with_state(gateway.clone(), origin::check_origin))
        .layer(from_fn_with_state(gateway.clone(), problem::render))
        .layer(from_fn(compression::compress))
        .layer(from_fn(body::read_on))
        .with_state(gateway)
}

/// The handlers and their description, which are one thing so that they cannot differ.
fn resources() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::with_openapi(openapi::preamble())
        .routes(routes!(process::process))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::status, jobs::end))
        .routes(routes!(jobs::result))
        .routes(routes!(events::events))
        .routes(routes!(data::data))
        .routes(routes!(uploads::begin))
        .routes(routes!(uploads::find, uploads::remove))
        .routes(routes!(uploads::put_part))
        .routes(routes!(uploads::complete))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(system::system))
        .routes(routes!(api_page::api_page))
        .routes(routes!(error_pages::page))
        .routes(routes!(openapi::document))
}
