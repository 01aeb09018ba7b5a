//! The native API: JSON over HTTP under `/api/v1`, and a watch stream of Server-Sent Events.
//!
//! An adapter: it parses into the domain's types, calls the [`Registry`], and renders what comes back. In the order
//! in which a request meets them: [`limits`] and `extract` (bodies, parameters, paths), a file for each resource
//! (`instances`, `beats`, `services`, `watch`, `history`), `render` (JSON of views and events), `problem` (errors).
//!
//! The wire types are those of `beatrix-wire`; what is rendered by hand is tested to read back as them.

mod beats;
mod extract;
mod history;
mod instances;
pub mod limits;
mod openapi;
mod problem;
mod render;
mod services;
mod watch;


use axum::Router;
use axum::extract::DefaultBodyLimit;
use beatrix_engine::Registry;

/// The paths of the native API, its OpenAPI document and the page to try it.
#[must_use]
pub fn router(registry: Registry) -> Router {
    let (router, document) = openapi::router().split_for_parts();
    let router = router
        .route("/api/{*path}", axum::routing::any(problem::not_found))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .with_state(registry);
    openapi::serve(router, document)
}
