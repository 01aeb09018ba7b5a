//! `/nacos/v3/admin/ns/service`, `cluster`, `health`, `ops`.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, put};
use beatrix_core::model::Member;
use serde_json::value::RawValue;

use crate::checker::{CheckersJson, SELECTOR_TYPES};
use crate::door::Nacos;
use crate::hosts::{Hosts, Shown};
use crate::limits::PAGE_SIZE_MAX;
use crate::operations::catalog::{self, Page};
use crate::operations::services::{self, Known};
use crate::operations::subscribers;
use crate::params::{Incoming, Param, Params};
use crate::result::{self, ResultError};
use crate::service::Service;
use crate::v2;
use crate::wire::{PageJson, ServiceDetailJson, ServiceViewJson, SubscriberV3Json};

/// What a page is if nobody says.
const PAGE: Page = Page { number: 1, size: 100 };

/// The paths.
pub(super) fn routes() -> Router<Nacos> {
    let one = get(one)
        .post(v2::service::create)
        .put(v2::service::update)
        .delete(v2::service::remove);
    let switches = get(v2::service::switches).put(v2::service::set_switch);
    Router::new()
        .route("/nacos/v3/admin/ns/service", one)
        .route("/nacos/v3/admin/ns/service/list", get(list))
        .route("/nacos/v3/admin/ns/service/subscribers", get(subscribers))
        .route("/nacos/v3/admin/ns/service/selector/types", get(selector_types))
        .route("/nacos/v3/admin/ns/cluster", put(update_cluster))
        .route("/nacos/v3/admin/ns/health/instance", put(v2::service::set_health))
        .route("/nacos/v3/admin/ns/health/checkers", get(checkers))
        .route("/nacos/v3/admin/ns/ops/switches", switches)
        .route("/nacos/v3/admin/ns/ops/metrics", get(v2::service::metrics))
        .route("/nacos/v3/admin/ns/ops/log", put(log))
}

/// `GET`.
async fn one(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let known = services::asked_for(&nacos, Service::of(&params)?.key()?)?;
    Ok(result::success(ServiceDetailJson::v3(&known, |_| None)))
}

/// `GET …/list`: a page of services, or with `withInstances` of services in detail with their hosts.
async fn list(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let page = Page::strict(&params, Some(PAGE))?;
    let empty = !params.is_true(Param::IgnoreEmptyService, false)?;
    let with_hosts = params.is_true(Param::WithInstances, false)?;
    let found = catalog::search(&nacos, &params, page, empty).await?;
    if !with_hosts {
        let items: Vec<ServiceViewJson<'_>> = found.services.iter().map(Into::into).collect();
        return Ok(result::success(PageJson::new(found.total, page, items)));
    }
    let views = catalog::views(&nacos, &found.services).await?;
    let known: Vec<Known> = views.into_iter().map(Known::of).collect();
    let items = known.iter().map(|known| {
        let mut hosts = hosts(&nacos, known);
        ServiceDetailJson::v3(known, |cluster| hosts.remove(cluster))
    });
    Ok(result::success(PageJson::new(found.total, page, items.collect())))
}

/// The hosts of each cluster.
fn hosts<'a>(nacos: &Nacos, known: &'a Known) -> BTreeMap<&'a str, Box<RawValue>> {
    let hosts = Hosts::new(&known.view.key, nacos.registry.config().timings);
    let mut clusters: BTreeMap<&str, Vec<&Member>> = BTreeMap::new();
    for member in known.view.members() {
        let cluster = member.record.cluster().as_str();
        clusters.entry(cluster).or_default().push(member);
    }
    let json = clusters.into_iter().filter_map(|(cluster, members)| {
        let json = hosts.these(members.into_iter(), Shown::Measured);
        let json = [b"[", &*json, b"]"].concat();
        let json = RawValue::from_string(String::from_utf8(json).ok()?).ok()?;
        Some((cluster, json))
    });
    json.collect()
}

/// `GET …/subscribers`. Nacos 3.x: of exactly this service.
async fn subscribers(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let page = Page::strict(&params, Some(PAGE))?;
    let service = Service::of(&params)?.key()?;
    let watching = subscribers::watching(&nacos, |key| *key == service);
    page.check(watching.len(), PAGE_SIZE_MAX)?;
    let of_page = watching.iter().skip(page.offset()).take(page.size);
    let items: Vec<SubscriberV3Json<'_>> = of_page.map(Into::into).collect();
    Ok(result::success(PageJson::new(watching.len(), page, items)))
}

async fn selector_types() -> Response {
    result::success(SELECTOR_TYPES)
}

async fn checkers() -> Response {
    result::success(CheckersJson::default())
}

async fn update_cluster(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    services::update_cluster(&nacos, &incoming.typed()).await?;
    Ok(result::ok())
}

/// `PUT …/log`: as in v1, taken and without effect.
async fn log(request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.typed();
    params.require(Param::LogName)?;
    params.require(Param::LogLevel)?;
    Ok(result::ok())
}
