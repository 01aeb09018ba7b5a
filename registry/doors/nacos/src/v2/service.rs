//! `/nacos/v2/ns/service`, `catalog`, `health`, `operator`. v3 has many of them under paths of its own.

use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;

use crate::door::Nacos;
use crate::error::Error;
use crate::limits::V2_PAGE_SIZE_MAX;
use crate::operations::catalog::{self, Page};
use crate::operations::server;
use crate::operations::services::{self, Declaration};
use crate::params::{Incoming, Param, Params};
use crate::result::{self, ResultError};
use crate::service::Service;
use crate::switches::SwitchesJson;
use crate::wire::{ServiceDetailJson, ServiceListJson};

/// `POST`. Nacos v2: for persistent instances, if it does not say otherwise.
pub(crate) async fn create(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.typed();
    let ephemeral = params.flag(Param::Ephemeral)?.unwrap_or_default();
    services::create(&nacos, Declaration::of(&params)?, ephemeral).await?;
    Ok(result::ok())
}

/// `PUT`.
pub(crate) async fn update(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    services::update(&nacos, Declaration::of(&incoming.typed())?).await?;
    Ok(result::ok())
}

/// `DELETE`.
pub(crate) async fn remove(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    services::remove(&nacos, Service::of(&incoming.typed())?.key()?).await?;
    Ok(result::ok())
}

/// `GET`.
pub(super) async fn get(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let known = services::asked_for(&nacos, Service::of(&params)?.key()?)?;
    Ok(result::success(ServiceDetailJson::v2(&known)))
}

/// `GET …/list`: a page of bare names. Nacos v2: one that is too large counts as one of 500, also for its number.
pub(super) async fn list(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let page = Page { number: 1, size: 20 };
    let page = Page::lenient(&params, Some(page))?.capped(V2_PAGE_SIZE_MAX);
    let (names, count) = catalog::of_group(&nacos, &params, page).await?;
    Ok(result::success(ServiceListJson {
        count,
        services: names.iter().map(|key| key.name.as_str()).collect(),
    }))
}

/// `GET /nacos/v2/ns/catalog/instances`: a page of all instances. Nacos v2: beyond the end the list is not there at all.
pub(super) async fn instances(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let service = Service::of(&params)?.key()?;
    let page = Page::strict(&params, None)?;
    let healthy_only = params.is_true(Param::HealthyOnly, false)?;
    let enabled_only = params.flag(Param::EnabledOnly)?;
    let Some(view) = nacos.registry.view(service.borrowed()) else {
        return Err(Error::NoService(service).into());
    };
    let (json, count) = catalog::hosts_of_page(&nacos, &view, page, |member| {
        (!healthy_only || member.healthy())
            && enabled_only.is_none_or(|enabled| enabled == member.record.enabled())
    })?;
    let mut pieces = vec![Bytes::from_static(b"{")];
    if page.offset() < count {
        pieces.push(Bytes::from_static(b"\"instances\":["));
        pieces.push(json);
        pieces.push(Bytes::from_static(b"],"));
    }
    pieces.push(format!("\"count\":{count}}}").into());
    Ok(result::success_of(pieces))
}

/// `PUT /nacos/v2/ns/health[/instance]`.
pub(crate) async fn set_health(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    services::set_health(&nacos, &incoming.typed()).await?;
    Ok(result::ok())
}

/// `GET …/operator/metrics`. Nacos v2: without what this server is responsible for.
pub(crate) async fn metrics(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    Ok(result::success(server::metrics(&nacos, &params, false)?))
}

/// `GET …/operator/switches`.
pub(crate) async fn switches(nacos: Nacos) -> Response {
    let switches = nacos.switches();
    result::success(SwitchesJson::new(&switches, nacos.registry.config().timings))
}

/// `PUT …/operator/switches`. Nacos v2: a bad value is the server's fault; here it is the client's.
pub(crate) async fn set_switch(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    server::set_switch(&nacos, &incoming.typed()).await?;
    Ok(result::ok())
}
