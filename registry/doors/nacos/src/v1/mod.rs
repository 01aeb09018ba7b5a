//! The v1 API, which the 1.x clients speak. `error` is what errors look like here, `admitted` who is let in at all.

mod admitted;
mod beat;
mod catalog;
pub(crate) mod error;
mod health;
mod instance;
mod list;
mod operator;
mod service;

use axum::Router;
use axum::routing::{any, get, put};

use crate::door::Nacos;

/// The paths of v1.
pub(crate) fn routes() -> Router<Nacos> {
    let mut routes = instances().merge(services());
    for operator in ["/nacos/v1/ns/operator", "/nacos/v1/ns/ops"] {
        routes = routes.merge(operators(operator));
    }
    routes
}

fn instances() -> Router<Nacos> {
    let instance = get(instance::get)
        .post(instance::register)
        .delete(instance::deregister)
        .put(instance::update)
        .patch(instance::patch);
    let batch = put(instance::put_metadata).delete(instance::delete_metadata);
    Router::new()
        .route("/nacos/v1/ns/instance", instance)
        .route("/nacos/v1/ns/instance/beat", put(beat::beat))
        .route("/nacos/v1/ns/instance/list", get(list::list))
        .route("/nacos/v1/ns/instance/metadata/batch", batch)
        .route("/nacos/v1/ns/instance/statuses", any(instance::statuses))
        .route("/nacos/v1/ns/health", put(health::set))
        .route("/nacos/v1/ns/health/instance", put(health::set))
        .route("/nacos/v1/ns/health/server", any(health::server))
        .route("/nacos/v1/ns/health/checkers", get(health::checkers))
}

fn services() -> Router<Nacos> {
    let service = get(service::get)
        .post(service::create)
        .put(service::update)
        .delete(service::remove);
    Router::new()
        .route("/nacos/v1/ns/service", service)
        .route("/nacos/v1/ns/service/list", get(service::list))
        .route("/nacos/v1/ns/service/names", any(service::names))
        .route("/nacos/v1/ns/service/subscribers", get(service::subscribers))
        .route(
            "/nacos/v1/ns/service/selector/types",
            get(service::selector_types),
        )
        .route("/nacos/v1/ns/cluster", put(service::update_cluster))
        .route("/nacos/v1/ns/catalog/service", get(catalog::service))
        .route("/nacos/v1/ns/catalog/instances", any(catalog::instances))
        .route("/nacos/v1/ns/catalog/services", get(catalog::services))
}

fn operators(path: &str) -> Router<Nacos> {
    let switches = get(operator::switches).put(operator::set_switch);
    Router::new()
        .route(&format!("{path}/metrics"), get(operator::metrics))
        .route(&format!("{path}/switches"), switches)
        .route(&format!("{path}/push/state"), any(operator::push_state))
        .route(&format!("{path}/distro/client"), get(operator::responsible))
        .route(&format!("{path}/servers"), get(operator::servers))
        .route(&format!("{path}/log"), put(operator::log))
}
