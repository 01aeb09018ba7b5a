//! The mass-expiry guard: forced and ended by hand, and shown as it stands.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use beatrix_core::catalog::{GuardBy, GuardEvent};
use beatrix_core::model::{Origin, ServiceKey, Surface};
use beatrix_engine::registry::{GuardEntry, GuardScope, Status};
use beatrix_engine::{EngineConfig, Registry};
use beatrix_wire as wire;

use crate::extract::Params;
use crate::limits::GUARD_FORCE_MS_MAX;
use crate::problem::Result;
use crate::render::ms;

/// Has the mass-expiry guard hold by hand, in one service or in the whole registry: whoever falls silent is suspect
/// instead of unhealthy, and nobody is removed for silence. It does not end because all are well, but at its time, by
/// hand, or with a restart of the registry.
#[utoipa::path(
    put, path = "/api/v1/guard", tag = "history", operation_id = "force_guard",
    params(
        ("service" = Option<String>, Query, description = "Only in this `namespace/group/service`"),
        ("for_ms" = Option<u64>, Query,
            description = "For how long, 1000 to 86400000 ms. Default: as long as one holds at most that trips"),
    ),
    responses(
        (status = 200, body = wire::GuardScope),
        (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem, description = "There is no such service"),
    )
)]
pub(crate) async fn force_guard(
    State(registry): State<Registry>,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<wire::GuardScope>> {
    let params = Params::parse(query.as_deref(), &["service", "for_ms"], &[])?;
    let service = params.parsed::<ServiceKey>("service")?;
    let lasts = params.number("for_ms", 1_000..=GUARD_FORCE_MS_MAX)?;
    let forced = by_hand(&registry)
        .force_guard(service.clone(), lasts.map(Duration::from_millis))
        .await?;
    Ok(axum::Json(scope(service.as_ref(), &forced)))
}

/// Ends the mass-expiry guard by hand, in one service or everywhere. Those whom it protected get a fresh deadline; it
/// does not hold again by itself for a minute.
#[utoipa::path(
    delete, path = "/api/v1/guard", tag = "history", operation_id = "end_guard",
    params(("service" = Option<String>, Query, description = "Only in this `namespace/group/service`")),
    responses((status = 200, body = wire::GuardEnded), (status = 400, body = wire::Problem))
)]
pub(crate) async fn end_guard(
    State(registry): State<Registry>,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<wire::GuardEnded>> {
    let params = Params::parse(query.as_deref(), &["service"], &[])?;
    let service = params.parsed::<ServiceKey>("service")?;
    let held = by_hand(&registry).end_guard(service).await;
    Ok(axum::Json(wire::GuardEnded { held }))
}

/// The registry for what came in by this API, unless the handle says more already.
fn by_hand(registry: &Registry) -> Registry {
    if registry.origin() == Origin::REGISTRY {
        registry.on_behalf_of(Origin {
            surface: Surface::Native,
            peer: None,
        })
    } else {
        registry.clone()
    }
}

pub(crate) fn status(config: &EngineConfig, status: &Status) -> wire::GuardStatus {
    let (guard, rule) = (&status.guard, &config.catalog.guard);
    wire::GuardStatus {
        enabled: rule.enabled,
        holding_registry: guard.registry.holding,
        holding_services: guard.services.iter().map(|(key, _)| key.to_string()).collect(),
        suspects: guard.suspects.into(),
        population_min: rule.population_min.into(),
        threshold_percent: rule.threshold_percent.into(),
        window_ms: ms(rule.window),
        trips: guard.counts.tripped,
        registry: scope(None, &guard.registry),
        services: guard
            .services
            .iter()
            .map(|(key, held)| scope(Some(key), held))
            .collect(),
        services_holding: guard.services_holding as u64,
    }
}

pub(crate) fn stalls(status: &Status) -> wire::StallStatus {
    let stalls = &status.stalls;
    wire::StallStatus {
        count: stalls.count,
        total_ms: ms(stalls.total),
        last_ms: ms(stalls.last),
        last_at_ms: stalls.last_at.map(|at| at.0),
    }
}

/// What a guard came to, as an event of history.
pub(crate) fn guard_event(entry: &GuardEntry) -> wire::MembershipEvent {
    let (turn, reading) = (&entry.turn, &entry.turn.reading);
    let what = match turn.event {
        GuardEvent::Holds(_) => wire::GuardChange::Tripped,
        GuardEvent::Forced(_) => wire::GuardChange::Forced,
        GuardEvent::Ended(_) => wire::GuardChange::Ended,
    };
    let reason = match turn.by {
        GuardBy::Shares => "shares",
        GuardBy::Time => "time",
        GuardBy::Operator => "operator",
    };
    let scope = turn.event.scope();
    let named = |name: fn(&ServiceKey) -> String| scope.map(name).unwrap_or_default();
    wire::MembershipEvent {
        revision: entry.revision.0,
        at_ms: entry.at.0,
        namespace: named(|key| key.namespace.to_string()),
        group: named(|key| key.group.to_string()),
        service: named(|key| key.name.to_string()),
        address: String::new(),
        port: 0,
        kind: wire::ChangeKind::Guard,
        reason: reason.into(),
        by: None,
        guard: Some(wire::GuardEvent {
            number: entry.number,
            what,
            silent: reading.silent.into(),
            population: reading.population.into(),
            suspects: reading.suspects.into(),
            until_ms: entry.until.map(|until| until.0),
            surface: entry.asked.surface.as_str().into(),
            peer: entry.asked.peer.map(|peer| peer.to_string()),
        }),
    }
}

fn scope(service: Option<&ServiceKey>, guard: &GuardScope) -> wire::GuardScope {
    wire::GuardScope {
        service: service.map(ToString::to_string),
        holding: guard.holding,
        forced: guard.forced,
        since_ms: guard.since.map(|since| since.0),
        until_ms: guard.until.map(|until| until.0),
        suspects: guard.suspects.into(),
        population: guard.population.into(),
        silent: guard.silent.into(),
    }
}
