//! Who was told to be unhealthy, and when first.
//!
//! A delta says what is new. A subscriber that is too far behind for one gets a snapshot instead, which says again
//! what he may know already. So each instance counts once, with the first push that has it unhealthy.

use std::collections::HashMap;

use beatrix_tests::sse::Event;
use beatrix_wire::watch::SNAPSHOT;
use beatrix_wire::{Health, Instance};
use tokio::time::Instant;

use crate::fleet::Fleet;

/// The first push that had an instance unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flip {
    /// Which instance of the fleet.
    pub(crate) number: u64,
    /// When the registry says that it flipped, in milliseconds since the Unix epoch.
    pub(crate) since_ms: u64,
    /// When that push arrived.
    pub(crate) at: Instant,
}

/// Counts flips by searching text, while the next push is waited for: to read all that it says would delay it. What
/// is told twice counts twice, so the count may be too high, but never too low.
#[derive(Debug, Default)]
pub(crate) struct Rough(HashMap<String, u64>);

impl Rough {
    pub(crate) fn note(&mut self, event: &Event) {
        let told = event.data.matches("\"health\":\"unhealthy\"").count() as u64;
        let service = between(&event.data, "\"service\":\"", "\"");
        let known = self.0.entry(service.to_owned()).or_default();
        *known = if event.name == SNAPSHOT {
            told.max(*known)
        } else {
            told + *known
        };
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.values().sum()
    }
}

/// Reads all pushes; each of the fleet's instances that flipped is in the answer once.
pub(crate) fn flips(fleet: &Fleet, pushes: &[Event]) -> Vec<Flip> {
    let mut seen = vec![false; usize::try_from(fleet.instances).unwrap_or(usize::MAX)];
    let mut flips = Vec::new();
    for event in pushes {
        for instance in instances(event) {
            let Some(number) = number(&instance.address) else {
                continue;
            };
            let place = usize::try_from(number).ok().and_then(|it| seen.get_mut(it));
            let Some(seen) = place.filter(|seen| !**seen && instance.health == Health::Unhealthy) else {
                continue;
            };
            *seen = true;
            flips.push(Flip {
                number,
                since_ms: instance.since_ms,
                at: event.at,
            });
        }
    }
    flips
}

fn instances(event: &Event) -> Vec<Instance> {
    let delta = event.delta().map(|it| it.upserted);
    delta
        .or_else(|| event.snapshot().map(|it| it.instances))
        .unwrap_or_default()
}

/// The number of the instance with this address, the reverse of [`Fleet::ip`].
fn number(ip: &str) -> Option<u64> {
    let ip: std::net::Ipv4Addr = ip.parse().ok()?;
    let [_, a, b, c] = ip.octets();
    Some(u64::from(u32::from_be_bytes([0, a, b, c])))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(found, _)| found)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use beatrix_wire::watch::DELTA;
    use serde_json::{Value, json};

    use super::*;

    const FLEET: Fleet = Fleet {
        instances: 3,
        per_service: 3,
    };

    fn instance(number: u64, health: &str) -> Value {
        json!({
            "address": Fleet::ip(number), "port": 8080, "cluster": "DEFAULT", "weight": 1.0, "enabled": true,
            "metadata": {}, "liveness": "beat", "health": health, "serving": true, "reason": "silent",
            "since_ms": 7, "revision": 1,
        })
    }

    fn event(name: &str, at: Instant, members: &Value) -> Event {
        let mut data = json!({
            "namespace": "public", "group": "g", "service": "load-0", "epoch": "e", "revision": 2, "complete": true,
            "from_revision": 1, "removed": [],
        });
        for (key, value) in members.as_object().into_iter().flatten() {
            data[key] = value.clone();
        }
        Event {
            name: name.to_owned(),
            id: String::new(),
            data: data.to_string(),
            at,
        }
    }

    #[test]
    fn a_flip_counts_once_whether_a_delta_or_a_snapshot_tells_it() {
        let start = Instant::now();
        let late = start + Duration::from_secs(1);
        let pushes = [
            event(DELTA, start, &json!({"upserted": [instance(1, "unhealthy")]})),
            event(
                SNAPSHOT,
                late,
                &json!({"instances": [instance(0, "healthy"), instance(1, "unhealthy"), instance(2, "unhealthy")]}),
            ),
        ];
        let flips = flips(&FLEET, &pushes);
        let told: Vec<_> = flips.iter().map(|it| (it.number, it.since_ms, it.at)).collect();
        assert_eq!(told, [(1, 7, start), (2, 7, late)]);

        let mut rough = Rough::default();
        for event in &pushes {
            rough.note(event);
        }
        assert_eq!(rough.count(), 2);
    }

    #[test]
    fn a_number_comes_back_from_its_address() {
        for wanted in [0, 255, 256, 99_999, 4_999_999] {
            assert_eq!(number(&Fleet::ip(wanted)), Some(wanted));
        }
    }
}
