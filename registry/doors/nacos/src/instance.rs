//! What a request says about an instance, in the domain's types.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use beatrix_core::model::{
    Cluster, Endpoint, Health, Invalid, Liveness, LivenessKind, Metadata, OwnId, Probe, Registration,
    ServiceKey, SessionId, Timings, Weight,
};

use serde_json::value::RawValue;

use crate::door::Nacos;
use crate::error::Error;
use crate::hosts::Hosts;
use crate::limits::BATCH_ENTRIES_MAX;
use crate::metadata;
use crate::operations::instances::{Chosen, Found, Patch};
use crate::params::{Param, Params};
use crate::service::Service;
use crate::wire::{BatchEntryJson, InstanceJson, Scalar};

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
    /// What its client calls it, if it does so.
    pub(crate) own_id: Option<OwnId>,
}

impl Instance {
    /// Reads all parameters. Nacos v1 and v2: deregistration checks them as well, although it uses the names only.
    ///
    /// # Errors
    /// Names the parameter that is missing or breaks its rule.
    pub(crate) fn of(nacos: &Nacos, params: &Params<'_>) -> Result<Self, Error> {
        let Named {
            service,
            endpoint,
            cluster,
        } = Named::of(params)?;
        Ok(Self {
            service,
            endpoint,
            cluster,
            weight: weight(params)?.unwrap_or(Weight::DEFAULT),
            enabled: enabled(params)?.unwrap_or(true),
            healthy: params.flag(Param::Healthy)?.unwrap_or(true),
            ephemeral: ephemeral(nacos, params)?,
            metadata: metadata(params)?.unwrap_or_default(),
            // Nacos 2.x: over HTTP there is no such parameter.
            own_id: None,
        })
    }

    /// What is to be registered over HTTP. Ephemeral instances live by beats, persistent ones are asked as their cluster is
    /// checked.
    ///
    /// # Errors
    /// If the cluster may not be registered, or the times contradict each other.
    pub(crate) fn registration(self, defaults: Timings) -> Result<Registering, Error> {
        let lives = if self.ephemeral {
            Lives::Beating
        } else {
            Lives::Checked
        };
        self.registration_of(lives, defaults)
    }

