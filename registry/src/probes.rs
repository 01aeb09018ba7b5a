//! `/livez` and `/readyz`, for whoever restarts and routes.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use beatrix_engine::Registry;
use beatrix_engine::journal::StorageState;

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
///
/// A disk that fails makes it say so and stay ready: it serves what it knows, and clients that beat are taken on. Were it
/// taken out of traffic, its users would lose the lists as well.
async fn readyz(State(registry): State<Registry>) -> (StatusCode, String) {
    if registry.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping".into());
    }
    let trouble = registry.storage().and_then(StorageState::trouble);
    let storage = trouble.map_or_else(String::new, |trouble| {
        let seconds = registry.wall().0.saturating_sub(trouble.since.0) / 1_000;
        format!(
            "\nstorage: durable writes are refused, for {seconds} s now: {}",
            trouble.error
        )
    });
    if registry.complete() {
        (StatusCode::OK, format!("ok{storage}"))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("warming{storage}"))
    }
}

#[cfg(test)]
mod tests {
    use beatrix_core::model::Epoch;
    use beatrix_engine::journal::Memory;
    use beatrix_engine::random::Random;
    use beatrix_engine::{EngineConfig, RegistryBuilder};

    use super::*;

    /// The other answers are shown on the real process, by `tests/tests/it/storage.rs`.
    #[tokio::test]
    async fn readyz_says_ok_and_once_it_stops_that_it_does() {
        let registry = RegistryBuilder::new(EngineConfig::default(), Random::from_seed(1))
            .start(Memory::new(Epoch(1)))
            .await
            .expect("memory can be read");
        assert_eq!(
            readyz(State(registry.clone())).await,
            (StatusCode::OK, "ok".into())
        );
        registry.stop().await;
        assert_eq!(
            readyz(State(registry)).await,
            (StatusCode::SERVICE_UNAVAILABLE, "stopping".into())
        );
    }
}
