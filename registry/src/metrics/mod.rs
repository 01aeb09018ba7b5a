//! `/metrics`, for whoever watches over time: the numbers of the registry in the text format of Prometheus 0.0.4.
//!
//! Written by hand: a handful of numbers, read from one status when somebody asks. Nothing is counted for it beside
//! what the registry counts anyhow, and no label has a value that comes from outside, so the number of lines is bounded.
//!
//! - [`grpc`]: connections of Nacos over gRPC.
//! - [`page`]: the text format.
//! - [`storage`]: the durable journal.
//! - [`probes`]: who is asked, and what consumers say.

mod grpc;
mod page;
mod probes;
mod storage;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use beatrix_engine::Registry;
use beatrix_nacos::grpc::Grpc;
use beatrix_native::limits;

use page::Page;

/// The path.
pub(crate) fn router(registry: Registry, grpc: Option<Grpc>) -> Router {
    let metrics = get(metrics).with_state((registry, grpc));
    Router::new().route("/metrics", metrics)
}

async fn metrics(State((registry, grpc)): State<(Registry, Option<Grpc>)>) -> impl IntoResponse {
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let mut page = whole(&registry);
    if let Some(grpc) = grpc {
        grpc::write(&mut page, &grpc.counts());
    }
    (content_type, page.0)
}

/// All numbers of the registry of one moment.
fn whole(registry: &Registry) -> Page {
    let status = registry.status();
    let mut page = Page::default();
    let (guard, stalls) = (&status.guard, &status.stalls);

    page.gauge(
        "beatrix_revision",
        "Newest revision of the registry",
        status.version.revision.0,
    );
    page.gauge(
        "beatrix_complete",
        "1 if all instances are known, 0 while they may not be",
        u8::from(status.complete),
    );
    page.gauge("beatrix_services", "Services", status.services);
    page.gauge("beatrix_instances", "Instances", status.instances);
    page.gauge(
        "beatrix_instances_healthy",
        "Instances that are healthy",
        status.healthy,
    );
    page.gauge(
        "beatrix_instances_suspect",
        "Instances that fell silent and are kept by the mass-expiry guard",
        guard.suspects,
    );
    page.gauge(
        "beatrix_instances_flapping",
        "Instances whose health changes so often that it is damped",
        status.flapping,
    );
    page.gauge(
        "beatrix_instances_unconfirmed",
        "Instances from before a restart of which nothing was heard yet",
        status.unconfirmed,
    );
    page.gauge("beatrix_subscribers", "Subscribers", status.subscribers);

    page.family(
        "beatrix_guard_holding",
        "gauge",
        "Mass-expiry guards that hold, by scope",
    );
    page.sample(
        "beatrix_guard_holding",
        "scope=\"registry\"",
        u8::from(guard.registry.holding),
    );
    page.sample(
        "beatrix_guard_holding",
        "scope=\"service\"",
        guard.services_holding,
    );
    page.gauge(
        "beatrix_guard_forced",
        "1 if an operator has the guard of the whole registry hold",
        u8::from(guard.registry.forced),
    );
    page.gauge(
        "beatrix_guard_population",
        "Instances that the guard of the whole registry counts",
        guard.registry.population,
    );
    page.gauge(
        "beatrix_guard_silent",
        "How many of them fell silent within its window",
        guard.registry.silent,
    );
    page.counter(
        "beatrix_guard_trips_total",
        "How often mass-expiry guards began to hold by themselves",
        guard.counts.tripped,
    );
    page.counter(
        "beatrix_guard_forced_total",
        "How often an operator forced one",
        guard.counts.forced,
    );
    page.counter(
        "beatrix_guard_ends_total",
        "How often they ended",
        guard.counts.ended,
    );

    page.counter(
        "beatrix_stalls_total",
        "How often this process was found to have stood still",
        stalls.count,
    );
    page.counter(
        "beatrix_stall_seconds_total",
        "For how long in all",
        stalls.total.as_secs_f64(),
    );

    storage::write(&mut page, registry);
    probes::write(&mut page, registry);
    probes::write_reports(&mut page, &status.reports);

    let limits = limits::in_use(registry.config(), &status);
    page.family("beatrix_limit", "gauge", "Limits by name");
    for (name, limit) in &limits {
        page.sample("beatrix_limit", &format!("limit=\"{name}\""), limit.limit);
    }
    page.family(
        "beatrix_limit_used",
        "gauge",
        "Use of those limits that are a stock",
    );
    for (name, limit) in &limits {
        if let Some(used) = limit.used {
            page.sample("beatrix_limit_used", &format!("limit=\"{name}\""), used);
        }
    }
    page
}