    /// What is to be registered of an instance that lives so.
    ///
    /// # Errors
    /// If the cluster may not be registered, or the times contradict each other.
    pub(crate) fn registration_of(self, lives: Lives, defaults: Timings) -> Result<Registering, Error> {
        let Self {
            service,
            endpoint,
            cluster,
            weight,
            enabled,
            healthy,
            ephemeral: _,
            metadata,
            own_id,
        } = self;
        // Nacos 2.x: a cluster with an underscore may be asked for but not registered.
        if cluster.as_str().contains('_') {
            let rule = "must have letters, digits and '-' only";
            let invalid = Invalid::new(Param::ClusterName.as_str(), rule, cluster.as_str());
            return Err(Error::Unregistrable(invalid));
        }
        // Nacos 2.x: those of a persistent instance must be right as well.
        let timings = metadata::timings(&metadata, defaults)?;
        let expires = !metadata::keeps_without_beats(&metadata);
        let registration = Registration {
            cluster,
            weight,
            enabled,
            metadata,
            locality: None,
            liveness: match lives {
                Lives::Beating => Liveness::Beat(timings),
                Lives::Checked => Liveness::Probe(Probe::OfCluster),
                Lives::Held(session) => Liveness::Session(session),
            },
            expires,
            incarnation: None,
            own_id: own_id.map(Arc::new),
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

/// How an instance lives, in the ways of this protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lives {
    /// By beats: an ephemeral one that came over HTTP.
    Beating,
    /// As its cluster is checked: a persistent one.
    Checked,
    /// As long as the connection that it came over.
    Held(SessionId),
}

/// What names an instance, and the cluster that it is said to be in.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) service: ServiceKey,
    pub(crate) endpoint: Endpoint,
    pub(crate) cluster: Cluster,
}

impl Named {
    /// Reads the names only.
    ///
    /// # Errors
    /// Names the parameter that is missing or breaks its rule.
    pub(crate) fn of(params: &Params<'_>) -> Result<Self, Error> {
        Ok(Self {
            service: Service::of(params)?.key()?,
            endpoint: endpoint(&params.require(Param::Ip)?, &params.require(Param::Port)?)?,
            cluster: cluster(params)?.parse()?,
        })
    }
}

/// Whether it is ephemeral. Nacos: what does not say so is what a switch says.
///
/// # Errors
/// If it is not UTF-8, or in v2 and v3 neither yes nor no.
pub(crate) fn ephemeral(nacos: &Nacos, params: &Params<'_>) -> Result<bool, Error> {
    Ok(match params.flag(Param::Ephemeral)? {
        Some(ephemeral) => ephemeral,
        None => nacos
            .unusual()
            .is_none_or(|switches| switches.default_instance_ephemeral),
    })
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

/// What a patch says. Nacos 2.x: `healthy` is taken, too, and does nothing.
///
/// # Errors
/// Names the parameter that breaks its rule.
pub(crate) fn patch_of(params: &Params<'_>) -> Result<Patch, Error> {
    params.flag(Param::Healthy)?;
    Ok(Patch {
        weight: weight(params)?,
        enabled: enabled(params)?,
        metadata: metadata(params)?,
    })
}

/// What a batch says: which instances, and what metadata. Nacos 2.x: no list, or an empty one, means all instances of
/// the service, and then `persist` chooses the persistent ones, and anything else the others. An entry of a list says
/// itself which kind it is.
///
/// # Errors
/// Names the parameter that is missing or breaks its rule.
pub(crate) fn batch_of(params: &Params<'_>) -> Result<(ServiceKey, Chosen, Metadata), Error> {
    let service = Service::of(params)?.key()?;
    let metadata = metadata::parse(&params.require(Param::Metadata)?)?;
    let consistency = params.get(Param::ConsistencyType)?;
    let entries = match params.get(Param::Instances)? {
        Some(json) => entries(&json)?,
        None => BTreeSet::new(),
    };
    let chosen = if entries.is_empty() {
        Chosen::All {
            ephemeral: consistency.as_deref() != Some("persist"),
        }
    } else {
        Chosen::Named(entries)
    };
    Ok((service, chosen, metadata))
}

/// A JSON array of instances, of which the address counts, and whether it is ephemeral. Nacos: it is, if it does not
/// say otherwise. Who is named twice counts once.
fn entries(json: &str) -> Result<BTreeSet<(Endpoint, bool)>, Error> {
    let malformed = || {
        let rule = "must be a JSON array of instances, each an object with ip and port";
        Invalid::new(Param::Instances.as_str(), rule, json)
    };
    let entries: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| malformed())?;
    if entries.len() > BATCH_ENTRIES_MAX {
        let rule = format!("must have at most {BATCH_ENTRIES_MAX} instances");
        let found = entries.len().to_string();
        return Err(Invalid::new(Param::Instances.as_str(), rule, &found).into());
    }
    let read = |entry: &RawValue| {
        // An array would be taken for a list of members, in their order.
        let object = entry.get().starts_with('{');
        let entry: Option<BatchEntryJson<'_>> =
            object.then(|| serde_json::from_str(entry.get()).ok()).flatten();
        let Some(BatchEntryJson {
            ip: Some(ip),
            port: Some(port),
            ephemeral,
        }) = entry
        else {
            return Err(malformed().into());
        };
        let ephemeral = match ephemeral.as_ref().map(|Scalar(text)| text.as_ref()) {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(malformed().into()),
        };
        Ok((endpoint(&ip.0, &port.0)?, ephemeral))
    };
    entries.into_iter().map(read).collect()
}

/// One instance as v1 and v2 show it; how its service is called there is left open.
pub(crate) fn described<'a>(nacos: &Nacos, found: &'a Found) -> InstanceJson<'a> {
    let (view, member) = (&found.view, found.member());
    let id = Hosts::new(&view.key, nacos.registry.config().timings).instance_id(member);
    InstanceJson {
        service: None,
        service_name: None,
        ip: member.endpoint.address().to_string(),
        port: member.endpoint.port(),
        cluster_name: member.record.cluster().as_str(),
        weight: member.record.weight().get(),
        healthy: member.healthy(),
        instance_id: RawValue::from_string(format!("\"{id}\""))
            .expect("an id is rendered as the inside of JSON"),
        metadata: member.record.metadata().iter().collect(),
    }
}
