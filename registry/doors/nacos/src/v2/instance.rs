//! `/nacos/v2/ns/instance`.

use axum::extract::{Path, Request};
use axum::http::StatusCode;
use axum::response::Response;

use crate::beating::{self, Names};
use crate::door::Nacos;
use crate::error::Error;
use crate::instance::{Instance, Named, batch_of, described, patch_of};
use crate::listing::{self, Filter};
use crate::operations::instances::{self, Batch};
use crate::params::{Incoming, Param, Params};
use crate::reply;
use crate::result::{self, ResultError};
use crate::service::{Service, grouped_name};
use crate::udp::Wish;
use crate::wire::{InstanceJson, StatusesJson, UpdatedJson};

pub(crate) async fn register(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let instance = Instance::of(&nacos, &incoming.typed())?;
    instances::register(&nacos, instance).await?;
    Ok(result::ok())
}

pub(super) async fn deregister(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let instance = Instance::of(&nacos, &incoming.typed())?;
    instances::deregister(&nacos, instance.service, instance.endpoint, instance.ephemeral).await?;
    Ok(result::ok())
}

pub(crate) async fn update(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let instance = Instance::of(&nacos, &incoming.typed())?;
    instances::update(&nacos, instance).await?;
    Ok(result::ok())
}

/// `PATCH`. Nacos v2: the name must be grouped, weight, enabled and metadata must be there, and the answer is not framed.
pub(super) async fn patch(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.typed();
    if !Service::of(&params)?.is_grouped() {
        return Err(Error::NotGrouped(Param::Service).into());
    }
    let named = Named::of(&params)?;
    for param in [Param::Weight, Param::Enabled, Param::Metadata] {
        params.require(param)?;
    }
    instances::patch(&nacos, named.service, named.endpoint, patch_of(&params)?).await?;
    Ok(reply::ok())
}

pub(super) async fn get(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let found = instances::find(&nacos, Named::of(&params)?)?;
    let grouped = grouped_name(found.view.key.borrowed());
    Ok(result::success(InstanceJson {
        service_name: Some(&grouped),
        ..described(&nacos, &found)
    }))
}

/// `GET …/list`. Nacos v2: `clusters`, `clientIP` and `udpPort` of v1 are called `clusterName`, `ip` and `port` here.
pub(super) async fn list(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let service = Service::of(&params)?;
    let clusters = params.get(Param::ClusterName)?.unwrap_or_default();
    let filter = Filter {
        clusters: &clusters,
        healthy_only: params.is_true(Param::HealthyOnly, false)?,
    };
    filter.check(Param::ClusterName)?;
    let wish = Wish::of(&params, Param::Port, Param::Ip)?;
    let found = listing::hosts(&nacos, &service, filter)?;
    let pieces = listing::whole(&nacos, service.borrowed(), &clusters, found);
    if let Some(wish) = wish {
        wish.subscribe(&nacos, request.headers(), service.borrowed(), &clusters);
    }
    Ok(result::success_of(pieces))
}

/// `PUT …/beat`. Nacos v2: answered as in v1, without a frame; the name of the service must be grouped.
pub(super) async fn beat(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    Ok(beating::beat(&nacos, Names::Grouped, request).await?)
}

/// `PUT …/metadata/batch`.
pub(crate) async fn put_metadata(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    batch(&nacos, &incoming.typed(), Batch::Put).await
}

/// `DELETE …/metadata/batch`.
pub(crate) async fn delete_metadata(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    batch(&nacos, &incoming.typed(), Batch::Delete).await
}

async fn batch(nacos: &Nacos, params: &Params<'_>, batch: Batch) -> Result<Response, ResultError> {
    let (service, chosen, metadata) = batch_of(params)?;
    let updated = instances::batch(nacos, service, &chosen, batch, &metadata).await?;
    Ok(result::success(UpdatedJson { updated }))
}

/// `…/statuses/{key}`, with any method; not framed.
pub(super) async fn statuses(nacos: Nacos, Path(key): Path<String>) -> Result<Response, ResultError> {
    let ips = instances::statuses(&nacos, Service::of_key(&key)?.borrowed());
    Ok(reply::json_of(StatusCode::OK, &StatusesJson { ips }))
}
