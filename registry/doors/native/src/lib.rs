//! The native API: JSON over HTTP under `/api/v1`, and a watch stream of Server-Sent Events.
//!
//! An adapter: it parses into the domain's types, calls the [`Registry`], and renders what comes back. In the order
//! in which a request meets them: [`limits`] and `extract` (bodies, parameters, paths), a file for each resource
//! (`instances`, `probes`, `drains`, `operator`, `beats`, `services`, `declaration`, `watch`, `reports`, `explain`, `history`,
//! `storage`, `past`, `backup`, `guards`), `render` (JSON of views and events), `problem` (errors).
//!
//! The wire types are those of `beatrix-wire`; what is rendered by hand is tested to read back as them.

pub mod backup;
mod beats;
mod declaration;
mod drains;
mod explain;
mod extract;
mod guards;
mod history;
mod instances;
pub mod limits;
mod openapi;
mod operator;
mod past;
mod probes;
mod problem;
mod render;
mod reports;
mod services;
mod storage;
mod watch;

/// What `beatrix-benches` measures of this door; nobody else may use it.
#[doc(hidden)]
pub mod bench {
    use beatrix_core::catalog::View;
    use beatrix_engine::Registry;
    use beatrix_engine::hub::Update;
    use bytes::Bytes;

    /// Renews a batch as it comes from the wire. Returns how many leases it renewed; nothing if it is refused.
    #[must_use]
    pub fn renew(registry: &Registry, body: &[u8]) -> u64 {
        crate::beats::renew(registry, body).map_or(0, |(response, _)| response.renewed)
    }

    /// A whole view as JSON.
    #[must_use]
    pub fn view(view: &View) -> Bytes {
        crate::render::view(view)
    }

    /// An update as a whole event of the watch stream.
    #[must_use]
    pub fn event(update: &Update) -> Bytes {
        crate::render::whole_event(update)
    }
}

use axum::Router;
use axum::extract::DefaultBodyLimit;
use beatrix_engine::Registry;

/// The paths of the native API, its OpenAPI document and the page to try it.
pub fn router(registry: Registry) -> Router {
    let (router, document) = openapi::router().split_for_parts();
    let router = router
        .route("/api/{*path}", axum::routing::any(problem::not_found))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .with_state(registry);
    openapi::serve(router, document)
}
