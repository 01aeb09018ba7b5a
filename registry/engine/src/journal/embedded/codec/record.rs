//! A committed mutation, to bytes and back.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use beatrix_core::catalog::{Committed, Mutation, Part};
use beatrix_core::model::{Origin, Revision, Surface, Wall};

use super::bytes::{Reader, put_len, put_number, put_option, put_text, unknown};
use super::instance::{
    Clusters, declared, endpoint, health, instance, layer, layer_piece, lease, marks, put_declared,
    put_endpoint, put_health, put_instance, put_layer, put_layer_piece, put_lease, put_reason,
    put_registration, reason, registration, share,
};
use super::service::{
    Keys, namespace_info, put_key, put_namespace_info, put_setting_value, put_settings, setting_value,
    settings,
};
use super::{DecodeError, VERSION};

/// Writes a mutation that is committed with `revision`.
pub fn put_record(out: &mut Vec<u8>, revision: Revision, at: Wall, by: Origin, mutation: &Mutation) {
    out.push(VERSION);
    put_number(out, revision.0);
    put_number(out, at.0);
    put_origin(out, by);
    put_mutation(out, mutation);
}

/// Reads the records of one stream.
#[derive(Debug, Default)]
pub struct Records {
    keys: Keys,
    clusters: Clusters,
}

impl Records {
    /// Reads a committed mutation, which takes all of `bytes`.
    ///
    /// # Errors
    /// If it is none, of an unknown version, or breaks a rule of the model.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Committed, DecodeError> {
        let from = &mut Reader::new(bytes);
        match from.byte()? {
            VERSION => {}
            other => return Err(unknown("the version", other)),
        }
        let committed = Committed {
            revision: Revision(from.number()?),
            at: Wall(from.number()?),
            by: origin(from)?,
            mutation: self.mutation(from)?,
        };
        from.end()?;
        Ok(committed)
    }

    fn mutation(&mut self, from: &mut Reader<'_>) -> Result<Mutation, DecodeError> {
        let Self { keys, clusters } = self;
        Ok(match from.byte()? {
            0 => Mutation::Registered {
                service: keys.read(from)?,
                endpoint: endpoint(from)?,
                registration: Box::new(registration(from, clusters)?),
                health: health(from)?,
                lease: lease(from)?,
            },
            1 => Mutation::Removed {
                service: keys.read(from)?,
                endpoint: endpoint(from)?,
                reason: reason(from)?,
            },
            2 => Mutation::Measured {
                service: keys.read(from)?,
                endpoint: endpoint(from)?,
                health: health(from)?,
                marks: marks(from)?,
                reason: reason(from)?,
            },
            3 => Mutation::Declared {
                service: keys.read(from)?,
                endpoint: endpoint(from)?,
                declared: from.option(declared)?,
            },
            4 => Mutation::Operated {
                service: keys.read(from)?,
                endpoint: endpoint(from)?,
                layer: from.option(layer)?.map(Box::new),
            },
            5 => Mutation::ServiceDeclared {
                service: keys.read(from)?,
                settings: Box::new(settings(from)?),
            },
            6 => Mutation::ServiceRemoved {
                service: keys.read(from)?,
            },
            7 => Mutation::NamespaceDeclared {
                namespace: from.parsed()?,
                info: Arc::new(namespace_info(from)?),
            },
            8 => Mutation::NamespaceRemoved {
                namespace: from.parsed()?,
            },
            9 => Mutation::SettingChanged {
                name: from.parsed()?,
                value: from.option(setting_value)?,
            },
            10 => Mutation::Warmed,
            12 => {
                let service = self.keys.read(from)?;
                let shares = (0..from.count()?).map(|_| Ok((endpoint(from)?, share(from)?)));
                Mutation::Ramped {
                    service,
                    shares: shares.collect::<Result<_, DecodeError>>()?,
                }
            }
            11 => Mutation::Imported {
                service: keys.read(from)?,
                part: Box::new(match from.byte()? {
                    0 => Part::Instance(instance(from, clusters)?),
                    1 => Part::Layer(layer_piece(from)?),
                    other => return Err(unknown("the part", other)),
                }),
            },
            other => return Err(unknown("the mutation", other)),
        })
    }
}

