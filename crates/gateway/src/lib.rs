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
use caudal_core::uploads::Uploads;
use caudal_orchestration::Orchestrator;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub mod api_page;
mod body;
mod byte_range;
mod compression;
pub mod data;
mod digest;
pub mod error_pages;
pub mod events;
mod header_list;
pub mod health;
mod idempotency;
pub mod job_request;
pub mod jobs;
mod negotiate;
pub mod openapi;
mod owner;
mod parameters;
mod prefer;
pub mod problem;
pub mod process;
mod query_settings;
mod server;
pub mod uploads;

pub use body::{BodyBudget, BodyLimits};
pub use error_pages::ERROR_PAGES;
pub use openapi::openapi;
pub use server::serve;

/// What the handlers call.
#[derive(Clone)]
pub struct Gateway {
    pub orchestrator: Orchestrator,
    pub data: Arc<dyn NormalizedData>,
    pub uploads: Arc<dyn Uploads>,
    /// The room that the bodies of all requests share.
    pub budget: BodyBudget,
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
        // No handler takes a body as it comes: `body` reads them, within its bounds.
        .layer(DefaultBodyLimit::max(0))
        .layer(from_fn_with_state(gateway.clone(), problem::render))
        .layer(from_fn(compression::compress))
        .with_state(gateway)
}

/// The handlers and their description, which are one thing so that they cannot differ.
fn resources() -> OpenApiRouter<Arc<Gateway>> {
    OpenApiRouter::with_openapi(openapi::preamble())
        .routes(routes!(process::process))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::status))
        .routes(routes!(jobs::result))
        .routes(routes!(events::events))
        .routes(routes!(data::data))
        .routes(routes!(uploads::begin))
        .routes(routes!(uploads::find, uploads::remove))
        .routes(routes!(uploads::put_part))
        .routes(routes!(uploads::complete))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(api_page::api_page))
        .routes(routes!(error_pages::page))
        .routes(routes!(openapi::document))
}
