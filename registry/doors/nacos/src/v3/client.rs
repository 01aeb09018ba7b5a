//! `/nacos/v3/client/ns/instance`: registering, beating and listing over HTTP, for clients without gRPC.

use std::borrow::Cow;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use beatrix_core::model::Cluster;

use crate::door::Nacos;
use crate::error::Code;
use crate::instance::{Instance, Named, ephemeral};
use crate::listing::{self, Filter};
use crate::operations::instances;
use crate::params::{Incoming, Param, Params};
use crate::result::{self, ResultError};
use crate::service::Service;

/// The paths.
pub(super) fn routes() -> Router<Nacos> {
    let instance = post(register).delete(deregister);
    Router::new()
        .route("/nacos/v3/client/ns/instance", instance)
        .route("/nacos/v3/client/ns/instance/list", get(list))
}

/// `POST`: registers, or with `heartBeat=true` beats.
async fn register(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.typed();
    if params.is_true(Param::HeartBeat, false)? {
        return beat(&nacos, &params);
    }
    let instance = Instance::of(&nacos, &params)?;
    instances::register(&nacos, instance).await?;
    Ok(result::ok())
}

/// Nacos 3.x: a beat names the instance and nothing else; it makes none, and that there is none is said with status 200.
fn beat(nacos: &Nacos, params: &Params<'_>) -> Result<Response, ResultError> {
    let Named {
        service, endpoint, ..
    } = Named::of(params)?;
    match nacos.registry.beat_at(service.borrowed(), &endpoint) {
        Some(_) => Ok(result::ok()),
        None => Ok(result::of(StatusCode::OK, Code::NO_INSTANCE, ())),
    }
}

/// `DELETE`. Nacos 3.x: only the names are looked at.
pub(super) async fn deregister(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.typed();
    let Named {
        service, endpoint, ..
    } = Named::of(&params)?;
    instances::deregister(&nacos, service, endpoint, ephemeral(&nacos, &params)?).await?;
    Ok(result::ok())
}

/// `GET …/list`: the hosts alone, as an array. Nacos 3.x: those of the cluster `DEFAULT` if none is named, and
/// `healthyOnly` does nothing.
async fn list(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let service = Service::of(&params)?;
    params.is_true(Param::HealthyOnly, false)?;
    let clusters = params
        .get(Param::ClusterName)?
        .unwrap_or(Cow::Borrowed(Cluster::DEFAULT));
    let filter = Filter {
        clusters: &clusters,
        healthy_only: false,
    };
    filter.check(Param::ClusterName)?;
    Ok(result::hosts(listing::hosts(&nacos, &service, filter)?.hosts))
}
