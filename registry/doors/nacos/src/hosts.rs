//! Instances as Nacos lists them.
//!
//! Hosts are rendered by chunk and kept there: of a changed view only the chunk that changed is rendered anew, and
//! lists share the bytes. Each host begins with a comma, so that any chunks can follow one another; the list takes
//! the first comma off.
//!
//! The weight of a listed host is the one to balance by, as clients do: while an instance is new in a service with a slow
//! start it is less than what was set.
//!
//! A host is listed if callers may use it: neither disabled nor draining. The order of hosts and of the members in
//! them is always the same, since the Python subscriber compares the text.

use std::io::Write;

use beatrix_core::catalog::{Chunk, View};
use beatrix_core::model::{Endpoint, Liveness, Member, ServiceKey, Timings};
use beatrix_engine::formats::{NACOS, NACOS_PROTECTED};
use bytes::Bytes;

use crate::instance::EPHEMERAL;
use crate::metadata::{self, BEAT_INTERVAL, BEAT_TIMEOUT, DELETE_TIMEOUT, ID_GENERATOR};
use crate::service::grouped_name;

/// The generator that Nacos takes where none is named.
const SIMPLE: &str = "simple";
/// The generator that makes unique numbers.
const SNOWFLAKE: &str = "snowflake";

/// Which health is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// What was measured.
    Measured,
    /// All are called healthy: too few are, and callers shall not all go to those.
    Protected,
}

/// Renders the hosts of one service.
#[derive(Debug)]
pub(crate) struct Hosts<'a> {
    key: &'a ServiceKey,
    /// `group@@service` as the inside of a JSON string.
    grouped: String,
    defaults: Timings,
}

impl<'a> Hosts<'a> {
    /// Hosts of the service `key`; `defaults` are the times of those that name none.
    pub(crate) fn new(key: &'a ServiceKey, defaults: Timings) -> Self {
        Self {
            key,
            grouped: inside(&grouped_name(key.borrowed())),
            defaults,
        }
    }

    /// All hosts that callers may use, in pieces that together are the members of a JSON array.
    pub(crate) fn all(&self, view: &View, health: Shown) -> Vec<Bytes> {
        let pieces = view.chunks().iter().map(|chunk| self.chunk(chunk, health));
        let mut pieces: Vec<Bytes> = pieces.filter(|piece| !piece.is_empty()).collect();
        if let Some(first) = pieces.first_mut() {
            *first = first.slice(1..);
        }
        pieces
    }

    /// Those of them that `wanted` lets through.
    pub(crate) fn some(&self, view: &View, health: Shown, wanted: impl Fn(&Member) -> bool) -> Bytes {
        let usable = view.members().filter(|member| listed(member) && wanted(member));
        self.members(usable, health, Member::effective_weight)
    }

