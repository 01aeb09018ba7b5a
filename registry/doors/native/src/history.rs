//! Membership changes, and the registry as a whole.

use axum::extract::{RawQuery, State};
use beatrix_core::changes::{Change, ChangeKind};
use beatrix_core::model::{Invalid, Revision, ServiceKey, Version, Wall};
use beatrix_engine::Registry;
use beatrix_engine::registry::{EventsPage, EventsQuery};
use beatrix_wire as wire;

use crate::extract::Params;
use crate::guards::{self, guard_event};
use crate::limits::{self, EVENTS_LIMIT_MAX};
use crate::probes;
use crate::problem::Result;
use crate::{render, reports, storage};

/// What changed, when, why and who did it: the newest from memory, what is older from the journal's history as far as
/// that is kept.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "history", operation_id = "events",
    params(
        ("after" = Option<String>, Query, description = "Only changes after this revision, or `epoch.revision`. Default 0"),
        ("before" = Option<u64>, Query, description = "Only changes before this revision"),
        ("since_ms" = Option<u64>, Query, description = "Only changes at or after this time, wall clock"),
        ("until_ms" = Option<u64>, Query, description = "Only changes at or before this time, wall clock"),
        ("order" = Option<String>, Query, description = "`asc` (without it), the oldest first, or `desc`"),
        ("limit" = Option<u64>, Query, description = "1 to 1000. Default 100"),
        ("service" = Option<String>, Query, description = "Only of this `namespace/group/service`"),
    ),
    responses(
        (status = 200, body = wire::EventsPage), (status = 400, body = wire::Problem),
        (status = 503, body = wire::Problem),
    )
)]
pub(crate) async fn events(
    State(registry): State<Registry>,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<wire::EventsPage>> {
    let once = [
        "after", "before", "since_ms", "until_ms", "order", "limit", "service",
    ];
    let params = Params::parse(query.as_deref(), &once, &[])?;
    let limit = params
        .number("limit", 1..=EVENTS_LIMIT_MAX as u64)?
        .unwrap_or(100);
    let newest_first = match params.get("order") {
        None | Some("asc") => false,
        Some("desc") => true,
        Some(other) => return Err(Invalid::new("order", "must be asc or desc", other).into()),
    };
    let newest = registry.version();
    // A bare number counts in this epoch. Of another one nothing is known: all that is held is news, and some is lost.
    let (after, other_epoch) = match params.get("after") {
        Some(text) if text.contains('.') => {
            let version: Version = text
                .parse()
                .map_err(|invalid: Invalid| invalid.in_field("after"))?;
            let other = version.epoch != newest.epoch;
            (if other { Revision::ZERO } else { version.revision }, other)
        }
        _ => (
            Revision(params.number("after", 0..=u64::MAX)?.unwrap_or(0)),
            false,
        ),
    };
    if after > newest.revision {
        let rule = format!("must not be after {newest}");
        return Err(Invalid::new("after", rule, &after.to_string()).into());
    }
    let query = EventsQuery {
        after,
        before: params.number("before", 0..=u64::MAX)?.map(Revision),
        service: params.parsed::<ServiceKey>("service")?,
        since: params.number("since_ms", 0..=u64::MAX)?.map(Wall),
        until: params.number("until_ms", 0..=u64::MAX)?.map(Wall),
        newest_first,
        limit: usize::try_from(limit).unwrap_or(EVENTS_LIMIT_MAX),
    };
    let page = registry.all_events(query).await?;
    let next_before = (newest_first && page.next > Revision::ZERO).then_some(page.next.0);
    Ok(axum::Json(wire::EventsPage {
        epoch: page.version.epoch.to_string(),
        oldest_revision: page.oldest.0,
        revision: page.version.revision.0,
        truncated: page.truncated || other_epoch,
        next_after: if newest_first {
            page.version.revision.0
        } else {
            page.next.0
        },
        next_before,
        events: interleaved(&page, newest_first),
    }))
}

/// Changes and what guards came to, in the order that was asked for.
fn interleaved(page: &EventsPage, newest_first: bool) -> Vec<wire::MembershipEvent> {
    let mut events: Vec<(Revision, bool, wire::MembershipEvent)> = page
        .changes
        .iter()
        .map(|change| (change.revision, false, event(change)))
        .chain(
            page.guards
                .iter()
                .map(|entry| (entry.revision, true, guard_event(entry))),
        )
        .collect();
    // Stable: guards of one revision stay in their order, after its change.
    events.sort_by_key(|(revision, guard, _)| (*revision, *guard));
    if newest_first {
        events.reverse();
    }
    events.into_iter().map(|(_, _, event)| event).collect()
}

pub(crate) fn event(change: &Change) -> wire::MembershipEvent {
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
        by: Some(wire::ChangedBy {
            surface: change.by.surface.as_str().into(),
            peer: change.by.peer.map(|peer| peer.to_string()),
        }),
        guard: None,
    }
}

/// The registry as a whole: its state, its size, its storage, its limits with their use, the mass-expiry
/// guard.
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
        stalled_ms: render::ms(status.stalled),
        stalls: guards::stalls(&status),
        flapping: status.flapping as u64,
        unconfirmed: status.unconfirmed,
        reports: reports::status(&status),
        storage: storage::status(&registry),
        guard: guards::status(config, &status),
        probes: probes::status(&registry),
        limits: limits::in_use(config, &status),
    })
}
