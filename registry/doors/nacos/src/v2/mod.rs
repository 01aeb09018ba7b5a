//! The v2 API (Nacos 2.2 to 3.1): the operations of v1 in typed forms and framed results.
//!
//! A few paths are not framed, and are those of v1 in all but name: beats, statuses, the partial update. Names of
//! services are bare here; one that is grouped is read as in v1, which Nacos does in few places only.

pub(crate) mod client;
pub(crate) mod instance;
pub(crate) mod service;

use axum::Router;
use axum::routing::{any, get, put};

use crate::door::Nacos;

/// The paths of v2.
pub(crate) fn routes() -> Router<Nacos> {
    let mut routes = instances().merge(services()).merge(clients());
    for operator in ["/nacos/v2/ns/operator", "/nacos/v2/ns/ops"] {
        let switches = get(service::switches).put(service::set_switch);
        routes = routes
            .route(&format!("{operator}/metrics"), get(service::metrics))
            .route(&format!("{operator}/switches"), switches);
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
        .route("/nacos/v2/ns/instance", instance)
        .route("/nacos/v2/ns/instance/beat", put(instance::beat))
        .route("/nacos/v2/ns/instance/list", get(instance::list))
        .route("/nacos/v2/ns/instance/metadata/batch", batch)
        .route("/nacos/v2/ns/instance/statuses/{key}", any(instance::statuses))
        .route("/nacos/v2/ns/health", put(service::set_health))
        .route("/nacos/v2/ns/health/instance", put(service::set_health))
}

fn services() -> Router<Nacos> {
    let one = get(service::get)
        .post(service::create)
        .put(service::update)
        .delete(service::remove);
    Router::new()
        .route("/nacos/v2/ns/service", one)
        .route("/nacos/v2/ns/service/list", get(service::list))
        .route("/nacos/v2/ns/catalog/instances", get(service::instances))
}

fn clients() -> Router<Nacos> {
    Router::new()
        .route("/nacos/v2/ns/client", get(client::get))
        .route("/nacos/v2/ns/client/list", get(client::list))
        .route("/nacos/v2/ns/client/publish/list", get(client::published))
        .route("/nacos/v2/ns/client/subscribe/list", get(client::watched))
        .route(
            "/nacos/v2/ns/client/service/publisher/list",
            get(client::publishers),
        )
        .route(
            "/nacos/v2/ns/client/service/subscriber/list",
            get(client::watchers),
        )
}
