//! Services as such: made, changed and removed apart from their instances, and what is said about their clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use beatrix_core::catalog::{Refusal, View};
use beatrix_core::model::{
    Checker, Cluster, ClusterSettings, Existence, Health, Invalid, Lifetime, Metadata, Reason, Selector,
    ServiceKey, ServicePatch, ServiceSettings, SlowStart, Threshold,
};
use beatrix_engine::WriteError;

use crate::checker;
use crate::door::Nacos;
use crate::error::Error;
use crate::hosts::is_ephemeral;
use crate::instance::{Named, PERSISTENT};
use crate::metadata;
use crate::params::{Param, Params};
use crate::service::Service;

/// What is said about a service.
#[derive(Debug)]
pub(crate) struct Declaration {
    service: ServiceKey,
    threshold: Threshold,
    metadata: Metadata,
    slow_start: Option<SlowStart>,
    selector: Selector,
}

impl Declaration {
    /// Reads it. What is not there is as it is by default.
    ///
    /// # Errors
    /// Names the parameter that is missing or breaks its rule.
    pub(crate) fn of(params: &Params<'_>) -> Result<Self, Error> {
        let service = Service::of(params)?.key()?;
        let threshold = match params.get(Param::ProtectThreshold)? {
            Some(text) => threshold(&text)?,
            None => Threshold::default(),
        };
        let selector = match params.get(Param::Selector)? {
            Some(text) => checker::selector(&text)?,
            None => Selector::None,
        };
        let metadata = params.get(Param::Metadata)?;
        let metadata = metadata.map(|text| metadata::parse(&text)).transpose()?;
        let metadata = metadata.unwrap_or_default();
        Ok(Self {
            service,
            threshold,
            slow_start: metadata::slow_start(&metadata)?,
            metadata,
            selector,
        })
    }

    fn patch(self) -> (ServiceKey, ServicePatch) {
        let expires = !metadata::keeps_without_beats(&self.metadata);
        let patch = ServicePatch {
            protect_threshold: Some(self.threshold),
            metadata: Some(self.metadata),
            selector: Some(self.selector),
            expires: Some(expires),
            slow_start: self.slow_start.map(Some),
            ..ServicePatch::default()
        };
        (self.service, patch)
    }
}

fn threshold(text: &str) -> Result<Threshold, Error> {
    let number = text.parse().ok().and_then(|number| Threshold::new(number).ok());
    let threshold = number
        .ok_or_else(|| Invalid::new(Param::ProtectThreshold.as_str(), "must be a finite number", text))?;
    Ok(threshold)
}

/// Makes a service for instances of one kind.
///
/// # Errors
/// If there is one.
pub(crate) async fn create(nacos: &Nacos, declaration: Declaration, ephemeral: bool) -> Result<(), Error> {
    let (service, mut patch) = declaration.patch();
    let lifetime = if ephemeral {
        Lifetime::Ephemeral
    } else {
        Lifetime::Persistent
    };
    patch.lifetime = Some(Some(lifetime));
    nacos
        .registry
        .declare_service(service, patch, Existence::Absent)
        .await?;
    Ok(())
}

/// Changes a service. Nacos: what is not said is cleared; the kind of its instances stays.
///
/// # Errors
/// If there is none.
pub(crate) async fn update(nacos: &Nacos, declaration: Declaration) -> Result<(), Error> {
    let (service, patch) = declaration.patch();
    nacos
        .registry
        .declare_service(service, patch, Existence::Present)
        .await?;
    Ok(())
}

/// Removes a service.
///
/// # Errors
/// If there is none, or it has instances.
pub(crate) async fn remove(nacos: &Nacos, service: ServiceKey) -> Result<(), Error> {
    nacos.registry.remove_service(service).await?;
    Ok(())
}

/// A service with all that is known about it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) view: Arc<View>,
    pub(crate) settings: Arc<ServiceSettings>,
    /// The clusters that have instances. Nacos 2.x: settings of others are kept, but not shown.
    pub(crate) clusters: BTreeMap<Cluster, ClusterSettings>,
    pub(crate) ephemeral: bool,
}

