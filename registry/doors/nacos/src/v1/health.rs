//! `/nacos/v1/ns/health`: health that is set by hand.

use axum::http::StatusCode;
use axum::response::Response;

use crate::checker::CheckersJson;
use crate::door::Nacos;
use crate::operations::services;
use crate::params::Incoming;
use crate::reply;
use crate::wire::HealthJson;

use super::admitted::Admitted;
use super::error::TextError;

/// `…/server`, with any method: free text for people.
pub(super) async fn server(nacos: Nacos, _: Admitted) -> Response {
    let status = nacos.registry.status();
    let msg = format!(
        "{} services, {} instances, {} of them healthy",
        status.services, status.instances, status.healthy
    );
    reply::json_of(StatusCode::OK, &HealthJson { msg })
}

/// `PUT` and `PUT …/instance`.
pub(super) async fn set(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    services::set_health(&nacos, &incoming.params()).await?;
    Ok(reply::ok())
}

/// `GET …/checkers`.
pub(super) async fn checkers(_: Admitted) -> Response {
    reply::json_of(StatusCode::OK, &CheckersJson::default())
}
