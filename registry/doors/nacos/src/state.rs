//! What probes, consoles and clients poll to see whether the server is there.

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use crate::door::Nacos;
use crate::error::Code;
use crate::wire::StateJson;
use crate::{reply, result};

/// The version of Nacos whose API this is.
pub(crate) const VERSION: &str = "2.5.1";

/// What of Nacos this door speaks.
const STATE: StateJson = StateJson {
    version: VERSION,
    startup_mode: "standalone",
    standalone_mode: "standalone",
    function_mode: "naming",
    auth_enabled: "false",
    server: concat!("beatrix ", env!("CARGO_PKG_VERSION")),
};

/// Why the server is not ready.
const NOT_READY: &str = "naming not in readiness: not all instances may be known yet";

/// The paths, of Nacos up to 2.5 and from 3.0.
pub(crate) fn routes() -> Router<Nacos> {
    Router::new()
        .route("/nacos/v1/console/health/liveness", get(liveness_v1))
        .route("/nacos/v1/console/health/readiness", get(readiness_v1))
        .route("/nacos/v1/console/server/state", get(state_v1))
        .route("/nacos/v2/console/health/liveness", get(liveness))
        .route("/nacos/v2/console/health/readiness", get(readiness))
        .route("/nacos/v3/console/server/state", get(state_v1))
        .route("/nacos/v3/console/health/liveness", get(liveness))
        .route("/nacos/v3/console/health/readiness", get(readiness))
        .route("/nacos/v3/admin/core/state", get(state))
        .route("/nacos/v3/admin/core/state/liveness", get(liveness))
        .route("/nacos/v3/admin/core/state/readiness", get(readiness))
}

async fn liveness_v1() -> Response {
    reply::text(StatusCode::OK, "OK".to_owned())
}

async fn readiness_v1(nacos: Nacos) -> Response {
    readiness_text(nacos.registry.complete())
}

/// Nacos v1: a server that is not ready answers 500.
fn readiness_text(ready: bool) -> Response {
    if ready {
        reply::text(StatusCode::OK, "OK".to_owned())
    } else {
        reply::text(StatusCode::INTERNAL_SERVER_ERROR, NOT_READY.to_owned())
    }
}

async fn liveness() -> Response {
    result::ok()
}

async fn readiness(nacos: Nacos) -> Response {
    readiness_result(nacos.registry.complete())
}

/// Nacos v2 and v3: the status is 200 in any case, the code tells.
fn readiness_result(ready: bool) -> Response {
    if ready {
        result::ok()
    } else {
        result::of(StatusCode::OK, Code::SERVER, NOT_READY)
    }
}

async fn state_v1() -> Response {
    reply::json_of(StatusCode::OK, &STATE)
}

async fn state() -> Response {
    result::success(STATE)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_server_that_is_not_ready_says_so_in_the_way_of_its_version() {
        assert_eq!(readiness_text(false).status(), StatusCode::INTERNAL_SERVER_ERROR);
        let result = readiness_result(false);
        assert_eq!(result.status(), StatusCode::OK);
        let body = result.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"{\"code\":30000,"));
    }
}