    /// Any instances, as the members of a JSON array, for those who look at them one by one: with the weight that was
    /// set. A console that is shown another one would set that.
    pub(crate) fn these<'m>(&self, members: impl Iterator<Item = &'m Member>, health: Shown) -> Bytes {
        self.members(members, health, |member| member.record.weight().get())
    }

    fn members<'m>(
        &self,
        members: impl Iterator<Item = &'m Member>,
        health: Shown,
        weight: impl Fn(&Member) -> f64,
    ) -> Bytes {
        let mut json = Vec::new();
        for member in members {
            self.host(&mut json, member, health, weight(member));
        }
        let after_comma = 1.min(json.len());
        Bytes::from(json).slice(after_comma..)
    }

    fn chunk(&self, chunk: &Chunk, health: Shown) -> Bytes {
        let format = match health {
            Shown::Measured => NACOS,
            Shown::Protected => NACOS_PROTECTED,
        };
        chunk.renders().get(format, || {
            let mut json = Vec::with_capacity(chunk.members().len() * 512);
            for member in chunk.members().iter().filter(|member| listed(member)) {
                self.host(&mut json, member, health, member.effective_weight());
            }
            json.shrink_to_fit();
            json.into()
        })
    }

    fn host(&self, json: &mut Vec<u8>, member: &Member, health: Shown, weight: f64) {
        let Member { endpoint, record, .. } = member;
        let metadata = record.metadata();
        let cluster = record.cluster();
        // Addresses and clusters have no character that JSON would escape.
        put(
            json,
            format_args!(",{{\"instanceId\":\"{}\"", self.instance_id(member)),
        );
        put(
            json,
            format_args!(",\"ip\":\"{}\",\"port\":{}", endpoint.address(), endpoint.port()),
        );
        put(json, format_args!(",\"weight\":{}", with_point(weight)));
        put(
            json,
            format_args!(
                ",\"healthy\":{},\"enabled\":{}",
                health == Shown::Protected || member.healthy(),
                record.enabled()
            ),
        );
        put(
            json,
            format_args!(",\"ephemeral\":{}", is_ephemeral(&record.registration.liveness)),
        );
        put(
            json,
            format_args!(
                ",\"clusterName\":\"{cluster}\",\"serviceName\":\"{}\"",
                self.grouped
            ),
        );
        json.extend_from_slice(b",\"metadata\":{");
        for (place, (key, value)) in metadata.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            string(json, key);
            json.push(b':');
            string(json, value);
        }
        let [interval, timeout, delete] = self.times_ms(member);
        put(json, format_args!("}},\"instanceHeartBeatInterval\":{interval}"));
        put(
            json,
            format_args!(",\"instanceHeartBeatTimeOut\":{timeout},\"ipDeleteTimeout\":{delete}"),
        );
        // Nacos: absent if there is metadata that does not name it.
        let generator = if metadata.is_empty() {
            Some(SIMPLE)
        } else {
            metadata.get(ID_GENERATOR)
        };
        if let Some(generator) = generator {
            json.extend_from_slice(b",\"instanceIdGenerator\":");
            string(json, generator);
        }
        json.push(b'}');
    }

    /// The id as the inside of a JSON string. Nacos: what the client says, or else made by the generator that is named at
    /// registration.
    pub(crate) fn instance_id(&self, member: &Member) -> String {
        if let Some(own) = &member.record.registration.own_id {
            return inside(own.as_str());
        }
        let (endpoint, cluster) = (&member.endpoint, member.record.cluster());
        let grouped = &self.grouped;
        match member.record.registration.metadata.get(ID_GENERATOR) {
            Some(SNOWFLAKE) => format!("{}#{cluster}#{grouped}", self.number(endpoint)),
            _ => simple_id(endpoint, cluster.as_str(), grouped),
        }
    }

    /// A number that stands for the instance: unique as far as it goes, the same after a restart and on every node.
    /// Nacos counts snowflakes instead, and so gives another number with every registration. FNV-1a.
    fn number(&self, endpoint: &Endpoint) -> u64 {
        let name = format!("{}/{endpoint}", self.key);
        let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        // Positive in Java's long.
        hash >> 1
    }

    /// Interval and both timeouts: those that the registry keeps, or what the metadata says if it keeps none.
    fn times_ms(&self, member: &Member) -> [u64; 3] {
        let (timings, metadata) = match &member.record.registration.liveness {
            Liveness::Beat(timings) => (*timings, None),
            Liveness::Session(_) | Liveness::Probe(_) | Liveness::Static => {
                (self.defaults, Some(member.record.metadata()))
            }
        };
        [
            (BEAT_INTERVAL, timings.interval()),
            (BEAT_TIMEOUT, timings.unhealthy_after()),
            (DELETE_TIMEOUT, timings.remove_after()),
        ]
        .map(|(key, time)| {
            let kept = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            metadata
                .and_then(|metadata| metadata::millis(metadata, key))
                .unwrap_or(kept)
        })
    }
}

/// What Nacos calls ephemeral: it goes by itself when its client does.
pub(crate) fn is_ephemeral(liveness: &Liveness) -> bool {
    EPHEMERAL.contains(&liveness.kind())
}

/// Whether callers may use it. Nacos hides disabled instances; a draining one is hidden like them.
pub(crate) fn listed(member: &Member) -> bool {
    member.record.enabled() && !member.record.draining()
}

/// Text as a JSON string.
pub(crate) fn string(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("a vector takes all that is written");
}

/// The id that is made of what an instance is called.
pub(crate) fn simple_id(endpoint: &Endpoint, cluster: &str, grouped: &str) -> String {
    format!("{}#{}#{cluster}#{grouped}", endpoint.address(), endpoint.port())
}

/// Text as the inside of a JSON string.
fn inside(text: &str) -> String {
    let mut quoted = Vec::new();
    string(&mut quoted, text);
    let inside = quoted[1..quoted.len() - 1].to_vec();
    String::from_utf8(inside).expect("JSON of text is UTF-8")
}

/// A weight with a decimal point: the C++ client takes no integer for it.
fn with_point(weight: f64) -> String {
    let text = format!("{weight:?}");
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    }
}

fn put(json: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    json.write_fmt(text).expect("a vector takes all that is written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_has_a_decimal_point() {
        for (number, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.5, "0.5"),
            (10_000.0, "10000.0"),
            (1e-7, "1.0e-7"),
            (1.5e-7, "1.5e-7"),
        ] {
            assert_eq!(with_point(number), text);
            assert_eq!(text.parse::<f64>().unwrap(), number);
        }
    }
}
