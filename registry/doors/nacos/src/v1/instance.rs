//! `/nacos/v1/ns/instance`: register, deregister, look at one.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use beatrix_core::catalog::{Refusal, View};
use beatrix_core::model::Member;
use beatrix_engine::{Registry, WriteError};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::hosts::Hosts;
use crate::instance::{self, EPHEMERAL, Instance, PERSISTENT, Registering};
use crate::params::{Incoming, Param, Params};
use crate::reply;
use crate::service::{Service, grouped_name};
use crate::wire::InstanceJson;

use super::error::TextError;

/// `POST`. Nacos: it replaces what was registered at this address, and starts its beat clock anew.
pub(super) async fn register(
    State(registry): State<Registry>,
    request: Request,
) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let instance = Instance::of(&incoming.params())?;
    let Registering {
        service,
        endpoint,
        registration,
        health,
        ..
    } = instance.registration(registry.config().timings)?;
    registry.register(service, endpoint, registration, health).await?;
    Ok(reply::ok())
}

/// `DELETE`. Nacos: what is not there, or of the other kind, is not an error; the cluster does not matter.
pub(super) async fn deregister(
    State(registry): State<Registry>,
    request: Request,
) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let Instance {
        service,
        endpoint,
        ephemeral,
        ..
    } = Instance::of(&incoming.params())?;
    let kinds = if ephemeral { EPHEMERAL } else { PERSISTENT };
    match registry.deregister(service, endpoint, None, kinds).await {
        Ok(_) | Err(WriteError::Refused(Refusal::ServiceNotFound(_) | Refusal::InstanceNotFound(..))) => {
            Ok(reply::ok())
        }
        Err(error) => Err(error.into()),
    }
}

/// `GET`. Nacos: the health is the measured one, and disabled instances are shown.
pub(super) async fn get(State(registry): State<Registry>, request: Request) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let key = Service::of(&params)?.key()?;
    let endpoint = instance::endpoint(&params.require(Param::Ip)?, &params.require(Param::Port)?)?;
    let cluster = instance::cluster(&params)?;
    let view = registry.view(key.borrowed());
    let found = view.as_ref().and_then(|view| {
        let member = view
            .get(&endpoint)
            .filter(|member| member.record.cluster().as_str() == cluster)?;
        Some(describe(view, member, &registry))
    });
    Ok(found.ok_or(Error::NotFound(key, endpoint))?)
}

fn describe(view: &View, member: &Member, registry: &Registry) -> Response {
    let id = Hosts::new(&view.key, registry.config().timings).instance_id(member);
    let id = RawValue::from_string(format!("\"{id}\"")).expect("an id is rendered as the inside of JSON");
    let json = InstanceJson {
        service: &grouped_name(view.key.borrowed()),
        ip: member.endpoint.address().to_string(),
        port: member.endpoint.port(),
        cluster_name: member.record.cluster().as_str(),
        weight: member.record.weight().get(),
        healthy: member.healthy(),
        instance_id: &id,
        metadata: member.record.metadata().iter().collect(),
    };
    reply::json_of(StatusCode::OK, &json)
}
