//! `/nacos/v1/ns/instance`: register, deregister, look at one, and the operator's writes.

use axum::http::StatusCode;
use axum::response::Response;

use crate::door::Nacos;
use crate::instance::{Instance, Named, batch_of, described, patch_of};
use crate::operations::instances::{self, Batch};
use crate::params::{Incoming, Param, Params};
use crate::reply;
use crate::service::{Service, grouped_name};
use crate::wire::{InstanceJson, StatusesJson, UpdatedJson};

use super::admitted::Admitted;
use super::error::TextError;

pub(super) async fn register(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let instance = Instance::of(&nacos, &incoming.params())?;
    instances::register(&nacos, instance).await?;
    Ok(reply::ok())
}

pub(super) async fn deregister(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let instance = Instance::of(&nacos, &incoming.params())?;
    instances::deregister(&nacos, instance.service, instance.endpoint, instance.ephemeral).await?;
    Ok(reply::ok())
}

/// `GET`. Nacos: the health is the measured one, and disabled instances are shown.
pub(super) async fn get(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let found = instances::find(&nacos, Named::of(&params)?)?;
    let grouped = grouped_name(found.view.key.borrowed());
    let json = InstanceJson {
        service: Some(&grouped),
        ..described(&nacos, &found)
    };
    Ok(reply::json_of(StatusCode::OK, &json))
}

pub(super) async fn update(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let instance = Instance::of(&nacos, &incoming.params())?;
    instances::update(&nacos, instance).await?;
    Ok(reply::ok())
}

pub(super) async fn patch(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    let named = Named::of(&params)?;
    instances::patch(&nacos, named.service, named.endpoint, patch_of(&params)?).await?;
    Ok(reply::ok())
}

/// `PUT …/metadata/batch`.
pub(super) async fn put_metadata(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    batch(&nacos, &incoming.params(), Batch::Put).await
}

/// `DELETE …/metadata/batch`.
pub(super) async fn delete_metadata(
    nacos: Nacos,
    Admitted(request): Admitted,
) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    batch(&nacos, &incoming.params(), Batch::Delete).await
}

async fn batch(nacos: &Nacos, params: &Params<'_>, batch: Batch) -> Result<Response, TextError> {
    let (service, chosen, metadata) = batch_of(params)?;
    let updated = instances::batch(nacos, service, &chosen, batch, &metadata).await?;
    Ok(reply::json_of(StatusCode::OK, &UpdatedJson { updated }))
}

/// `…/statuses`, with any method.
pub(super) async fn statuses(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let key = incoming.params().require(Param::Key)?;
    let ips = instances::statuses(&nacos, Service::of_key(&key)?.borrowed());
    Ok(reply::json_of(StatusCode::OK, &StatusesJson { ips }))
}
