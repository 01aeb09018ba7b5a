//! What is said about a service as a whole.

use axum::extract::State;
use beatrix_core::model::{Curve, Existence, Invalid, ServicePatch, SlowStart};
use beatrix_engine::Registry;
use beatrix_wire as wire;

use crate::extract::{Json, ServicePath};
use crate::instances::written_json;
use crate::problem::Result;
use crate::render;

/// Declares a service, or changes what is said about it. It need not be declared to be used. What is said binds the
/// instances of every protocol.
#[utoipa::path(
    patch, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}",
    tag = "services", operation_id = "declare_service",
    params(("namespace",), ("group",), ("service",)),
    request_body = wire::ServicePatch,
    responses(
        (status = 200, body = wire::WriteResponse), (status = 400, body = wire::Problem),
        (status = 429, body = wire::Problem), (status = 503, body = wire::Problem),
    )
)]
pub(crate) async fn declare(
    State(registry): State<Registry>,
    ServicePath(service): ServicePath,
    Json(patch): Json<wire::ServicePatch>,
) -> Result<axum::Json<wire::WriteResponse>> {
    let slow_start = patch.slow_start.map(|said| said.map(read).transpose());
    let patch = ServicePatch {
        slow_start: slow_start.transpose()?,
        ..ServicePatch::default()
    };
    let written = registry.declare_service(service, patch, Existence::Any).await?;
    Ok(written_json(&registry, written))
}

pub(crate) fn read(slow_start: wire::SlowStart) -> std::result::Result<SlowStart, Invalid> {
    let curve = match slow_start.curve {
        wire::Curve::Linear => Curve::Linear,
        wire::Curve::Quadratic => Curve::Quadratic,
    };
    SlowStart::new(slow_start.duration_ms, curve, slow_start.min_percent)
}

/// A slow start as the API shows it.
pub(crate) fn shown(slow_start: SlowStart) -> wire::SlowStart {
    wire::SlowStart {
        duration_ms: render::ms(slow_start.duration()),
        curve: match slow_start.curve() {
            Curve::Linear => wire::Curve::Linear,
            Curve::Quadratic => wire::Curve::Quadratic,
        },
        min_percent: slow_start.min_percent().into(),
    }
}
