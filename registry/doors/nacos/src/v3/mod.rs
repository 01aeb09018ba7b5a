//! The v3 API (Nacos 3.x): `client` is what clients may ask without rights of their own, `admin` the rest. What is as in
//! v2 is that of v2.

mod admin;
mod client;

use axum::Router;

use crate::door::Nacos;

/// The paths of v3.
pub(crate) fn routes() -> Router<Nacos> {
    client::routes().merge(admin::routes())
}
