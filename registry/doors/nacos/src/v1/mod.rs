//! The v1 API, which the 1.x clients speak. `update` are the operator's writes on an instance, `error` is what errors
//! look like here.

mod beat;
mod error;
mod instance;
pub(crate) mod list;
mod operator;
mod service;
mod update;

use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{get, put};
use beatrix_engine::Registry;

use crate::udp::Pusher;

/// The paths of v1. Who asks for lists is pushed to by `pusher`, if there is one. What the service API adds (services,
/// protection threshold, switches) comes here.
pub(crate) fn routes(pusher: Option<Pusher>) -> Router<Registry> {
    let instance = get(instance::get)
        .post(instance::register)
        .delete(instance::deregister)
        .put(update::update)
        .patch(update::patch);
    let list = move |State(registry): State<Registry>, request: Request| {
        list::list(registry, pusher.clone(), request)
    };
    Router::new()
        .route("/nacos/v1/ns/instance", instance)
        .route("/nacos/v1/ns/instance/beat", put(beat::beat))
        .route("/nacos/v1/ns/instance/list", get(list))
        .route("/nacos/v1/ns/service/list", get(service::list))
        .route("/nacos/v1/ns/operator/metrics", get(operator::metrics))
        .route("/nacos/v1/ns/ops/metrics", get(operator::metrics))
}
