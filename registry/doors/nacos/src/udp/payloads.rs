//! What is sent: rendered once for all who are to be told the same state of the same clusters of a service.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use beatrix_core::model::{Revision, ServiceKey};
use beatrix_engine::Registry;
use bytes::Bytes;
use tokio::time::Instant;

use super::packet::packet;
use crate::v1::list::{self, Frame};

/// How long a packet is kept for others who are to be told the same. A push wakes all of them at once.
const KEPT: Duration = Duration::from_secs(1);

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
    /// By service; few services are asked for in more than one form.
    made: HashMap<ServiceKey, Vec<(String, Payload)>>,
    kept_until: Option<Instant>,
    next_id: u64,
    logged: HashSet<ServiceKey>,
}

impl Payloads {
    /// Numbers begin at the wall clock's microseconds: they grow over restarts as well, so that a late acknowledgement
    /// is never taken for another packet's; and Node, whose numbers are exact below 2^53, can send them back.
    pub(super) fn new(registry: Registry) -> Self {
        let next_id = registry.wall().0.saturating_mul(1_000);
        Self {
            registry,
            made: HashMap::new(),
            kept_until: None,
            next_id,
            logged: HashSet::new(),
        }
    }

    /// The packet for somebody. `None` if not all instances may be known: clients take a list at its word.
    pub(super) fn get(&mut self, wanted: Wanted<'_>, now: Instant) -> Option<Payload> {
        let made = self.made.get(wanted.service).into_iter().flatten();
        let same = made
            .filter(|(clusters, _)| clusters == wanted.clusters)
            .map(|(_, payload)| payload)
            .find(|payload| payload.revision >= wanted.revision && payload.made >= wanted.since);
        if let Some(payload) = same {
            return Some(payload.clone());
        }
        let payload = self.render(wanted, now)?;
        let made = self.made.entry(wanted.service.clone()).or_default();
        made.retain(|(clusters, _)| clusters != wanted.clusters);
        made.push((wanted.clusters.to_owned(), payload.clone()));
        self.kept_until.get_or_insert(now + KEPT);
        Some(payload)
    }

    /// Forgets packets that nobody is likely to share any more.
    pub(super) fn forget_due(&mut self, now: Instant) {
        if self.kept_until.is_some_and(|until| until <= now) {
            self.made = HashMap::new();
            self.kept_until = None;
        }
    }

    pub(super) fn next_forget(&self) -> Option<Instant> {
        self.kept_until
    }

    fn render(&mut self, wanted: Wanted<'_>, now: Instant) -> Option<Payload> {
        let Wanted {
            service, clusters, ..
        } = wanted;
        let (revision, hosts) = match self.registry.view(service.borrowed()) {
            Some(view) if view.complete => (
                view.revision.max(wanted.revision),
                list::hosts(&self.registry, &view, clusters, false),
            ),
            None if self.registry.complete() => (wanted.revision, Vec::new()),
            _ => return None,
        };
        let data = list::around(
            service.borrowed(),
            Frame::Pushed,
            clusters,
            hosts,
            self.registry.wall(),
        );
        let data = String::from_utf8(data.concat()).expect("JSON of text is UTF-8");
        let id = self.next_id;
        self.next_id += 1;
        let bytes = packet(&data, id);
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
