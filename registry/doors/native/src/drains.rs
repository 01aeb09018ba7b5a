//! Drains: taking an instance out of traffic, how far that is, and taking it back.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use beatrix_core::model::Invalid;
use beatrix_engine::Registry;
use beatrix_engine::registry::Drained;
use beatrix_wire as wire;
use beatrix_wire::problem::kind;

use crate::extract::{InstancePath, Json};
use crate::instances::written_json;
use crate::limits::DRAIN_DEADLINE_MS_MAX;
use crate::problem::{Failure, Result};

/// Takes an instance out of traffic. Answers when every connected subscriber of its service that acknowledges has
/// acknowledged that, and the instance, if it says how many requests it has in flight, has said since that there are
/// none; or at the deadline, naming who has not. Who stops waiting undoes nothing: the instance stays draining until a
/// `DELETE` of the drain, a `PATCH` with `draining: false`, or until its operator's layer ends. Several who drain the
/// same instance share one drain, each with his own deadline.
#[utoipa::path(
    post, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}/drain",
    tag = "instances", operation_id = "drain",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    request_body = wire::DrainRequest,
    responses(
        (status = 200, body = wire::DrainResponse), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem), (status = 429, body = wire::Problem),
    )
)]
pub(crate) async fn drain(
    State(registry): State<Registry>,
    InstancePath { service, endpoint }: InstancePath,
    Json(request): Json<wire::DrainRequest>,
) -> Result<axum::Json<wire::DrainResponse>> {
    let deadline_ms = request.deadline_ms.unwrap_or(30_000);
    if deadline_ms > DRAIN_DEADLINE_MS_MAX {
        let rule = "must be from 0 to 300000";
        return Err(Invalid::new("deadline_ms", rule, &deadline_ms.to_string()).into());
    }
    let drained = registry
        .drain(service, endpoint, Duration::from_millis(deadline_ms))
        .await?;
    Ok(shown(&registry, drained))
}

/// How far the drain of an instance is, whoever began it.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}/drain",
    tag = "instances", operation_id = "drain_progress",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    responses(
        (status = 200, body = wire::DrainResponse), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn progress(
    State(registry): State<Registry>,
    InstancePath { service, endpoint }: InstancePath,
) -> Result<axum::Json<wire::DrainResponse>> {
    match registry.drain_progress(&service, &endpoint)? {
        Some(drained) => Ok(shown(&registry, drained)),
        None => {
            let detail = format!("instance `{endpoint}` of service `{service}` does not drain");
            Err(Failure::new(StatusCode::NOT_FOUND, kind::DRAIN_NOT_FOUND, detail))
        }
    }
}

/// Gives an instance traffic again. Whoever waits for its drain is answered `cancelled`.
#[utoipa::path(
    delete, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}/drain",
    tag = "instances", operation_id = "cancel_drain",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    responses(
        (status = 200, body = wire::WriteResponse), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn cancel(
    State(registry): State<Registry>,
    InstancePath { service, endpoint }: InstancePath,
) -> Result<axum::Json<wire::WriteResponse>> {
    let written = registry.cancel_drain(service, endpoint).await?;
    Ok(written_json(&registry, written))
}

fn shown(registry: &Registry, drained: Drained) -> axum::Json<wire::DrainResponse> {
    axum::Json(wire::DrainResponse {
        epoch: registry.epoch().to_string(),
        revision: drained.revision.0,
        complete: drained.complete,
        acknowledged: drained.acknowledged,
        waiting: drained.waiting,
        gone: drained.gone,
        without_acks: drained.without_acks as u64,
        in_flight: drained.in_flight.map(|said| wire::InFlight {
            count: said.count,
            at_ms: said.at.0,
        }),
        ended: drained.ended.map(|end| end.as_str().into()),
    })
}
