//! What is sent: rendered once for all who are to be told the same state of the same clusters of a service.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use beatrix_core::model::{Revision, ServiceKey};
use beatrix_engine::Registry;
use bytes::Bytes;
use tokio::time::Instant;

use super::packet::packet;
use crate::limits::UDP_PACKETS_BYTES_MAX;
use crate::listing::{self, Filter, Found, Frame};
use crate::switches::Kept;

/// How long a packet is kept for others who are to be told the same. A push wakes all of them at once.
const KEPT: Duration = Duration::from_secs(1);

/// What a packet that is kept costs besides its bytes, about.
const ENTRY_BYTES: usize = 1_024;

/// How many services are remembered as too large, so that this is logged once. Of more only the number is counted.
const LOGGED_MAX: usize = 1_000;

/// What one is to be told.
#[derive(Debug, Clone)]
pub(super) struct Payload {
    /// What acknowledgements name.
    pub(super) id: u64,
    /// The state that it tells.
    pub(super) revision: Revision,
    /// `None` if it fits no datagram.
    pub(super) bytes: Option<Bytes>,
    /// When it was rendered.
    made: Instant,
}

/// Whom a packet is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) service: &'a ServiceKey,
    /// As the request named them.
    pub(super) clusters: &'a str,
    /// It must tell this state or a later one.
    pub(super) revision: Revision,
    /// It must not be older than this. Java logs a warning when it is told a `lastRefTime` from before its list, so
    /// newcomers do not get what was rendered for others earlier.
    pub(super) since: Instant,
}

/// The packets of the last moments.
#[derive(Debug)]
pub(super) struct Payloads {
    registry: Registry,
    switches: Kept,
    /// By service and clusters.
    made: HashMap<ServiceKey, HashMap<String, Payload>>,
    /// How many bytes are in there, about.
    made_bytes: usize,
    kept_until: Option<Instant>,
    next_id: u64,
    rendered: u64,
    logged: HashSet<ServiceKey>,
}

impl Payloads {
    /// Numbers begin at the wall clock's microseconds: they grow over restarts as well, so that a late acknowledgement
    /// is never taken for another packet's; and Node, whose numbers are exact below 2^53, can send them back.
    pub(super) fn new(registry: Registry) -> Self {
        let next_id = registry.wall().0.saturating_mul(1_000);
        Self {
            registry,
            switches: Kept::default(),
            made: HashMap::new(),
            made_bytes: 0,
            kept_until: None,
            next_id,
            rendered: 0,
            logged: HashSet::new(),
        }
    }

    /// The packet for somebody. `None` if not all instances may be known, since clients take a list at its word; and
    /// while a switch says that nothing is pushed.
    pub(super) fn get(&mut self, wanted: Wanted<'_>, now: Instant) -> Option<Payload> {
        let made = self.made.get(wanted.service);
        if let Some(payload) = made.and_then(|made| made.get(wanted.clusters))
            && payload.revision >= wanted.revision
            && payload.made >= wanted.since
        {
            return Some(payload.clone());
        }
        let payload = self.render(wanted, now)?;
        self.keep(wanted, payload.clone(), now);
        Some(payload)
    }

    fn keep(&mut self, wanted: Wanted<'_>, payload: Payload, now: Instant) {
        let Wanted {
            service, clusters, ..
        } = wanted;
        let bytes =
            |payload: &Payload| ENTRY_BYTES + clusters.len() + payload.bytes.as_ref().map_or(0, Bytes::len);
        if self.made_bytes + bytes(&payload) > UDP_PACKETS_BYTES_MAX {
            self.forget();
        }
        self.made_bytes += bytes(&payload);
        let made = self.made.entry(service.clone()).or_default();
        if let Some(before) = made.insert(clusters.to_owned(), payload) {
            self.made_bytes -= bytes(&before);
        }
        self.kept_until.get_or_insert(now + KEPT);
    }