impl Known {
    /// What is known about the service of this view.
    pub(crate) fn of(view: Arc<View>) -> Self {
        let settings = view.settings.clone().unwrap_or_default();
        let names: BTreeSet<&Cluster> = view.members().map(|member| member.record.cluster()).collect();
        let clusters = names.into_iter().map(|cluster| {
            let of_cluster = settings.clusters.get(cluster).cloned().unwrap_or_default();
            (cluster.clone(), of_cluster)
        });
        let clusters = clusters.collect();
        let first = view.members().next();
        let ephemeral = match settings.lifetime {
            Some(lifetime) => lifetime == Lifetime::Ephemeral,
            None => first.is_none_or(|member| is_ephemeral(&member.record.registration.liveness)),
        };
        Self {
            settings,
            clusters,
            ephemeral,
            view,
        }
    }
}

/// What is known about a service, for those who ask for it. Nacos 2.x: that there is none is their mistake, unlike where
/// somebody looks into one.
///
/// # Errors
/// If there is none.
pub(crate) fn asked_for(nacos: &Nacos, service: ServiceKey) -> Result<Known, Error> {
    match nacos.registry.view(service.borrowed()) {
        Some(view) => Ok(Known::of(view)),
        None => Err(Error::Write(Refusal::ServiceNotFound(service).into())),
    }
}

/// What is known about a service, for those who look into it.
///
/// # Errors
/// If there is none.
pub(crate) fn known(nacos: &Nacos, service: ServiceKey) -> Result<Known, Error> {
    match nacos.registry.view(service.borrowed()) {
        Some(view) => Ok(Known::of(view)),
        None => Err(Error::NoService(service)),
    }
}

/// What is said about a cluster: all of it, each time.
///
/// # Errors
/// If a parameter is missing or breaks its rule, or there is no such service.
pub(crate) async fn update_cluster(nacos: &Nacos, params: &Params<'_>) -> Result<(), Error> {
    let service = Service::of(params)?.key()?;
    let cluster: Cluster = params.require(Param::ClusterName)?.parse()?;
    params.require(Param::CheckPort)?;
    params.require(Param::UseInstancePort)?;
    let metadata = params.get(Param::Metadata)?;
    let metadata = metadata.map(|text| metadata::parse(&text)).transpose()?;
    let settings = ClusterSettings {
        checker: checker::checker(&params.require(Param::HealthChecker)?)?,
        check_port: params.port(Param::CheckPort)?.unwrap_or_default(),
        use_instance_port: params.flag(Param::UseInstancePort)?.unwrap_or_default(),
        metadata: metadata.unwrap_or_default(),
    };
    let patch = ServicePatch {
        clusters: BTreeMap::from([(cluster, Some(settings))]),
        ..ServicePatch::default()
    };
    nacos
        .registry
        .declare_service(service, patch, Existence::Present)
        .await?;
    Ok(())
}

/// Sets the health of an instance that nobody measures. Nacos 2.x: it must be persistent, in a cluster whose checker
/// was set to `NONE`; one that is not there is no mistake.
///
/// # Errors
/// If a parameter is missing or breaks its rule, or health is measured.
pub(crate) async fn set_health(nacos: &Nacos, params: &Params<'_>) -> Result<(), Error> {
    let named = Named::of(params)?;
    let healthy = match params.flag(Param::Healthy)? {
        Some(healthy) => healthy,
        // Nacos: an older name of the same.
        None => params.flag(Param::Valid)?.ok_or(Error::Missing(Param::Healthy))?,
    };
    let Named {
        service,
        endpoint,
        cluster,
    } = named;
    let view = nacos.registry.view(service.borrowed());
    let settings = view.as_ref().and_then(|view| view.settings.as_ref());
    let of_cluster = settings.and_then(|settings| settings.clusters.get(&cluster));
    if of_cluster.is_none_or(|of_cluster| of_cluster.checker != Checker::None) {
        return Err(Error::Checked(service, cluster));
    }
    let member = view.as_ref().and_then(|view| view.get(&endpoint));
    let may_be_set = member.is_some_and(|member| {
        let kind = member.record.registration.liveness.kind();
        PERSISTENT.contains(&kind) && *member.record.cluster() == cluster
    });
    if may_be_set {
        let health = if healthy {
            Health::Healthy
        } else {
            Health::Unhealthy
        };
        let measured = nacos
            .registry
            .measure(service, endpoint, health, Reason::Operator)
            .await;
        match measured {
            Ok(_) => {}
            // It has gone since.
            Err(WriteError::Refused(Refusal::ServiceNotFound(_) | Refusal::InstanceNotFound(..))) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
