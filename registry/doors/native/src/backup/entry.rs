//! What a line of a backup means: parsed once, into types that can only hold what they may.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{InstancePiece, LayerOf, LayerPiece};
use beatrix_core::model::{
    Begun, Checker, ClusterSettings, Declared, DeclaredStatus, Endpoint, Health, Incarnation, Invalid,
    Lifetime, Liveness, Locality, Marks, Metadata, Namespace, NamespaceInfo, OperatorLayer, OwnId, Probe,
    Reason, Registration, Revision, Selector, ServiceKey, ServiceRef, ServiceSettings, SessionId,
    SettingName, Share, State, Threshold, Timings, Wall, Weight,
};
use beatrix_wire as wire;

use crate::{declaration, probes};

/// A part of a backup.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A declared namespace.
    Namespace(Namespace, NamespaceInfo),
    /// A setting of the registry.
    Setting(SettingName, Arc<str>),
    /// A service, with what was declared about it.
    Service(ServiceKey, Option<Box<ServiceSettings>>),
    /// An operator's layer.
    Layer(ServiceKey, Box<LayerPiece>),
    /// An instance.
    Instance(ServiceKey, Box<InstancePiece>),
}

/// Where an entry stands in a backup, and what names it. Their order is that of backups.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A namespace.
    Namespace(Namespace),
    /// A setting.
    Setting(SettingName),
    /// A service, or what is in it.
    Service(ServiceKey, Within),
}

/// Where an entry stands in a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Within {
    /// It is the service.
    Itself,
    /// An operator's layer. Before instances, so that one that is to be drained serves at no time.
    Layer(Endpoint),
    /// An instance.
    Instance(Endpoint),
}

impl Entry {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        match self {
            Self::Namespace(namespace, _) => Place::Namespace(namespace.clone()),
            Self::Setting(name, _) => Place::Setting(name.clone()),
            Self::Service(service, _) => Place::Service(service.clone(), Within::Itself),
            Self::Layer(service, piece) => {
                Place::Service(service.clone(), Within::Layer(piece.endpoint.clone()))
            }
            Self::Instance(service, piece) => {
                Place::Service(service.clone(), Within::Instance(piece.endpoint.clone()))
            }
        }
    }
}

impl Place {
    /// The namespace that it is, or is in.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        match self {
            Self::Namespace(namespace) => Some(namespace),
            Self::Setting(_) => None,
            Self::Service(service, _) => Some(&service.namespace),
        }
    }

    /// The line that takes it away.
    #[must_use]
    pub fn removal(&self) -> wire::BackupRemoval {
        let mut removal = wire::BackupRemoval::default();
        match self {
            Self::Namespace(namespace) => removal.namespace = Some(namespace.to_string()),
            Self::Setting(name) => removal.setting = Some(name.to_string()),
            Self::Service(service, within) => {
                removal.namespace = Some(service.namespace.to_string());
                removal.group = Some(service.group.to_string());
                removal.service = Some(service.name.to_string());
                match within {
                    Within::Itself => {}
                    Within::Layer(endpoint) => removal.layer = Some(endpoint.to_string()),
                    Within::Instance(endpoint) => removal.instance = Some(endpoint.to_string()),
                }
            }
        }
        removal
    }

    /// What such a line takes away.
    ///
    /// # Errors
    /// If it does not name one thing, or what it names cannot be.
    pub fn removed_by(removal: &wire::BackupRemoval) -> Result<Self, Invalid> {
        let wire::BackupRemoval {
            setting,
            namespace,
            group,
            service,
            instance,
            layer,
        } = removal;
        match (setting, namespace, group, service, instance, layer) {
            (Some(name), None, None, None, None, None) => Ok(Self::Setting(name.parse()?)),
            (None, Some(namespace), None, None, None, None) => Ok(Self::Namespace(namespace.parse()?)),
            (None, Some(namespace), Some(group), Some(service), instance, layer) => {
                let within = match (instance, layer) {
                    (None, None) => Within::Itself,
                    (Some(instance), None) => Within::Instance(instance.parse()?),
                    (None, Some(layer)) => Within::Layer(layer.parse()?),
                    (Some(_), Some(layer)) => {
                        return Err(Invalid::new("layer", "must not come with instance", layer));
                    }
                };
                Ok(Self::Service(key(namespace, group, service)?, within))
            }
            _ => Err(Invalid::new(
                "remove",
                "must name a setting, a namespace, or a service by all its parts",
                "something else",
            )),
        }
    }
}