fn put_mutation(out: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Registered {
            service,
            endpoint,
            registration,
            health,
            lease,
        } => {
            out.push(0);
            put_key(out, service);
            put_endpoint(out, endpoint);
            put_registration(out, registration);
            put_health(out, *health);
            put_lease(out, *lease);
        }
        Mutation::Removed {
            service,
            endpoint,
            reason,
        } => {
            out.push(1);
            put_key(out, service);
            put_endpoint(out, endpoint);
            put_reason(out, *reason);
        }
        Mutation::Measured {
            service,
            endpoint,
            health,
            marks,
            reason,
        } => {
            out.push(2);
            put_key(out, service);
            put_endpoint(out, endpoint);
            put_health(out, *health);
            out.push(marks.bits());
            put_reason(out, *reason);
        }
        Mutation::Declared {
            service,
            endpoint,
            declared,
        } => {
            out.push(3);
            put_key(out, service);
            put_endpoint(out, endpoint);
            put_option(out, declared.as_deref(), put_declared);
        }
        Mutation::Operated {
            service,
            endpoint,
            layer,
        } => {
            out.push(4);
            put_key(out, service);
            put_endpoint(out, endpoint);
            put_option(out, layer.as_deref(), put_layer);
        }
        Mutation::ServiceDeclared { service, settings } => {
            out.push(5);
            put_key(out, service);
            put_settings(out, settings);
        }
        Mutation::ServiceRemoved { service } => {
            out.push(6);
            put_key(out, service);
        }
        Mutation::NamespaceDeclared { namespace, info } => {
            out.push(7);
            put_text(out, namespace.as_str());
            put_namespace_info(out, info);
        }
        Mutation::NamespaceRemoved { namespace } => {
            out.push(8);
            put_text(out, namespace.as_str());
        }
        Mutation::SettingChanged { name, value } => {
            out.push(9);
            put_text(out, name.as_str());
            put_setting_value(out, value.as_deref());
        }
        Mutation::Warmed => out.push(10),
        Mutation::Ramped { service, shares } => {
            out.push(12);
            put_key(out, service);
            put_len(out, shares.len());
            for (endpoint, share) in shares {
                put_endpoint(out, endpoint);
                out.push(share.bits());
            }
        }
        Mutation::Imported { service, part } => {
            out.push(11);
            put_key(out, service);
            match &**part {
                Part::Instance(piece) => {
                    out.push(0);
                    put_instance(out, piece);
                }
                Part::Layer(piece) => {
                    out.push(1);
                    put_layer_piece(out, piece);
                }
            }
        }
    }
}

fn put_origin(out: &mut Vec<u8>, by: Origin) {
    out.push(match by.surface {
        Surface::Registry => 0,
        Surface::Native => 1,
        Surface::NacosHttp => 2,
        Surface::NacosGrpc => 3,
        Surface::Import => 4,
    });
    match by.peer {
        None => out.push(0),
        Some(peer) => {
            match peer.ip() {
                IpAddr::V4(ip) => {
                    out.push(1);
                    out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(2);
                    out.extend_from_slice(&ip.octets());
                }
            }
            out.extend_from_slice(&peer.port().to_le_bytes());
        }
    }
}

fn origin(from: &mut Reader<'_>) -> Result<Origin, DecodeError> {
    let surface = match from.byte()? {
        0 => Surface::Registry,
        1 => Surface::Native,
        2 => Surface::NacosHttp,
        3 => Surface::NacosGrpc,
        4 => Surface::Import,
        other => return Err(unknown("the surface", other)),
    };
    let ip: Option<IpAddr> = match from.byte()? {
        0 => None,
        1 => Some(from.array::<4>()?.into()),
        2 => Some(from.array::<16>()?.into()),
        other => return Err(unknown("the kind of address", other)),
    };
    let peer = match ip {
        None => None,
        Some(ip) => Some(SocketAddr::new(ip, u16::from_le_bytes(from.array()?))),
    };
    Ok(Origin { surface, peer })
}
