//! `/nacos/v2/ns/client`: who registered what, and who watches it.

use axum::extract::Request;
use axum::response::Response;

use crate::door::Nacos;
use crate::operations::{clients, instances, subscribers};
use crate::params::{Param, Params};
use crate::result::{self, ResultError};
use crate::service::Service;
use crate::wire::{ClientV2Json, PublishedV2Json, PublisherV2Json, WatchedV2Json, WatcherOfServiceV2Json};

/// `GET …/list`: all ids.
pub(crate) async fn list(nacos: Nacos) -> Response {
    result::success(clients::all(&nacos).await)
}

/// `GET`.
pub(super) async fn get(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let client = clients::find(&nacos, &params.require(Param::ClientId)?).await?;
    Ok(result::success(ClientV2Json::new(
        &client,
        nacos.registry.wall().0,
    )))
}

/// `GET …/publish/list`.
pub(super) async fn published(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let client = clients::find(&nacos, &params.require(Param::ClientId)?).await?;
    let published = client.published.iter().map(|(service, cluster)| PublishedV2Json {
        namespace: service.namespace.as_str(),
        group: service.group.as_str(),
        service_name: service.name.as_str(),
        registered_instance: PublisherV2Json {
            ip: &client.ip,
            port: client.port,
            cluster: cluster.as_str(),
            client_id: None,
        },
    });
    Ok(result::success(published.collect::<Vec<_>>()))
}

/// `GET …/subscribe/list`.
pub(super) async fn watched(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let client = clients::find(&nacos, &params.require(Param::ClientId)?).await?;
    let watched: Vec<WatchedV2Json<'_>> = client.watched.iter().map(Into::into).collect();
    Ok(result::success(watched))
}

/// `GET …/service/publisher/list`. Nacos v2: finds nothing unless both address and port are given.
pub(super) async fn publishers(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let service = Service::of(&params)?.key()?;
    let ephemeral = params.flag(Param::Ephemeral)?.unwrap_or(true);
    let (ip, port) = (params.get(Param::Ip)?, params.port(Param::Port)?);
    let view = nacos.registry.view(service.borrowed());
    let members = view.iter().flat_map(|view| view.members()).filter(|member| {
        let kind = member.record.registration.liveness.kind();
        instances::kinds(ephemeral).contains(&kind)
            && port == Some(member.endpoint.port())
            && ip.as_deref() == Some(&member.endpoint.address().to_string())
    });
    let found: Vec<_> = members
        .map(|member| (member, member.endpoint.address().to_string(), clients::id(member)))
        .collect();
    let json = found.iter().map(|(member, ip, id)| PublisherV2Json {
        ip,
        port: member.endpoint.port(),
        cluster: member.record.cluster().as_str(),
        client_id: Some(id),
    });
    Ok(result::success(json.collect::<Vec<_>>()))
}

/// `GET …/service/subscriber/list`. Nacos v2: without address or port those of any.
pub(super) async fn watchers(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    params.flag(Param::Ephemeral)?;
    let found = subscribers::of_service(&nacos, &params)?;
    let json = found.iter().map(|watching| WatcherOfServiceV2Json {
        client_id: watching.client_id(),
        ip: watching.ip(),
        port: watching.port(),
    });
    Ok(result::success(json.collect::<Vec<_>>()))
}
