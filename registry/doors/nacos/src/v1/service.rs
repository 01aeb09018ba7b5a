//! `/nacos/v1/ns/service` and `/nacos/v1/ns/cluster`: services as such, apart from their instances.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;
use beatrix_core::catalog::DirectoryQuery;
use beatrix_core::model::Namespace;

use crate::checker::SELECTOR_TYPES;
use crate::door::Nacos;
use crate::limits::PAGE_SIZE_MAX;
use crate::operations::catalog::{self, Page};
use crate::operations::services::{self, Declaration};
use crate::operations::subscribers;
use crate::params::{Incoming, Param, Params};
use crate::reply;
use crate::service::{Service, grouped_name};
use crate::wire::{RestResultJson, ServiceNamesJson, ServiceV1Json, ServicesJson, SubscribersV1Json};

use super::admitted::Admitted;
use super::error::TextError;

/// `POST`. Nacos v1: the service is for persistent instances, and refuses all others from then on.
pub(super) async fn create(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    services::create(&nacos, Declaration::of(&incoming.params())?, false).await?;
    Ok(reply::ok())
}

/// `PUT`. Nacos v1: the threshold must be said, unlike all else.
pub(super) async fn update(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    params.require(Param::Service)?;
    params.require(Param::ProtectThreshold)?;
    services::update(&nacos, Declaration::of(&params)?).await?;
    Ok(reply::ok())
}

/// `DELETE`.
pub(super) async fn remove(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    services::remove(&nacos, Service::of(&incoming.params())?.key()?).await?;
    Ok(reply::ok())
}

/// `GET`. Nacos 2.x: 400 where there is none.
pub(super) async fn get(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let known = services::asked_for(&nacos, Service::of(&params)?.key()?)?;
    Ok(reply::json_of(StatusCode::OK, &ServiceV1Json::from(&known)))
}

/// `GET …/list`: a page of the services of one group, ordered by name.
pub(super) async fn list(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let page = Page::lenient(&params, None)?;
    let (names, count) = catalog::of_group(&nacos, &params, page).await?;
    let json = ServicesJson {
        count,
        doms: names.iter().map(|key| key.name.as_str()).collect(),
    };
    Ok(reply::json_of(StatusCode::OK, &json))
}

/// `…/names`, with any method: grouped names by namespace, of one or of all. Nacos calls the member `META-INF/services`
/// from 2.2.1 to 3.1, by mistake; here it is called what it was before.
pub(super) async fn names(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    let (namespace, part) = (params.get(Param::Namespace)?, params.get(Param::Expression)?);
    if let Some(namespace) = &namespace {
        Namespace::check(namespace)?;
    }
    let mut json = ServiceNamesJson {
        services: BTreeMap::new(),
        count: 0,
    };
    let all = nacos.registry.namespaces().into_iter();
    for summary in all.filter(|summary| {
        namespace
            .as_deref()
            .is_none_or(|only| only == summary.namespace.as_str())
    }) {
        let query = DirectoryQuery {
            namespace: summary.namespace.as_str(),
            group: None,
            group_contains: None,
            search: part.as_deref(),
            empty: false,
            declared: true,
            offset: 0,
            limit: usize::MAX,
        };
        let (names, count) = catalog::names(&nacos, query).await;
        json.count += count;
        let names = names.iter().map(|key| grouped_name(key.borrowed()));
        json.services
            .insert(summary.namespace.to_string(), names.collect());
    }
    Ok(reply::json_of(StatusCode::OK, &json))
}

/// `GET …/subscribers`. Nacos: group and name are looked for as parts, and whatever is wrong gives an empty list.
pub(super) async fn subscribers(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    // Nacos v1: a page has so many if nobody says.
    let page = Page {
        number: 1,
        size: 1_000,
    };
    let page = Page::lenient(&params, Some(page))?;
    let service = Service::of(&params)?;
    let wanted = service.borrowed();
    let watching = subscribers::watching(&nacos, |key| {
        key.namespace.as_str() == wanted.namespace
            && key.group.as_str().contains(wanted.group)
            && key.name.as_str().contains(wanted.name)
    });
    page.check(watching.len(), PAGE_SIZE_MAX)?;
    let of_page = watching.iter().skip(page.offset()).take(page.size);
    let json = SubscribersV1Json {
        subscribers: of_page.map(Into::into).collect(),
        count: watching.len(),
    };
    Ok(reply::json_of(StatusCode::OK, &json))
}

/// `GET …/selector/types`.
pub(super) async fn selector_types() -> Response {
    reply::json_of(StatusCode::OK, &RestResultJson::ok(SELECTOR_TYPES))
}

/// `PUT /nacos/v1/ns/cluster`.
pub(super) async fn update_cluster(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    services::update_cluster(&nacos, &incoming.params()).await?;
    Ok(reply::ok())
}
