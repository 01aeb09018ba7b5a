//! One instance: register, replace, deregister, show.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use beatrix_core::catalog::Refusal;
use beatrix_core::model::{
    Cluster, Endpoint, Invalid, Liveness, Locality, Metadata, Registration, ServiceKey, Timings, Weight,
};
use beatrix_engine::{Registry, Written};
use beatrix_wire as wire;

use crate::extract::{Asked, InstancePath, Json, Params};
use crate::problem::Result;
use crate::render::ms;
use crate::{probes, render};

/// Registers an instance, or replaces what was registered. Idempotent: a registration that changes nothing renews
/// the lease and has no revision.
#[utoipa::path(
    put, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}",
    tag = "instances", operation_id = "register",
    params(
        ("namespace", description = "1 to 64 letters, digits, `_`, `-`"),
        ("group", description = "1 to 128 letters, digits, `-`, `_`, `:`, `.`"),
        ("service", description = "1 to 512 characters"),
        ("instance", description = "`address:port`; an IPv6 address in brackets"),
    ),
    request_body = wire::RegisterRequest,
    responses(
        (status = 201, description = "Changed", body = wire::RegisterResponse),
        (status = 200, description = "Nothing changed", body = wire::RegisterResponse),
        (status = 400, body = wire::Problem), (status = 409, body = wire::Problem),
        (status = 413, body = wire::Problem), (status = 429, body = wire::Problem),
        (status = 503, body = wire::Problem),
    )
)]
pub(crate) async fn register(
    Asked(registry): Asked,
    InstancePath { service, endpoint }: InstancePath,
    Json(request): Json<wire::RegisterRequest>,
) -> Result<(StatusCode, axum::Json<wire::RegisterResponse>)> {
    if endpoint.port() == 0 {
        return Err(Invalid::new("port", "must be a number from 1 to 65535", "0").into());
    }
    let health = probes::initial_health(request.liveness.as_ref());
    let registration = registration(request, registry.config().timings)?;
    probes::check_allowed(&registry, &registration.liveness)?;
    let registered = registry.register(service, endpoint, registration, health).await?;
    let status = if registered.changed {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let response = wire::RegisterResponse {
        lease: registered.timings.map(|_| registered.lease.to_string()),
        beat_interval_ms: registered.timings.map(|timings| ms(timings.interval())),
        cluster_id: registry.config().cluster_id.clone(),
        epoch: registry.epoch().to_string(),
        revision: registered.revision.0,
        changed: registered.changed,
    };
    Ok((status, axum::Json(response)))
}

fn registration(
    request: wire::RegisterRequest,
    defaults: Timings,
) -> std::result::Result<Registration, Invalid> {
    let time = |wanted: Option<u64>, default: Duration| wanted.map_or(default, Duration::from_millis);
    let liveness = match request.liveness {
        None => Liveness::Beat(defaults),
        Some(wire::Liveness::Static {}) => Liveness::Static,
        Some(wire::Liveness::Probe {
            probe,
            port,
            interval_ms,
            timeout_ms,
            rise,
            fall,
            initial_health: _,
        }) => {
            let plan = probes::Plan {
                port,
                interval_ms,
                timeout_ms,
                rise,
                fall,
            };
            probes::liveness(&probe, &plan)?
        }
        Some(wire::Liveness::Beat {
            interval_ms,
            unhealthy_after_ms,
            remove_after_ms,
        }) => Liveness::Beat(Timings::new(
            time(interval_ms, defaults.interval()),
            time(unhealthy_after_ms, defaults.unhealthy_after()),
            time(remove_after_ms, defaults.remove_after()),
        )?),
    };
    let locality = Locality::new(
        request.region.as_deref().unwrap_or_default(),
        request.zone.as_deref().unwrap_or_default(),
    )?;
    Ok(Registration {
        cluster: request.cluster.as_deref().unwrap_or(Cluster::DEFAULT).parse()?,
        weight: request.weight.map_or(Ok(Weight::DEFAULT), Weight::new)?,
        enabled: request.enabled.unwrap_or(true),
        metadata: Metadata::new(request.metadata)?,
        locality: locality.map(Arc::new),
        liveness,
        expires: true,
        incarnation: request.incarnation.map(|text| text.parse()).transpose()?,
        own_id: None,
    })
}

/// Removes an instance.
#[utoipa::path(
    delete, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}",
    tag = "instances", operation_id = "deregister",
    params(
        ("namespace",), ("group",), ("service",), ("instance", description = "`address:port`"),
        ("lease" = Option<String>, Query, description = "Only if the instance holds this lease"),
        ("by" = Option<String>, Query, description = "`client` (without it) or `operator`: who removes it. The reason \
          that everybody is told is `deregistered` or `operator`"),
    ),
    responses(
        (status = 200, body = wire::WriteResponse), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem), (status = 409, body = wire::Problem),
    )
)]
pub(crate) async fn deregister(
    Asked(registry): Asked,
    InstancePath { service, endpoint }: InstancePath,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<wire::WriteResponse>> {
    let params = Params::parse(query.as_deref(), &["lease", "by"], &[])?;
    let lease = params.parsed("lease")?;
    let written = match params.get("by") {
        None | Some("client") => registry.deregister(service, endpoint, lease, &[]).await?,
        Some("operator") => registry.evict(service, endpoint, lease).await?,
        Some(other) => return Err(Invalid::new("by", "must be client or operator", other).into()),
    };
    Ok(written_json(&registry, written))
}

pub(crate) fn written_json(registry: &Registry, written: Written) -> axum::Json<wire::WriteResponse> {
    axum::Json(wire::WriteResponse {
        epoch: registry.epoch().to_string(),
        revision: written.revision.0,
        changed: written.changed,
    })
}

/// One instance.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}",
    tag = "instances", operation_id = "instance",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    responses(
        (status = 200, body = wire::Instance), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn get(
    State(registry): State<Registry>,
    InstancePath { service, endpoint }: InstancePath,
) -> Result<Response> {
    shown(&registry, service, endpoint)
}

pub(crate) fn shown(registry: &Registry, service: ServiceKey, endpoint: Endpoint) -> Result<Response> {
    let Some(view) = registry.view(service.borrowed()) else {
        return Err(Refusal::ServiceNotFound(service).into());
    };
    match view.get(&endpoint) {
        Some(member) => Ok(json(render::instance(member))),
        None => Err(Refusal::InstanceNotFound(service, endpoint).into()),
    }
}

pub(crate) fn json(body: bytes::Bytes) -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        body,
    )
        .into_response()
}
