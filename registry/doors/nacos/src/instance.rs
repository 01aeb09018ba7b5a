//! What a request says about an instance, in the domain's types.

use std::borrow::Cow;

use beatrix_core::model::{
    Cluster, Endpoint, Health, Invalid, Liveness, LivenessKind, Metadata, Registration, ServiceKey, Timings,
    Weight,
};

use crate::error::Error;
use crate::metadata;
use crate::params::{Param, Params};
use crate::service::Service;

/// The kinds that Nacos calls ephemeral.
pub(crate) const EPHEMERAL: &[LivenessKind] = &[LivenessKind::Beat, LivenessKind::Session];
/// The kinds that Nacos calls persistent.
pub(crate) const PERSISTENT: &[LivenessKind] = &[LivenessKind::Static, LivenessKind::Probe];

/// An instance as the parameters of registration, deregistration and update describe it.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) service: ServiceKey,
    pub(crate) endpoint: Endpoint,
    pub(crate) cluster: Cluster,
    pub(crate) weight: Weight,
    pub(crate) enabled: bool,
    pub(crate) healthy: bool,
    pub(crate) ephemeral: bool,
    pub(crate) metadata: Metadata,
}

impl Instance {
    /// Reads all parameters. Nacos v1: deregistration checks them as well, although it uses the names only.
    ///
    /// # Errors
    /// Names the parameter that is missing or breaks its rule.
    pub(crate) fn of(params: &Params<'_>) -> Result<Self, Error> {
        Ok(Self {
            service: Service::of(params)?.key()?,
            endpoint: endpoint(&params.require(Param::Ip)?, &params.require(Param::Port)?)?,
            cluster: cluster(params)?.parse()?,
            weight: weight(params)?.unwrap_or(Weight::DEFAULT),
            enabled: enabled(params)?.unwrap_or(true),
            healthy: params.flag(Param::Healthy)?.unwrap_or(true),
            ephemeral: params.flag(Param::Ephemeral)?.unwrap_or(true),
            metadata: metadata(params)?.unwrap_or_default(),
        })
    }

    /// What is to be registered. Ephemeral instances live by beats, persistent ones are not asked yet.
    ///
    /// # Errors
    /// If the cluster may not be registered, or the times contradict each other.
    pub(crate) fn registration(self, defaults: Timings) -> Result<Registering, Error> {
        let Self {
            service,
            endpoint,
            cluster,
            weight,
            enabled,
            healthy,
            ephemeral,
            metadata,
        } = self;
        // Nacos 2.x: a cluster with an underscore may be asked for but not registered.
        if cluster.as_str().contains('_') {
            let rule = "must have letters, digits and '-' only";
            return Err(Invalid::new(Param::ClusterName.as_str(), rule, cluster.as_str()).into());
        }
        // Nacos 2.x: those of a persistent instance must be right as well.
        let timings = metadata::timings(&metadata, defaults)?;
        let registration = Registration {
            cluster,
            weight,
            enabled,
            metadata,
            locality: None,
            liveness: if ephemeral {
                Liveness::Beat(timings)
            } else {
                Liveness::Static
            },
            expires: true,
            incarnation: None,
        };
        let health = if healthy {
            Health::Healthy
        } else {
            Health::Unhealthy
        };
        Ok(Registering {
            service,
            endpoint,
            registration,
            health,
            timings,
        })
    }
}

/// All that a registration needs.
#[derive(Debug)]
pub(crate) struct Registering {
    pub(crate) service: ServiceKey,
    pub(crate) endpoint: Endpoint,
    pub(crate) registration: Registration,
    pub(crate) health: Health,
    pub(crate) timings: Timings,
}

/// Address and port. Nacos: the port may be 0.
///
/// # Errors
/// Names the one that breaks its rule.
pub(crate) fn endpoint(ip: &str, port: &str) -> Result<Endpoint, Error> {
    let port = port
        .parse()
        .map_err(|_| Invalid::new(Param::Port.as_str(), "must be a number from 0 to 65535", port))?;
    Ok(Endpoint::new(ip, port)?)
}

/// `clusterName`, or `cluster` (some clients), or the default.
///
/// # Errors
/// If it is not UTF-8.
pub(crate) fn cluster<'a>(params: &Params<'a>) -> Result<Cow<'a, str>, Error> {
    let named = match params.get(Param::ClusterName)? {
        Some(cluster) => Some(cluster),
        None => params.get(Param::Cluster)?,
    };
    Ok(named.unwrap_or(Cow::Borrowed(Cluster::DEFAULT)))
}

/// `enabled`, or `enable`: clients register with the one and update with the other.
///
/// # Errors
/// If it is not UTF-8.
pub(crate) fn enabled(params: &Params<'_>) -> Result<Option<bool>, Error> {
    match params.flag(Param::Enabled)? {
        Some(enabled) => Ok(Some(enabled)),
        None => params.flag(Param::Enable),
    }
}

/// The weight, if there is one.
///
/// # Errors
/// If it is not in its range.
pub(crate) fn weight(params: &Params<'_>) -> Result<Option<Weight>, Error> {
    params
        .get(Param::Weight)?
        .map(|text| parse_weight(&text))
        .transpose()
}

/// A weight as text.
///
/// # Errors
/// If it is no number, or not in its range.
pub(crate) fn parse_weight(text: &str) -> Result<Weight, Error> {
    let number: f64 = text
        .parse()
        .map_err(|_| Invalid::new(Param::Weight.as_str(), "must be a number from 0 to 10000", text))?;
    Ok(Weight::new(number)?)
}

/// The metadata, if there is any.
///
/// # Errors
/// If it cannot be read, or is too long.
pub(crate) fn metadata(params: &Params<'_>) -> Result<Option<Metadata>, Error> {
    params
        .get(Param::Metadata)?
        .map(|text| Ok(metadata::parse(&text)?))
        .transpose()
}
