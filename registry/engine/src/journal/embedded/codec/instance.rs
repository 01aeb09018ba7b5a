//! What is said and known about an instance, to bytes and back.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{InstancePiece, LayerOf, LayerPiece};
use beatrix_core::model::{
    Begun, Cluster, Declared, DeclaredStatus, Endpoint, Health, Lease, Liveness, Locality, Marks, Metadata,
    OperatorLayer, Reason, Registration, Revision, SessionId, Share, State, Timings, Wall, Weight,
};

use super::DecodeError;
use super::bytes::{Reader, put_bool, put_float, put_len, put_number, put_option, put_text, unknown};
use super::probe::{probe, put_probe};

/// Writes what names an instance.
pub fn put_endpoint(out: &mut Vec<u8>, endpoint: &Endpoint) {
    match endpoint {
        Endpoint::V4(ip, _) => {
            out.push(0);
            out.extend_from_slice(&ip.octets());
        }
        Endpoint::V6(ip, _) => {
            out.push(1);
            out.extend_from_slice(&ip.octets());
        }
        Endpoint::Name(name, _) => {
            out.push(2);
            put_text(out, name);
        }
    }
    out.extend_from_slice(&endpoint.port().to_le_bytes());
}

/// Reads what names an instance.
///
/// # Errors
/// If it is none.
pub fn endpoint(from: &mut Reader<'_>) -> Result<Endpoint, DecodeError> {
    enum Kind<'a> {
        V4([u8; 4]),
        V6([u8; 16]),
        Name(&'a str),
    }
    let kind = match from.byte()? {
        0 => Kind::V4(from.array()?),
        1 => Kind::V6(from.array()?),
        2 => Kind::Name(from.text()?),
        other => return Err(unknown("the kind of address", other)),
    };
    let port = u16::from_le_bytes(from.array()?);
    match kind {
        Kind::V4(ip) => Ok(Endpoint::V4(ip.into(), port)),
        Kind::V6(ip) => Ok(Endpoint::V6(ip.into(), port)),
        Kind::Name(name) => match Endpoint::new(name, port)? {
            endpoint @ Endpoint::Name(..) => Ok(endpoint),
            // An address that is written as a name would be another instance.
            Endpoint::V4(..) | Endpoint::V6(..) => Err(DecodeError::Malformed("a host name")),
        },
    }
}

/// Writes a lease.
pub fn put_lease(out: &mut Vec<u8>, lease: Lease) {
    out.extend_from_slice(&lease.bits().to_le_bytes());
}

/// Reads a lease.
///
/// # Errors
/// If it is none.
pub fn lease(from: &mut Reader<'_>) -> Result<Lease, DecodeError> {
    let bits = u64::from_le_bytes(from.array()?);
    Lease::from_bits(bits).ok_or(DecodeError::Malformed("a lease"))
}

/// Writes labels.
pub fn put_metadata(out: &mut Vec<u8>, metadata: &Metadata) {
    put_len(out, metadata.iter().count());
    for (key, value) in metadata {
        put_text(out, key);
        put_text(out, value);
    }
}

/// Reads labels.
///
/// # Errors
/// If they are none, or break a limit.
pub fn metadata(from: &mut Reader<'_>) -> Result<Metadata, DecodeError> {
    let count = from.count()?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push((from.text()?, from.text()?));
    }
    if !entries.is_sorted_by(|a, b| a.0 < b.0) {
        return Err(DecodeError::Malformed("metadata"));
    }
    Ok(Metadata::new(entries)?)
}

/// The clusters of one stream of records. Nearly all instances have the same; those that follow each other share it.
#[derive(Debug, Default)]
pub struct Clusters {
    last: Option<Cluster>,
}

impl Clusters {
    /// Reads a cluster's name.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(&mut self, from: &mut Reader<'_>) -> Result<Cluster, DecodeError> {
        let text = from.text()?;
        match &self.last {
            Some(last) if last.as_str() == text => Ok(last.clone()),
            _ => {
                let cluster: Cluster = text.parse()?;
                self.last = Some(cluster.clone());
                Ok(cluster)
            }
        }
    }
}

/// What a client may call an instance, and its run.
const INCARNATION: u8 = 1;
const OWN_ID: u8 = 2;

/// Writes what a client says about an instance.
pub fn put_registration(out: &mut Vec<u8>, registration: &Registration) {
    let Registration {
        cluster,
        weight,
        enabled,
        metadata,
        locality,
        liveness,
        expires,
        incarnation,
        own_id,
    } = registration;
    put_text(out, cluster.as_str());
    put_float(out, weight.get());
    put_bool(out, *enabled);
    put_metadata(out, metadata);
    put_option(out, locality.as_ref(), |out, locality| {
        put_text(out, locality.region());
        put_text(out, locality.zone());
    });
    put_liveness(out, liveness);
    put_bool(out, *expires);
    // One number for both: most have neither, and of those that were written before there was the second it says the
    // same as ever.
    let there = |there: bool, number: u8| if there { number } else { 0 };
    out.push(there(incarnation.is_some(), INCARNATION) | there(own_id.is_some(), OWN_ID));
    if let Some(incarnation) = incarnation {
        put_text(out, incarnation.as_str());
    }
    if let Some(own_id) = own_id {
        put_text(out, own_id.as_str());
    }
}

