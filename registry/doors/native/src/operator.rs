//! The operator's layers: what is set over instances, whoever they belong to now.

use axum::extract::State;
use axum::response::Response;
use beatrix_core::catalog::{LayerInfo, Refusal};
use beatrix_core::model::{OperatorLayer, OperatorPatch, Weight};
use beatrix_engine::Registry;
use beatrix_wire as wire;

use crate::extract::{Asked, InstancePath, Json, ServicePath};
use crate::instances::{shown, written_json};
use crate::problem::Result;

/// The operator's layers of a service, ordered by endpoint; also those that wait for an instance which is gone.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/operator",
    tag = "instances", operation_id = "operator_layers",
    params(("namespace",), ("group",), ("service",)),
    responses(
        (status = 200, body = wire::OperatorLayers), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn layers(
    State(registry): State<Registry>,
    ServicePath(service): ServicePath,
) -> Result<axum::Json<wire::OperatorLayers>> {
    if registry.revision_of(service.borrowed()).is_none() {
        return Err(Refusal::ServiceNotFound(service).into());
    }
    let layers = registry.layers(service.borrowed());
    Ok(axum::Json(wire::OperatorLayers {
        layers: layers.iter().map(listed).collect(),
    }))
}

fn listed(info: &LayerInfo) -> wire::ListedLayer {
    wire::ListedLayer {
        address: info.endpoint.address().to_string(),
        port: info.endpoint.port(),
        present: info.present,
        layer: layer(&info.layer),
    }
}

pub(crate) fn layer(layer: &OperatorLayer) -> wire::OperatorLayer {
    let metadata = layer.metadata.iter();
    wire::OperatorLayer {
        enabled: layer.enabled,
        weight: layer.weight.map(Weight::get),
        metadata: metadata
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        draining: layer.draining,
        sticky: layer.sticky,
    }
}

/// Changes the operator's layer of an instance. It lies over what the client registers and survives its
/// re-registration; it ends when it is cleared, when the client deregisters or comes back under another incarnation,
/// or ten minutes after the instance has gone, unless it is sticky.
#[utoipa::path(
    patch, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}",
    tag = "instances", operation_id = "operate",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    request_body = wire::OperatorPatch,
    responses(
        (status = 200, body = wire::Instance), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn operate(
    Asked(registry): Asked,
    InstancePath { service, endpoint }: InstancePath,
    Json(patch): Json<wire::OperatorPatch>,
) -> Result<Response> {
    let patch = OperatorPatch {
        enabled: patch.enabled,
        weight: patch.weight.map(Weight::new).transpose()?,
        metadata: patch.metadata,
        draining: patch.draining,
        sticky: patch.sticky,
        fresh: None,
    };
    registry.operate(service.clone(), endpoint.clone(), patch).await?;
    shown(&registry, service, endpoint)
}

/// Clears the operator's layer of an instance, also of one that is gone.
#[utoipa::path(
    delete, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}/operator",
    tag = "instances", operation_id = "clear_operator",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    responses(
        (status = 200, body = wire::WriteResponse), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn clear_operator(
    Asked(registry): Asked,
    InstancePath { service, endpoint }: InstancePath,
) -> Result<axum::Json<wire::WriteResponse>> {
    let written = registry.clear_operator(service, endpoint).await?;
    Ok(written_json(&registry, written))
}
