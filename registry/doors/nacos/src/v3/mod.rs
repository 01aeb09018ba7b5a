//! The v3 API (Nacos 3.x): `client` is what clients may ask without rights of their own; `instance`, `service` and
//! `inspection` are under `admin`. What is as in v2 is that of v2.

mod client;
mod inspection;
mod instance;
mod service;

use axum::Router;

use crate::door::Nacos;

/// The paths of v3.
pub(crate) fn routes() -> Router<Nacos> {
    client::routes()
        .merge(instance::routes())
        .merge(service::routes())
        .merge(inspection::routes())
}
