//! The v1 API, which the 1.x clients speak. `update` are the operator's writes on an instance, `error` is what errors
//! look like here.

mod beat;
mod error;
mod instance;
mod list;
mod operator;
mod service;
mod update;

use axum::Router;
use axum::routing::{get, put};
use beatrix_engine::Registry;

/// The paths of v1. What the service API adds (services, protection threshold, switches, push) comes here.
pub(crate) fn routes() -> Router<Registry> {
    let instance = get(instance::get)
        .post(instance::register)
        .delete(instance::deregister)
        .put(update::update)
        .patch(update::patch);
    Router::new()
        .route("/nacos/v1/ns/instance", instance)
        .route("/nacos/v1/ns/instance/beat", put(beat::beat))
        .route("/nacos/v1/ns/instance/list", get(list::list))
        .route("/nacos/v1/ns/service/list", get(service::list))
        .route("/nacos/v1/ns/operator/metrics", get(operator::metrics))
        .route("/nacos/v1/ns/ops/metrics", get(operator::metrics))
}
