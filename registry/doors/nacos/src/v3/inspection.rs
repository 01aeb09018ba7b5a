//! `/nacos/v3/admin/ns/client`: who registered what, and who watches it.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;

use crate::door::Nacos;
use crate::members;
use crate::operations::{clients, subscribers};
use crate::params::{Param, Params};
use crate::result::{self, ResultError};
use crate::service::Service;
use crate::v2::client;
use crate::wire::{ClientServiceV3Json, ClientV3Json, PublisherV3Json, ResponsibleJson, WatcherV3Json};

/// The paths.
pub(super) fn routes() -> Router<Nacos> {
    Router::new()
        .route("/nacos/v3/admin/ns/client", get(one))
        .route("/nacos/v3/admin/ns/client/list", get(client::list))
        .route("/nacos/v3/admin/ns/client/publish/list", get(published))
        .route("/nacos/v3/admin/ns/client/subscribe/list", get(watched))
        .route(
            "/nacos/v3/admin/ns/client/service/publisher/list",
            get(publishers),
        )
        .route("/nacos/v3/admin/ns/client/service/subscriber/list", get(watchers))
        .route("/nacos/v3/admin/ns/client/distro", get(responsible))
}

/// `GET`.
async fn one(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let client = clients::find(&nacos, &params.require(Param::ClientId)?).await?;
    Ok(result::success(ClientV3Json::new(
        &client,
        nacos.registry.wall().0,
    )))
}

async fn published(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let client = clients::find(&nacos, &params.require(Param::ClientId)?).await?;
    let published = client
        .published
        .iter()
        .map(|(service, cluster)| ClientServiceV3Json {
            namespace_id: service.namespace.as_str(),
            group_name: service.group.as_str(),
            service_name: service.name.as_str(),
            publisher_info: Some(PublisherV3Json {
                client_id: &client.id,
                ip: &client.ip,
                port: client.port,
                cluster_name: cluster.as_str(),
            }),
            subscriber_info: None,
        });
    Ok(result::success(published.collect::<Vec<_>>()))
}

async fn watched(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let client = clients::find(&nacos, &params.require(Param::ClientId)?).await?;
    let watched = client.watched.iter().map(|watching| ClientServiceV3Json {
        namespace_id: watching.service.namespace.as_str(),
        group_name: watching.service.group.as_str(),
        service_name: watching.service.name.as_str(),
        publisher_info: None,
        subscriber_info: Some(watching.into()),
    });
    Ok(result::success(watched.collect::<Vec<_>>()))
}

/// `GET …/service/publisher/list`. Nacos 3.x: without address or port those of any.
async fn publishers(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let service = Service::of(&params)?.key()?;
    let (ip, port) = (params.get(Param::Ip)?, params.port(Param::Port)?);
    let view = nacos.registry.view(service.borrowed());
    let members = view.iter().flat_map(|view| view.members());
    let found: Vec<_> = members
        .map(|member| (member, member.endpoint.address().to_string(), clients::id(member)))
        .filter(|(member, address, _)| {
            ip.as_deref().is_none_or(|ip| ip == address)
                && port.is_none_or(|port| port == member.endpoint.port())
        })
        .collect();
    let json = found.iter().map(|(member, ip, id)| PublisherV3Json {
        client_id: id,
        ip,
        port: member.endpoint.port(),
        cluster_name: member.record.cluster().as_str(),
    });
    Ok(result::success(json.collect::<Vec<_>>()))
}

async fn watchers(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let found = subscribers::of_service(&nacos, &params)?;
    let json: Vec<WatcherV3Json<'_>> = found.iter().map(Into::into).collect();
    Ok(result::success(json))
}

async fn responsible(request: Request) -> Response {
    result::success(ResponsibleJson {
        responsible_server: members::address(&request).to_string(),
    })
}