/// What a line says. `None` for the two ends and for what removes.
///
/// # Errors
/// Names the field and the rule that it breaks.
pub fn entry(line: wire::BackupLine) -> Result<Option<Entry>, Invalid> {
    Ok(Some(match line {
        wire::BackupLine::Header(_) | wire::BackupLine::End(_) | wire::BackupLine::Remove(_) => {
            return Ok(None);
        }
        wire::BackupLine::Namespace(line) => {
            let info = NamespaceInfo {
                name: line.name,
                description: line.description,
            };
            info.check()?;
            Entry::Namespace(line.namespace.parse()?, info)
        }
        wire::BackupLine::Setting(line) => Entry::Setting(line.name.parse()?, line.value.into()),
        wire::BackupLine::Service(line) => {
            let settings = line.settings.map(settings).transpose()?;
            Entry::Service(
                key(&line.namespace, &line.group, &line.service)?,
                settings.map(Box::new),
            )
        }
        wire::BackupLine::Layer(line) => {
            let service = key(&line.namespace, &line.group, &line.service)?;
            Entry::Layer(service, Box::new(layer(line)?))
        }
        wire::BackupLine::Instance(line) => {
            let service = key(&line.namespace, &line.group, &line.service)?;
            Entry::Instance(service, Box::new(instance(line)?))
        }
    }))
}

fn key(namespace: &str, group: &str, name: &str) -> Result<ServiceKey, Invalid> {
    ServiceRef {
        namespace,
        group,
        name,
    }
    .to_key()
}

fn settings(line: wire::BackupServiceSettings) -> Result<ServiceSettings, Invalid> {
    let lifetime = match line.lifetime.as_deref() {
        None => None,
        Some("ephemeral") => Some(Lifetime::Ephemeral),
        Some("persistent") => Some(Lifetime::Persistent),
        Some(other) => return Err(Invalid::new("lifetime", "must be ephemeral or persistent", other)),
    };
    let selector = line
        .selector
        .map_or(Selector::None, |expression| Selector::Label { expression });
    let clusters = line.clusters.into_iter().map(|(name, cluster)| {
        let checker = match cluster.checker {
            wire::BackupChecker::None {} => Checker::None,
            wire::BackupChecker::Tcp {} => Checker::Tcp,
            wire::BackupChecker::Http {
                path,
                headers,
                expected_status,
            } => Checker::Http {
                path,
                headers,
                expected_status,
            },
            wire::BackupChecker::Mysql {
                user,
                password,
                command,
            } => Checker::Mysql {
                user,
                password,
                command,
            },
        };
        let settings = ClusterSettings {
            checker,
            check_port: cluster.check_port,
            use_instance_port: cluster.use_instance_port,
            metadata: Metadata::new(cluster.metadata)?,
        };
        Ok((name.parse()?, settings))
    });
    let settings = ServiceSettings {
        lifetime,
        protect_threshold: Threshold::new(line.protect_threshold)?,
        metadata: Metadata::new(line.metadata)?,
        selector,
        clusters: clusters.collect::<Result<BTreeMap<_, _>, Invalid>>()?,
        expires: line.expires,
        slow_start: line.slow_start.map(declaration::read).transpose()?,
    };
    // What would be refused when it is declared is refused here.
    let patch = beatrix_core::model::ServicePatch::replacing(None, &settings);
    ServiceSettings::default().patched(&patch)
}