    fn forget(&mut self) {
        self.made = HashMap::new();
        self.made_bytes = 0;
        self.kept_until = None;
    }

    /// How many packets were made so far, other than by looking them up.
    pub(super) fn rendered(&self) -> u64 {
        self.rendered
    }

    /// Forgets packets that nobody is likely to share any more.
    pub(super) fn forget_due(&mut self, now: Instant) {
        if self.kept_until.is_some_and(|until| until <= now) {
            self.forget();
        }
    }

    pub(super) fn next_forget(&self) -> Option<Instant> {
        self.kept_until
    }

    fn render(&mut self, wanted: Wanted<'_>, now: Instant) -> Option<Payload> {
        let Wanted {
            service, clusters, ..
        } = wanted;
        let switches = self.switches.current(&self.registry);
        if !switches.push_enabled {
            return None;
        }
        let filter = Filter {
            clusters,
            healthy_only: false,
        };
        let (revision, found) = match self.registry.view(service.borrowed()) {
            Some(view) if view.complete => (
                view.revision.max(wanted.revision),
                listing::of_view(&self.registry, &view, filter),
            ),
            None if self.registry.complete() => (wanted.revision, Found::default()),
            _ => return None,
        };
        self.rendered += 1;
        let frame = Frame::Pushed {
            cache_millis: switches.push_cache_millis,
        };
        let list = listing::around(service.borrowed(), frame, clusters, found, self.registry.wall());
        let id = self.next_id;
        self.next_id += 1;
        let bytes = packet(&list, id);
        self.log(service, bytes.as_ref().err());
        Some(Payload {
            id,
            revision,
            bytes: bytes.ok(),
            made: now,
        })
    }

    /// Logs that a service is too large, once until it is not any more.
    fn log(&mut self, service: &ServiceKey, error: Option<&super::packet::TooLarge>) {
        match error {
            None => {
                self.logged.remove(service);
            }
            Some(error) if self.logged.len() < LOGGED_MAX && self.logged.insert(service.clone()) => {
                tracing::warn!(%service, %error, "a list is too large for UDP push; its subscribers learn of changes when they poll");
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use beatrix_engine::journal::Memory;
    use beatrix_engine::random::Random;
    use beatrix_engine::{EngineConfig, RegistryBuilder};

    use super::*;

    async fn payloads() -> Payloads {
        let random = Random::from_seed(1);
        let journal = Memory::new(random.epoch());
        let builder = RegistryBuilder::new(EngineConfig::default(), random);
        Payloads::new(builder.start(journal).await.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn packets_are_kept_up_to_a_bound_and_for_a_moment() {
        let mut payloads = payloads().await;
        let now = Instant::now();
        let mut most = 0;
        for number in 0..1_000_u64 {
            let service = format!("public/g/s{}", number / 20).parse().unwrap();
            let wanted = Wanted {
                service: &service,
                clusters: &format!("c{number}"),
                revision: Revision(1),
                since: now,
            };
            let payload = Payload {
                id: number,
                revision: Revision(1),
                bytes: Some(vec![0; 65_507].into()),
                made: now,
            };
            // The second time it takes the place of the first.
            payloads.keep(wanted, payload.clone(), now);
            payloads.keep(wanted, payload, now);
            let held = payloads.made.values().flat_map(HashMap::values);
            let held: usize = held
                .filter_map(|payload| payload.bytes.as_ref())
                .map(Bytes::len)
                .sum();
            assert!(held <= payloads.made_bytes && payloads.made_bytes <= UDP_PACKETS_BYTES_MAX);
            most = most.max(held);
            // It can be shared with the next who asks.
            assert_eq!(payloads.get(wanted, now).unwrap().id, number);
        }
        assert!(most > UDP_PACKETS_BYTES_MAX / 2, "{most}");
        payloads.forget_due(now + KEPT);
        assert_eq!((payloads.made.len(), payloads.made_bytes), (0, 0));
    }
}
