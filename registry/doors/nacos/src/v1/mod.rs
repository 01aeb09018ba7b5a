//! The v1 API, which the 1.x clients speak. `error` is what errors look like here, `admitted` who is let in at all.

mod admitted;
mod beat;
mod error;
mod instance;
mod list;
mod operator;
mod service;

use axum::Router;
use axum::routing::{any, get, put};

use crate::door::Nacos;

/// The paths of v1.
pub(crate) fn routes() -> Router<Nacos> {
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
        .route("/nacos/v1/ns/service/list", get(service::list))
        .route("/nacos/v1/ns/operator/metrics", get(operator::metrics))
        .route("/nacos/v1/ns/ops/metrics", get(operator::metrics))
}