fn layer(line: wire::BackupLayer) -> Result<LayerPiece, Invalid> {
    let incarnation = line.incarnation.map(|text| text.parse()).transpose()?;
    Ok(LayerPiece {
        endpoint: Endpoint::new(&line.address, line.port)?,
        layer: OperatorLayer {
            enabled: line.enabled,
            weight: line.weight.map(Weight::new).transpose()?,
            metadata: Metadata::new(line.metadata)?,
            draining: line.draining,
            sticky: line.sticky,
        },
        of: if line.next_run {
            LayerOf::Next
        } else {
            LayerOf::Run(incarnation)
        },
    })
}

fn instance(line: wire::BackupInstance) -> Result<InstancePiece, Invalid> {
    let liveness = match line.liveness {
        wire::BackupLiveness::Beat {
            interval_ms,
            unhealthy_after_ms,
            remove_after_ms,
        } => Liveness::Beat(Timings::new(
            Duration::from_millis(interval_ms),
            Duration::from_millis(unhealthy_after_ms),
            Duration::from_millis(remove_after_ms),
        )?),
        wire::BackupLiveness::Session {} => Liveness::Session(SessionId(0)),
        wire::BackupLiveness::Probe {
            probe,
            port,
            interval_ms,
            timeout_ms,
            rise,
            fall,
        } => {
            let plan = probes::Plan {
                port,
                interval_ms: Some(interval_ms),
                timeout_ms: Some(timeout_ms),
                rise: Some(rise),
                fall: Some(fall),
            };
            probes::liveness(&probe, &plan)?
        }
        wire::BackupLiveness::ClusterProbe {} => Liveness::Probe(Probe::OfCluster),
        wire::BackupLiveness::Static {} => Liveness::Static,
    };
    let locality = Locality::new(
        line.region.as_deref().unwrap_or_default(),
        line.zone.as_deref().unwrap_or_default(),
    )?;
    let incarnation: Option<Incarnation> = line.incarnation.map(|text| text.parse()).transpose()?;
    let own_id: Option<OwnId> = line.own_id.map(|text| text.parse()).transpose()?;
    let declared = line.declared.as_ref().map(declared).transpose()?.flatten();
    let reason = Reason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == line.reason)
        .ok_or_else(|| Invalid::new("reason", "must be one that the registry gives", &line.reason))?;
    Ok(InstancePiece {
        endpoint: Endpoint::new(&line.address, line.port)?,
        lease: line.lease.parse()?,
        registration: Registration {
            cluster: line.cluster.parse()?,
            weight: Weight::new(line.weight)?,
            enabled: line.enabled,
            metadata: Metadata::new(line.metadata)?,
            locality: locality.map(Arc::new),
            liveness,
            expires: line.expires,
            incarnation,
            own_id: own_id.map(Arc::new),
        },
        declared: declared.map(Arc::new),
        state: State {
            health: match line.health {
                wire::Health::Healthy => Health::Healthy,
                wire::Health::Unhealthy => Health::Unhealthy,
            },
            marks: Marks::NONE,
            reason,
            revision: Revision::ZERO,
            since: Wall(line.since_ms),
            share: Share::FULL,
            begun: line
                .serving_since_ms
                .map_or(Begun::NEVER, |at| Begun::at(Wall(at), Wall(line.since_ms))),
        },
    })
}

fn declared(line: &wire::BackupDeclared) -> Result<Option<Declared>, Invalid> {
    let status = match line.status {
        wire::DeclaredStatus::Up => return Ok(None),
        wire::DeclaredStatus::Draining => DeclaredStatus::Draining,
        wire::DeclaredStatus::Unhealthy => DeclaredStatus::Unhealthy,
    };
    Declared::new(status, line.reason.as_deref()).map(Some)
}
