//! What all connections of the door share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::connection::Connection;
use super::counts::{Counters, count};
use super::fuzzy::Feed;
use super::settings::Settings;
use crate::door::Nacos;
use crate::pushed::{Pushed, ShownFrom};

/// See the module.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) nacos: Nacos,
    pub(super) settings: Settings,
    pub(super) counters: Counters,
    shown_from: ShownFrom,
    pub(super) feed: Feed,
    /// Numbers of what is to be answered. Nacos 2.x: from one counter for all connections.
    pub(super) requests: AtomicU64,
    connections: Mutex<BTreeMap<u64, Weak<Connection>>>,
    next_connection: AtomicU64,
}

/// A place in the table of connections. Dropped, it is free.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    number: u64,
}

impl Shared {
    pub(super) fn new(nacos: Nacos, settings: Settings) -> Self {
        Self {
            nacos,
            settings,
            counters: Counters::default(),
            shown_from: ShownFrom::default(),
            feed: Feed::default(),
            requests: AtomicU64::new(1),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(0),
        }
    }

    /// A number for what is to be answered.
    pub(super) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// What was pushed since the count was last set back, which is done now with `reset`.
    pub(super) fn pushed(&self, reset: bool) -> Pushed {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // In this order, so that no more are acknowledged than were sent.
        let acknowledged = read(&self.counters.acknowledged);
        let again = read(&self.counters.pushed_again);
        let sent = read(&self.counters.pushed).saturating_sub(again);
        self.shown_from.show(Pushed { sent, acknowledged }, reset)
    }

    /// Enters a connection into the table.
    pub(super) fn enter(self: &Arc<Self>, connection: &Arc<Connection>) -> Place {
        count(&self.counters.opened);
        let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
        let mut connections = self.connections.lock();
        connections.insert(number, Arc::downgrade(connection));
        Place {
            shared: Arc::clone(self),
            number,
        }
    }

    /// The connections, the first `max` of them, in the order in which they came.
    pub(super) fn connections(&self, max: usize) -> Vec<Arc<Connection>> {
        let connections = self.connections.lock();
        let open = connections.values().filter_map(Weak::upgrade);
        open.take(max).collect()
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.connections.lock().len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.connections.lock().remove(&self.number);
    }
}
