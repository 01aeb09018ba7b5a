//! The handle: list requests subscribe by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use beatrix_engine::Registry;
use beatrix_engine::hub::{Parting, Subscribe};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::book::Book;
use super::driver::Driver;
use super::leases::{Leases, Told};
use super::ready::Ready;
use super::sockets::Datagrams;
use crate::pushed::{Pushed, ShownFrom};

/// Pushes changes to the clients of Nacos 1.x. A clone is the same pusher.
#[derive(Debug, Clone)]
pub struct Pusher(Arc<Shared>);

/// What list requests and the one task behind them share. Locks: the leases', and under it the hub's; the book's and
/// that of the news alone.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) registry: Registry,
    pub(super) leases: Mutex<Leases>,
    pub(super) book: Mutex<Book>,
    pub(super) ready: Arc<Ready>,
    pub(super) counters: Counters,
    shown_from: ShownFrom,
}

/// What the pusher counts while it runs.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) resent: AtomicU64,
    pub(super) acknowledged: AtomicU64,
    pub(super) given_up: AtomicU64,
    pub(super) too_large: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// What the pusher has done since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Subscriptions that there are now.
    pub subscriptions: usize,
    /// Datagrams that were sent, for the first time each.
    pub sent: u64,
    /// Datagrams that were sent again, since nobody acknowledged them in time.
    pub resent: u64,
    /// Datagrams that were acknowledged.
    pub acknowledged: u64,
    /// How often nothing was acknowledged for so long that no more is sent, until the client is heard of.
    pub given_up: u64,
    /// Datagrams that were not sent, since they would have been too large.
    pub too_large: u64,
    /// Attempts to send that the system refused.
    pub failed: u64,
    /// Subscriptions that were refused, since there are too many, at all or of other clusters or at one address.
    pub refused: u64,
}

impl Counters {
    fn refuse(&self) {
        if self.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                "too many subscriptions for UDP push; those beyond learn of changes when they poll"
            );
        }
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

impl Pusher {
    /// A pusher, and what it does all the time: to be run as one task. That ends when the registry has stopped and the
    /// last changes are sent.
    pub fn new<D: Datagrams>(
        registry: Registry,
        datagrams: D,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let shared = Arc::new(Shared {
            registry,
            leases: Mutex::default(),
            book: Mutex::default(),
            ready: Arc::default(),
            counters: Counters::default(),
            shown_from: ShownFrom::default(),
        });
        let driver = Driver::new(Arc::clone(&shared), datagrams);
        (Self(shared), driver.run())
    }

    /// Subscribes for the time that it `lasts`, or prolongs the subscription. A new one is told the whole at once.
    ///
    /// That there are too many is no error: the client polls on.
    pub(super) fn subscribe(&self, told: Told, lasts: Duration) {
        let Shared {
            registry,
            leases,
            ready,
            counters,
            ..
        } = &*self.0;
        // Held until the subscription stands: two requests at once make one.
        let mut leases = leases.lock();
        if let Some(renewed) = leases.renew(&told, lasts, Instant::now()) {
            if renewed.changed {
                registry.hub().describe(renewed.id, told.peer);
            }
            drop(leases);
            if renewed.refused {
                counters.refuse();
            }
            if renewed.was_silent {
                // What changed after his list was made and before this must not be lost.
                ready.woken(renewed.id);
            }
            return;
        }
        let wish = Subscribe {
            services: vec![told.service.clone()],
            name: format!("{} (nacos-udp)", told.target),
            // A drain waits for it, up to its deadline. That its lease ends is no acknowledgement: nobody knows whether
            // it goes on with the list that it has.
            acks: true,
            parting: Parting::Lost,
            since: None,
            peer: Some(Arc::clone(&told.peer)),
        };
        let subscription = if leases.have_room_for(&told) {
            registry.hub().subscribe(wish).ok()
        } else {
            None
        };
        match subscription {
            Some(subscription) => {
                let service = told.service.clone();
                leases.begin(subscription.id(), told, lasts, Instant::now());
                drop(leases);
                ready.arrived(subscription, service);
            }
            None => {
                drop(leases);
                counters.refuse();
            }
        }
    }

    /// What it has done since the count was last set back, which is done now with `reset`.
    pub(crate) fn pushed(&self, reset: bool) -> Pushed {
        let counters = &self.0.counters;
        let now = Pushed {
            acknowledged: counters.acknowledged.load(Ordering::Relaxed),
            sent: counters.sent.load(Ordering::Relaxed),
        };
        self.0.shown_from.show(now, reset)
    }

    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters {
            sent,
            resent,
            acknowledged,
            given_up,
            too_large,
            failed,
            refused,
        } = &self.0.counters;
        Counts {
            subscriptions: self.0.leases.lock().len(),
            sent: read(sent),
            resent: read(resent),
            acknowledged: read(acknowledged),
            given_up: read(given_up),
            too_large: read(too_large),
            failed: read(failed),
            refused: read(refused),
        }
    }
}
