//! `/nacos/v1/ns/instance`, an operator's writes. They go into the operator's layer, which lies over what the client
//! registers and survives its registering again.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use beatrix_core::model::{Endpoint, Metadata, OperatorLayer, OperatorPatch, ServiceKey, Weight};
use beatrix_engine::Registry;

use crate::error::Error;
use crate::instance::{self, Instance};
use crate::params::{Incoming, Param};
use crate::reply;
use crate::service::Service;

use super::error::TextError;

/// `PUT`. Nacos 2.x: the override is what this request says: without a weight it is 1, without `enabled` it is true.
pub(super) async fn update(
    State(registry): State<Registry>,
    request: Request,
) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let Instance {
        service,
        endpoint,
        weight,
        enabled,
        metadata,
        ..
    } = Instance::of(&incoming.params())?;
    let metadata = match layer(&registry, &service, &endpoint) {
        Some(layer) => replaced(layer.as_ref(), &metadata),
        None => BTreeMap::new(),
    };
    let patch = OperatorPatch {
        enabled: Some(enabled),
        weight: Some(weight),
        metadata,
        ..Default::default()
    };
    registry.operate(service, endpoint, patch).await?;
    Ok(reply::ok())
}

/// `PATCH`. Nacos 2.x: changes only what is given, but where there was no override the new one starts from weight 1
/// and enabled, so that patching one resets the other.
pub(super) async fn patch(State(registry): State<Registry>, request: Request) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    let service = Service::of(&params)?.key()?;
    let endpoint = instance::endpoint(&params.require(Param::Ip)?, &params.require(Param::Port)?)?;
    let (weight, enabled) = (instance::weight(&params)?, instance::enabled(&params)?);
    let metadata = instance::metadata(&params)?;
    let Some(layer) = layer(&registry, &service, &endpoint) else {
        return Err(Error::NotFound(service, endpoint).into());
    };
    let fresh = layer.is_none();
    let patch = OperatorPatch {
        enabled: enabled.or(fresh.then_some(true)),
        weight: weight.or(fresh.then_some(Weight::DEFAULT)),
        metadata: metadata
            .map(|metadata| replaced(layer.as_ref(), &metadata))
            .unwrap_or_default(),
        ..Default::default()
    };
    registry.operate(service, endpoint, patch).await?;
    Ok(reply::ok())
}

/// The operator's layer of an instance. `None` if there is no such instance.
fn layer(registry: &Registry, service: &ServiceKey, endpoint: &Endpoint) -> Option<Option<OperatorLayer>> {
    let view = registry.view(service.borrowed())?;
    Some(view.get(endpoint)?.record.operator().cloned())
}

/// Nacos replaces the whole map of the override: what it had and the request has not is taken away. What somebody else
/// sets between the look and the write stays.
fn replaced(layer: Option<&OperatorLayer>, metadata: &Metadata) -> BTreeMap<String, Option<String>> {
    let gone = layer
        .into_iter()
        .flat_map(|layer| layer.metadata.iter())
        .map(|(key, _)| (key.to_owned(), None));
    let set = metadata
        .iter()
        .map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    gone.chain(set).collect()
}