/// Reads what a client says about an instance.
///
/// # Errors
/// If it is none, or breaks a rule.
pub fn registration(from: &mut Reader<'_>, clusters: &mut Clusters) -> Result<Registration, DecodeError> {
    let mut registration = Registration {
        cluster: clusters.read(from)?,
        weight: Weight::new(from.float()?)?,
        enabled: from.bool()?,
        metadata: metadata(from)?,
        locality: from.option(locality)?,
        liveness: liveness(from)?,
        expires: from.bool()?,
        incarnation: None,
        own_id: None,
    };
    let there = from.byte()?;
    if there > INCARNATION | OWN_ID {
        return Err(unknown("what a client calls an instance", there));
    }
    if there & INCARNATION != 0 {
        registration.incarnation = Some(from.parsed()?);
    }
    if there & OWN_ID != 0 {
        registration.own_id = Some(Arc::new(from.parsed()?));
    }
    Ok(registration)
}

fn locality(from: &mut Reader<'_>) -> Result<Arc<Locality>, DecodeError> {
    let locality = Locality::new(from.text()?, from.text()?)?;
    locality.map(Arc::new).ok_or(DecodeError::Malformed("a region"))
}

fn put_liveness(out: &mut Vec<u8>, liveness: &Liveness) {
    match liveness {
        Liveness::Beat(timings) => {
            out.push(0);
            for time in [
                timings.interval(),
                timings.unhealthy_after(),
                timings.remove_after(),
            ] {
                // A time has 32 bits of milliseconds.
                put_number(out, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            }
        }
        Liveness::Session(SessionId(session)) => {
            out.push(1);
            put_number(out, *session);
        }
        Liveness::Probe(probe) => {
            out.push(2);
            put_probe(out, probe);
        }
        Liveness::Static => out.push(3),
    }
}

fn liveness(from: &mut Reader<'_>) -> Result<Liveness, DecodeError> {
    match from.byte()? {
        0 => {
            let mut time = || from.number().map(Duration::from_millis);
            Ok(Liveness::Beat(Timings::new(time()?, time()?, time()?)?))
        }
        1 => Ok(Liveness::Session(SessionId(from.number()?))),
        2 => Ok(Liveness::Probe(probe(from)?)),
        3 => Ok(Liveness::Static),
        other => Err(unknown("the liveness", other)),
    }
}

/// Writes an operator's layer.
pub fn put_layer(out: &mut Vec<u8>, layer: &OperatorLayer) {
    let OperatorLayer {
        enabled,
        weight,
        metadata,
        draining,
        sticky,
    } = layer;
    put_option(out, *enabled, put_bool);
    put_option(out, *weight, |out, weight| put_float(out, weight.get()));
    put_metadata(out, metadata);
    put_bool(out, *draining);
    put_bool(out, *sticky);
}

/// Reads an operator's layer.
///
/// # Errors
/// If it is none, or breaks a rule.
pub fn layer(from: &mut Reader<'_>) -> Result<OperatorLayer, DecodeError> {
    Ok(OperatorLayer {
        enabled: from.option(Reader::bool)?,
        weight: from.option(|from| Ok(Weight::new(from.float()?)?))?,
        metadata: metadata(from)?,
        draining: from.bool()?,
        sticky: from.bool()?,
    })
}

/// Writes an operator's layer with its place.
pub fn put_layer_piece(out: &mut Vec<u8>, piece: &LayerPiece) {
    put_endpoint(out, &piece.endpoint);
    put_layer(out, &piece.layer);
    match &piece.of {
        LayerOf::Run(None) => out.push(0),
        LayerOf::Run(Some(incarnation)) => {
            out.push(1);
            put_text(out, incarnation.as_str());
        }
        LayerOf::Next => out.push(2),
    }
}

/// Reads an operator's layer with its place.
///
/// # Errors
/// If it is none, or breaks a rule.
pub fn layer_piece(from: &mut Reader<'_>) -> Result<LayerPiece, DecodeError> {
    Ok(LayerPiece {
        endpoint: endpoint(from)?,
        layer: layer(from)?,
        of: match from.byte()? {
            0 => LayerOf::Run(None),
            1 => LayerOf::Run(Some(from.parsed()?)),
            2 => LayerOf::Next,
            other => return Err(unknown("the run of a layer", other)),
        },
    })
}

/// Writes what an instance says about itself.
pub fn put_declared(out: &mut Vec<u8>, declared: &Declared) {
    out.push(match declared.status {
        DeclaredStatus::Draining => 0,
        DeclaredStatus::Unhealthy => 1,
    });
    put_option(out, declared.reason.as_deref(), put_text);
}

/// Reads what an instance says about itself.
///
/// # Errors
/// If it is none, or breaks a rule.
pub fn declared(from: &mut Reader<'_>) -> Result<Arc<Declared>, DecodeError> {
    let status = match from.byte()? {
        0 => DeclaredStatus::Draining,
        1 => DeclaredStatus::Unhealthy,
        other => return Err(unknown("the status", other)),
    };
    let reason = from.option(Reader::text)?;
    Ok(Arc::new(Declared::new(status, reason)?))
}

/// Writes what was measured.
pub fn put_health(out: &mut Vec<u8>, health: Health) {
    out.push(match health {
        Health::Healthy => 0,
        Health::Unhealthy => 1,
    });
}

/// Reads what was measured.
///
/// # Errors
/// If it is unknown.
pub fn health(from: &mut Reader<'_>) -> Result<Health, DecodeError> {
    match from.byte()? {
        0 => Ok(Health::Healthy),
        1 => Ok(Health::Unhealthy),
        other => Err(unknown("the health", other)),
    }
}

/// Reads marks; they are written as their bits.
///
/// # Errors
/// If some are unknown.
pub fn marks(from: &mut Reader<'_>) -> Result<Marks, DecodeError> {
    let bits = from.byte()?;
    Marks::from_bits(bits).ok_or_else(|| unknown("the marks", bits))
}

/// Writes why something happened.
pub fn put_reason(out: &mut Vec<u8>, reason: Reason) {
    out.push(match reason {
        Reason::Registered => 0,
        Reason::Beat => 1,
        Reason::Silent => 2,
        Reason::Guarded => 3,
        Reason::Declared => 4,
        Reason::ProbePassed => 5,
        Reason::ProbeFailed => 6,
        Reason::Operator => 7,
        Reason::Deregistered => 8,
        Reason::Expired => 9,
        Reason::SessionClosed => 10,
        Reason::Flapping => 11,
        Reason::Steady => 12,
        Reason::Reported => 13,
    });
}

/// Reads why something happened.
///
/// # Errors
/// If it is unknown.
pub fn reason(from: &mut Reader<'_>) -> Result<Reason, DecodeError> {
    Ok(match from.byte()? {
        0 => Reason::Registered,
        1 => Reason::Beat,
        2 => Reason::Silent,
        3 => Reason::Guarded,
        4 => Reason::Declared,
        5 => Reason::ProbePassed,
        6 => Reason::ProbeFailed,
        7 => Reason::Operator,
        8 => Reason::Deregistered,
        9 => Reason::Expired,
        10 => Reason::SessionClosed,
        11 => Reason::Flapping,
        12 => Reason::Steady,
        13 => Reason::Reported,
        other => return Err(unknown("the reason", other)),
    })
}

/// Writes an instance of a checkpoint.
pub fn put_instance(out: &mut Vec<u8>, instance: &InstancePiece) {
    let InstancePiece {
        endpoint,
        lease,
        registration,
        declared,
        state,
    } = instance;
    put_endpoint(out, endpoint);
    put_lease(out, *lease);
    put_registration(out, registration);
    put_option(out, declared.as_deref(), put_declared);
    put_health(out, state.health);
    out.push(state.marks.bits());
    put_reason(out, state.reason);
    put_number(out, state.revision.0);
    put_number(out, state.since.0);
    out.push(state.share.bits());
    out.extend_from_slice(&state.begun.bits().to_le_bytes());
}

/// Reads the share of its weight that an instance gets; it is written as its bits.
///
/// # Errors
/// If there is none of this number.
pub fn share(from: &mut Reader<'_>) -> Result<Share, DecodeError> {
    let bits = from.byte()?;
    Share::from_bits(bits).ok_or_else(|| unknown("the share", bits))
}

/// Reads an instance of a checkpoint.
///
/// # Errors
/// If it is none, or breaks a rule.
pub fn instance(from: &mut Reader<'_>, clusters: &mut Clusters) -> Result<InstancePiece, DecodeError> {
    Ok(InstancePiece {
        endpoint: endpoint(from)?,
        lease: lease(from)?,
        registration: registration(from, clusters)?,
        declared: from.option(declared)?,
        state: State {
            health: health(from)?,
            marks: marks(from)?,
            reason: reason(from)?,
            revision: Revision(from.number()?),
            since: Wall(from.number()?),
            share: share(from)?,
            begun: Begun::from_bits(u32::from_le_bytes(from.array()?)),
        },
    })
}
