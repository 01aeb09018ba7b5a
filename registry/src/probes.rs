//! `/livez` and `/readyz`, for whoever restarts and routes.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use beatrix_engine::Registry;

/// The two paths.
pub(crate) fn router(registry: Registry) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(registry)
}

/// It answers, so it lives.
async fn livez() -> &'static str {
    "ok"
}

/// It may be sent traffic: it knows all instances, and is not stopping.
async fn readyz(State(registry): State<Registry>) -> (StatusCode, &'static str) {
    if registry.is_stopping() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else if !registry.complete() {
        (StatusCode::SERVICE_UNAVAILABLE, "warming")
    } else {
        (StatusCode::OK, "ok")
    }
}
