//! Instances: register, deregister, look at one; and an operator's writes, which go into the operator's layer, that lies
//! over what the client registers and survives its registering again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use beatrix_core::catalog::{Refusal, View};
use beatrix_core::model::{
    Cluster, Endpoint, LivenessKind, Member, Metadata, OperatorLayer, OperatorPatch, ServiceKey, ServiceRef,
    Timings, Weight,
};
use beatrix_engine::WriteError;

use crate::door::Nacos;
use crate::error::Error;
use crate::instance::{self, EPHEMERAL, Instance, Named, PERSISTENT, Registering};
use crate::params::Params;
use crate::service::Service;

/// Registers, and tells the times of the instance. Nacos: it replaces what was registered at this address, and starts
/// its beat clock anew.
///
/// # Errors
/// If it breaks a rule, or its service is of the other kind.
pub(crate) async fn register(nacos: &Nacos, instance: Instance) -> Result<Timings, Error> {
    let registry = &nacos.registry;
    let Registering {
        service,
        endpoint,
        registration,
        health,
        timings,
    } = instance.registration(registry.config().timings)?;
    registry
        .register_uniform(service, endpoint, registration, health)
        .await?;
    Ok(timings)
}

/// Deregisters. Nacos: what is not there, or of the other kind, is not an error; the cluster does not matter.
///
/// # Errors
/// If the registry takes no writes.
pub(crate) async fn deregister(
    nacos: &Nacos,
    service: ServiceKey,
    endpoint: Endpoint,
    ephemeral: bool,
) -> Result<(), Error> {
    match nacos
        .registry
        .deregister(service, endpoint, None, kinds(ephemeral))
        .await
    {
        Ok(_) | Err(WriteError::Refused(Refusal::ServiceNotFound(_) | Refusal::InstanceNotFound(..))) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The kinds of liveness that are ephemeral, or those that are not.
pub(crate) fn kinds(ephemeral: bool) -> &'static [LivenessKind] {
    if ephemeral { EPHEMERAL } else { PERSISTENT }
}

/// An instance in the view that has it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) view: Arc<View>,
    endpoint: Endpoint,
}

impl Found {
    /// The instance.
    pub(crate) fn member(&self) -> &Member {
        self.view
            .get(&self.endpoint)
            .expect("it was found in this view, and views do not change")
    }
}

/// Looks for an instance in its cluster.
///
/// # Errors
/// If there is none.
pub(crate) fn find(nacos: &Nacos, named: Named) -> Result<Found, Error> {
    let Named {
        service,
        endpoint,
        cluster,
    } = named;
    let view = nacos.registry.view(service.borrowed()).filter(|view| {
        view.get(&endpoint)
            .is_some_and(|member| *member.record.cluster() == cluster)
    });
    match view {
        Some(view) => Ok(Found { view, endpoint }),
        None => Err(Error::NotFound(service, endpoint)),
    }
}

/// Sets the whole override. Nacos 2.x: it is what this request says: without a weight it is 1, without `enabled` it is
/// true. The instance need not be there, but its service must.
///
/// # Errors
/// If there is no such service.
pub(crate) async fn update(nacos: &Nacos, instance: Instance) -> Result<(), Error> {
    let Instance {
        service,
        endpoint,
        weight,
        enabled,
        metadata,
        ..
    } = instance;
    let layer = kept(nacos, &service, &endpoint);
    let patch = OperatorPatch {
        enabled: Some(enabled),
        weight: Some(weight),
        metadata: replaced(layer.as_ref(), &metadata),
        ..Default::default()
    };
    match nacos.registry.operate_ahead(service, endpoint, patch).await {
        Ok(_) => Ok(()),
        Err(WriteError::Refused(Refusal::ServiceNotFound(service))) => Err(Error::NothingToUpdate(service)),
        Err(error) => Err(error.into()),
    }
}

/// What a patch changes.
#[derive(Debug, Default)]
pub(crate) struct Patch {
    pub(crate) weight: Option<Weight>,
    pub(crate) enabled: Option<bool>,
    pub(crate) metadata: Option<Metadata>,
}

/// Changes the override. Nacos 2.x: only what is given, but where there was no override the new one starts from weight 1
/// and enabled, so that patching one resets the other.
///
/// # Errors
/// If there is no such instance.
pub(crate) async fn patch(
    nacos: &Nacos,
    service: ServiceKey,
    endpoint: Endpoint,
    patch: Patch,
) -> Result<(), Error> {
    let Some(layer) = standing(nacos, &service, &endpoint) else {
        return Err(Error::NotFound(service, endpoint));
    };
    let metadata = patch
        .metadata
        .map(|metadata| replaced(layer.as_ref(), &metadata))
        .unwrap_or_default();
    let patch = on_override(patch.weight, patch.enabled, metadata);
    nacos.registry.operate(service, endpoint, patch).await?;
    Ok(())
}

