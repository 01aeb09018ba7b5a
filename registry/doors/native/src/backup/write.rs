//! From pieces of a catalog to the lines of a backup.

use beatrix_core::catalog::{InstancePiece, LayerOf, LayerPiece, Piece, ServicePiece};
use beatrix_core::model::{
    Checker, ClusterSettings, DeclaredStatus, Health, Incarnation, Liveness, Metadata, Namespace, Probe,
    Selector, ServiceKey, ServiceSettings, Version, Wall, Weight,
};
use beatrix_wire as wire;

use crate::render::ms;
use crate::{declaration, probes};

/// Writes the lines of a backup, one piece after the other.
#[derive(Debug)]
pub struct Writer {
    /// Only of this namespace.
    namespace: Option<Namespace>,
    /// The service that instances are of, if it is wanted.
    service: Option<ServiceKey>,
    end: wire::BackupEnd,
    crc: crc32fast::Hasher,
}

impl Writer {
    /// A backup of everything, or of one namespace.
    #[must_use]
    pub fn new(namespace: Option<Namespace>) -> Self {
        Self {
            namespace,
            service: None,
            end: wire::BackupEnd::default(),
            crc: crc32fast::Hasher::new(),
        }
    }

    /// The first line, of a registry that is at `version` when it is `at`.
    pub fn header(&mut self, into: &mut Vec<u8>, version: Version, at: Wall) {
        let header = wire::BackupHeader {
            format: wire::BACKUP_FORMAT.into(),
            version: wire::BACKUP_VERSION,
            epoch: version.epoch.to_string(),
            revision: version.revision.0,
            at_ms: at.0,
            namespaces: self.namespace.as_ref().map(|only| vec![only.to_string()]),
        };
        self.line(into, &wire::BackupLine::Header(header));
    }

    /// The lines of the next piece. Those of namespaces and settings must come before services, ordered by name.
    pub fn piece(&mut self, into: &mut Vec<u8>, piece: Piece) {
        match piece {
            Piece::Begin { .. } => {}
            Piece::Namespace { namespace, info } => {
                if self.wants(&namespace) {
                    self.end.namespaces += 1;
                    let line = wire::BackupNamespace {
                        namespace: namespace.to_string(),
                        name: info.name.clone(),
                        description: info.description.clone(),
                    };
                    self.line(into, &wire::BackupLine::Namespace(line));
                }
            }
            Piece::Setting { name, value } => {
                if self.namespace.is_none() {
                    self.end.settings += 1;
                    let line = wire::BackupSetting {
                        name: name.to_string(),
                        value: value.to_string(),
                    };
                    self.line(into, &wire::BackupLine::Setting(line));
                }
            }
            Piece::Service(service) => self.service(into, &service),
            Piece::Instances(instances) => {
                let Some(service) = self.service.clone() else {
                    return;
                };
                self.end.instances += instances.len() as u64;
                for piece in instances {
                    self.line(into, &wire::BackupLine::Instance(instance(&service, piece)));
                }
            }
        }
    }

    /// The last line.
    pub fn end(&mut self, into: &mut Vec<u8>) {
        let mut end = std::mem::take(&mut self.end);
        end.crc32 = format!("{:08x}", self.crc.clone().finalize());
        self.line(into, &wire::BackupLine::End(end));
    }

    fn wants(&self, namespace: &Namespace) -> bool {
        self.namespace.as_ref().is_none_or(|only| only == namespace)
    }

    fn service(&mut self, into: &mut Vec<u8>, piece: &ServicePiece) {
        if !self.wants(&piece.key.namespace) {
            self.service = None;
            return;
        }
        self.service = Some(piece.key.clone());
        self.end.services += 1;
        let line = wire::BackupService {
            namespace: piece.key.namespace.to_string(),
            group: piece.key.group.to_string(),
            service: piece.key.name.to_string(),
            settings: piece.settings.as_deref().map(settings),
        };
        self.line(into, &wire::BackupLine::Service(line));
        self.end.layers += piece.layers.len() as u64;
        for layer_piece in &piece.layers {
            self.line(into, &wire::BackupLine::Layer(layer(&piece.key, layer_piece)));
        }
    }

    fn line(&mut self, into: &mut Vec<u8>, line: &wire::BackupLine) {
        let start = into.len();
        line_into(into, line);
        self.crc.update(&into[start..]);
    }
}

/// Appends a line. Text and numbers can always be written.
pub fn line_into(into: &mut Vec<u8>, line: &wire::BackupLine) {
    let written = serde_json::to_writer(&mut *into, line);
    debug_assert!(written.is_ok());
    into.push(b'\n');
}

