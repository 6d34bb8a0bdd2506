//! The HTTP face of Caudal: one file per resource, one place for errors, and the OpenAPI document.
//!
//! Handlers translate between HTTP and the orchestrator's handle and decide nothing else. What goes
//! wrong leaves a handler as a [`problem::Problem`], and [`problem::render`] writes all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use caudal_core::export::NormalizedData;
use caudal_core::ports::SystemReport;
use caudal_orchestration::Orchestrator;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::limits::{BodyTime, Limits};
use crate::origin::Origins;

mod byte_range;
pub mod data;
pub mod error_pages;
mod header_list;
pub mod health;
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
mod server;
pub mod system;
pub mod tls;
mod wire;

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
    pub guard: Guard,
    pub limits: Limits,
    pub options: GatewayOptions,
}

#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// The longest request body that is read.
    pub max_body_bytes: usize,
    /// How long `POST /process` waits when the client says nothing.
    pub default_wait: Duration,
    /// The longest wait that a client may ask for.
    pub max_wait: Duration,
    /// How slowly a body may come.
    pub body_time: BodyTime,
    /// Which pages of other origins may use the API.
    pub origins: Origins,
    /// Where the error pages are: a problem's `type` is this and the error's code.
    pub error_pages: String,
}

/// All resources, each answer an HTTP answer: nothing that a client sends makes the service fail.
pub fn router(gateway: Gateway) -> Router {
    let gateway = Arc::new(gateway);
    let (router, _) = resources().split_for_parts();
    router
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(gateway.options.max_body_bytes))
        .layer(from_fn_with_state(gateway.clone(), limits::watch_body))
        .layer(from_fn_with_state(gateway.clone(), identity::authenticate))
        .layer(from_fn_with_state(gateway.clone(), origin::check_origin))
        .layer(from_fn_with_state(gateway.clone(), problem::render))
        .with_state(gateway)
}

/// The handlers and their description, which are one thing so that they cannot differ.
fn resources() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::with_openapi(openapi::preamble())
        .routes(routes!(process::process))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::status))
        .routes(routes!(jobs::result))
        .routes(routes!(data::data))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::metrics))
        .routes(routes!(system::system))
        .routes(routes!(error_pages::page))
        .routes(routes!(openapi::document))
}
