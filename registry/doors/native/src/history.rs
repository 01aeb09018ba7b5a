//! Membership changes, and the registry as a whole.

use axum::extract::{RawQuery, State};
use beatrix_core::changes::{Change, ChangeKind};
use beatrix_core::model::{Revision, ServiceKey};
use beatrix_engine::Registry;
use beatrix_engine::registry::EventsQuery;
use beatrix_wire as wire;

use crate::extract::Params;
use crate::limits::{self, EVENTS_LIMIT_MAX};
use crate::problem::Result;

/// What changed, when and why, oldest first.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "history", operation_id = "events",
    params(
        ("after" = Option<u64>, Query, description = "Only changes after this revision. Default 0"),
        ("limit" = Option<u64>, Query, description = "1 to 1000. Default 100"),
        ("service" = Option<String>, Query, description = "Only of this `namespace/group/service`"),
    ),
    responses((status = 200, body = wire::EventsPage), (status = 400, body = wire::Problem))
)]
pub(crate) async fn events(
    State(registry): State<Registry>,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<wire::EventsPage>> {
    let params = Params::parse(query.as_deref(), &["after", "limit", "service"], &[])?;
    let limit = params
        .number("limit", 1..=EVENTS_LIMIT_MAX as u64)?
        .unwrap_or(100);
    let page = registry.events(&EventsQuery {
        after: Revision(params.number("after", 0..=u64::MAX)?.unwrap_or(0)),
        service: params.parsed::<ServiceKey>("service")?,
        limit: usize::try_from(limit).unwrap_or(EVENTS_LIMIT_MAX),
    });
    Ok(axum::Json(wire::EventsPage {
        epoch: page.version.epoch.to_string(),
        oldest_revision: page.oldest.0,
        revision: page.version.revision.0,
        truncated: page.truncated,
        next_after: page.next_after.0,
        events: page.changes.iter().map(event).collect(),
    }))
}

fn event(change: &Change) -> wire::MembershipEvent {
    let kind = match change.kind {
        ChangeKind::Registered => wire::ChangeKind::Registered,
        ChangeKind::Updated => wire::ChangeKind::Updated,
        ChangeKind::Operator => wire::ChangeKind::Operator,
        ChangeKind::Health => wire::ChangeKind::Health,
        ChangeKind::Removed => wire::ChangeKind::Removed,
    };
    wire::MembershipEvent {
        revision: change.revision.0,
        at_ms: change.at.0,
        namespace: change.service.namespace.to_string(),
        group: change.service.group.to_string(),
        service: change.service.name.to_string(),
        address: change.endpoint.address().to_string(),
        port: change.endpoint.port(),
        kind,
        reason: change.reason.as_str().into(),
    }
}

/// The registry as a whole: its state, its size, its limits with their use, the mass-expiry guard.
#[utoipa::path(
    get, path = "/api/v1/status", tag = "history", operation_id = "status",
    responses((status = 200, body = wire::RegistryStatus))
)]
pub(crate) async fn status(State(registry): State<Registry>) -> axum::Json<wire::RegistryStatus> {
    let status = registry.status();
    let config = registry.config();
    axum::Json(wire::RegistryStatus {
        version: env!("CARGO_PKG_VERSION").into(),
        cluster_id: config.cluster_id.clone(),
        epoch: status.version.epoch.to_string(),
        revision: status.version.revision.0,
        started_at_ms: status.started_at.0,
        complete: status.complete,
        services: status.services as u64,
        instances: status.instances as u64,
        healthy: status.healthy as u64,
        subscribers: status.subscribers as u64,
        stalled_ms: u64::try_from(status.stalled.as_millis()).unwrap_or(u64::MAX),
        guard: wire::GuardStatus {
            enabled: config.catalog.guard.enabled,
            holding_registry: status.guard.registry,
            holding_services: status.guard.services.iter().map(ToString::to_string).collect(),
            suspects: status.guard.suspects.into(),
        },
        limits: limits::in_use(config, &status),
    })
}