fn texts(metadata: &Metadata) -> std::collections::BTreeMap<String, String> {
    let pairs = metadata.iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn settings(settings: &ServiceSettings) -> wire::BackupServiceSettings {
    let ServiceSettings {
        lifetime,
        protect_threshold,
        metadata,
        selector,
        clusters,
        expires,
        slow_start,
    } = settings;
    wire::BackupServiceSettings {
        lifetime: lifetime.map(|lifetime| lifetime.as_str().to_owned()),
        protect_threshold: protect_threshold.get(),
        metadata: texts(metadata),
        selector: match selector {
            Selector::None => None,
            Selector::Label { expression } => Some(expression.clone()),
        },
        clusters: clusters
            .iter()
            .map(|(name, settings)| (name.to_string(), cluster(settings)))
            .collect(),
        expires: *expires,
        slow_start: slow_start.map(declaration::shown),
    }
}

fn cluster(settings: &ClusterSettings) -> wire::BackupCluster {
    let checker = match settings.checker.clone() {
        Checker::None => wire::BackupChecker::None {},
        Checker::Tcp => wire::BackupChecker::Tcp {},
        Checker::Http {
            path,
            headers,
            expected_status,
        } => wire::BackupChecker::Http {
            path,
            headers,
            expected_status,
        },
        Checker::Mysql {
            user,
            password,
            command,
        } => wire::BackupChecker::Mysql {
            user,
            password,
            command,
        },
    };
    wire::BackupCluster {
        checker,
        check_port: settings.check_port,
        use_instance_port: settings.use_instance_port,
        metadata: texts(&settings.metadata),
    }
}

fn layer(service: &ServiceKey, piece: &LayerPiece) -> wire::BackupLayer {
    let LayerPiece { endpoint, layer, of } = piece;
    let incarnation = match of {
        LayerOf::Run(incarnation) => incarnation.as_ref().map(|run| run.as_str().to_owned()),
        LayerOf::Next => None,
    };
    wire::BackupLayer {
        namespace: service.namespace.to_string(),
        group: service.group.to_string(),
        service: service.name.to_string(),
        address: endpoint.address().to_string(),
        port: endpoint.port(),
        next_run: *of == LayerOf::Next,
        incarnation,
        enabled: layer.enabled,
        weight: layer.weight.map(Weight::get),
        metadata: texts(&layer.metadata),
        draining: layer.draining,
        sticky: layer.sticky,
    }
}

fn instance(service: &ServiceKey, piece: InstancePiece) -> wire::BackupInstance {
    let InstancePiece {
        endpoint,
        lease,
        registration,
        declared,
        state,
    } = piece;
    let liveness = match &registration.liveness {
        Liveness::Beat(timings) => wire::BackupLiveness::Beat {
            interval_ms: ms(timings.interval()),
            unhealthy_after_ms: ms(timings.unhealthy_after()),
            remove_after_ms: ms(timings.remove_after()),
        },
        Liveness::Session(_) => wire::BackupLiveness::Session {},
        Liveness::Probe(Probe::Own(spec)) => wire::BackupLiveness::Probe {
            probe: Box::new(probes::whole(spec.kind())),
            port: spec.port(),
            interval_ms: ms(spec.interval()),
            timeout_ms: ms(spec.timeout()),
            rise: spec.rise(),
            fall: spec.fall(),
        },
        Liveness::Probe(Probe::OfCluster) => wire::BackupLiveness::ClusterProbe {},
        Liveness::Static => wire::BackupLiveness::Static {},
    };
    let locality = registration.locality.as_deref();
    let declared = declared.map(|declared| wire::BackupDeclared {
        status: match declared.status {
            DeclaredStatus::Draining => wire::DeclaredStatus::Draining,
            DeclaredStatus::Unhealthy => wire::DeclaredStatus::Unhealthy,
        },
        reason: declared.reason.as_deref().map(str::to_owned),
    });
    wire::BackupInstance {
        namespace: service.namespace.to_string(),
        group: service.group.to_string(),
        service: service.name.to_string(),
        address: endpoint.address().to_string(),
        port: endpoint.port(),
        lease: lease.to_string(),
        cluster: registration.cluster.to_string(),
        weight: registration.weight.get(),
        enabled: registration.enabled,
        metadata: texts(&registration.metadata),
        region: locality.map(|locality| locality.region().to_owned()),
        zone: locality
            .map(|locality| locality.zone().to_owned())
            .filter(|zone| !zone.is_empty()),
        liveness,
        expires: registration.expires,
        incarnation: registration
            .incarnation
            .as_ref()
            .map(Incarnation::as_str)
            .map(str::to_owned),
        own_id: registration.own_id.as_ref().map(|id| id.as_str().to_owned()),
        declared,
        health: match state.health {
            Health::Healthy => wire::Health::Healthy,
            Health::Unhealthy => wire::Health::Unhealthy,
        },
        reason: state.reason.as_str().to_owned(),
        since_ms: state.since.0,
        serving_since_ms: state.begun.since(state.since).map(|at| at.0),
    }
}
