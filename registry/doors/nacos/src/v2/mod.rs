//! The v2 API (Nacos 2.2 to 3.1): the operations of v1 in typed forms and framed results.
//!
//! A few paths are not framed, and are those of v1 in all but name: beats, statuses, the partial update. Names of
//! services are bare here; one that is grouped is read as in v1, which Nacos does in few places only.

pub(crate) mod instance;

use axum::Router;
use axum::routing::{any, get, put};

use crate::door::Nacos;

/// The paths of v2.
pub(crate) fn routes() -> Router<Nacos> {
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
}