/// A change of an override, that starts from weight 1 and enabled where there is none. Whether there is one is decided
/// with the write: of two patches at once neither shall take the other back.
fn on_override(
    weight: Option<Weight>,
    enabled: Option<bool>,
    metadata: BTreeMap<String, Option<String>>,
) -> OperatorPatch {
    let fresh = OperatorLayer {
        enabled: Some(true),
        weight: Some(Weight::DEFAULT),
        ..OperatorLayer::default()
    };
    OperatorPatch {
        enabled,
        weight,
        metadata,
        fresh: Some(Box::new(fresh)),
        ..Default::default()
    }
}

/// The operator's layer of an instance. `None` if there is no such instance.
fn standing(nacos: &Nacos, service: &ServiceKey, endpoint: &Endpoint) -> Option<Option<OperatorLayer>> {
    let view = nacos.registry.view(service.borrowed())?;
    Some(view.get(endpoint)?.record.operator().cloned())
}

/// The operator's layer of an instance, or the one that waits for it to register.
fn kept(nacos: &Nacos, service: &ServiceKey, endpoint: &Endpoint) -> Option<OperatorLayer> {
    match standing(nacos, service, endpoint) {
        Some(layer) => layer,
        None => nacos.registry.layer(service.borrowed(), endpoint),
    }
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

/// What a batch does to the metadata of the override.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batch {
    /// The keys get these values.
    Put,
    /// The keys go.
    Delete,
}

/// Which instances of a service a batch is about.
#[derive(Debug)]
pub(crate) enum Chosen {
    /// All of one kind.
    All { ephemeral: bool },
    /// Those at these addresses that are of the kind that is named with them.
    Named(BTreeSet<(Endpoint, bool)>),
}

/// Changes the metadata of the overrides of many instances, and tells which there were, in the form of Nacos:
/// `ip:port:unknown:cluster:kind`. Unknown ones are passed over.
///
/// # Errors
/// If a result breaks a rule. The instances before it are changed then.
pub(crate) async fn batch(
    nacos: &Nacos,
    service: ServiceKey,
    chosen: &Chosen,
    batch: Batch,
    metadata: &Metadata,
) -> Result<Vec<String>, Error> {
    let Some(view) = nacos.registry.view(service.borrowed()) else {
        return Ok(Vec::new());
    };
    let of_kind = |member: &Member, ephemeral: bool| {
        let kind = member.record.registration.liveness.kind();
        kinds(ephemeral).contains(&kind)
    };
    let members: Vec<&Member> = match chosen {
        Chosen::All { ephemeral } => view
            .members()
            .filter(|member| of_kind(member, *ephemeral))
            .collect(),
        Chosen::Named(entries) => {
            let found = |(endpoint, ephemeral): &(Endpoint, bool)| {
                view.get(endpoint).filter(|member| of_kind(member, *ephemeral))
            };
            entries.iter().filter_map(found).collect()
        }
    };
    let mut updated = Vec::with_capacity(members.len());
    for member in members {
        let changes = metadata.iter().map(|(key, value)| {
            let value = (batch == Batch::Put).then(|| value.to_owned());
            (key.to_owned(), value)
        });
        let patch = on_override(None, None, changes.collect());
        let endpoint = member.endpoint.clone();
        match nacos.registry.operate(service.clone(), endpoint, patch).await {
            Ok(_) => {}
            // It has gone since.
            Err(WriteError::Refused(Refusal::ServiceNotFound(_) | Refusal::InstanceNotFound(..))) => continue,
            Err(error) => return Err(error.into()),
        }
        let (ip, port) = (member.endpoint.address(), member.endpoint.port());
        let kind = if of_kind(member, true) {
            "ephemeral"
        } else {
            "persist"
        };
        updated.push(format!("{ip}:{port}:unknown:{}:{kind}", member.record.cluster()));
    }
    Ok(updated)
}

/// The health of all instances of a service: `ip:port_health`. Nacos 2.x: none of a service that does not exist.
pub(crate) fn statuses(nacos: &Nacos, service: ServiceRef<'_>) -> Vec<String> {
    let Some(view) = nacos.registry.view(service) else {
        return Vec::new();
    };
    let of = |member: &Member| {
        let (ip, port) = (member.endpoint.address(), member.endpoint.port());
        format!("{ip}:{port}_{}", member.healthy())
    };
    view.members().map(of).collect()
}

/// The view of a service and one of its clusters, for those who look into it.
///
/// # Errors
/// If a name breaks a rule, or there is no such service, or none of its instances is in the cluster.
pub(crate) fn of_cluster(nacos: &Nacos, params: &Params<'_>) -> Result<(Arc<View>, Cluster), Error> {
    let service = Service::of(params)?.key()?;
    let cluster: Cluster = instance::cluster(params)?.parse()?;
    let Some(view) = nacos.registry.view(service.borrowed()) else {
        return Err(Error::NoService(service));
    };
    if view.members().any(|member| *member.record.cluster() == cluster) {
        Ok((view, cluster))
    } else {
        Err(Error::NoCluster(service, cluster))
    }
}
