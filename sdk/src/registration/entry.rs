//! One registration in the book.

use std::sync::Arc;
use std::time::Duration;

use beatrix_wire::DeclaredStatus;
use tokio::sync::watch;
use tokio::time::Instant;

use super::instance::Prepared;

/// What the owner of a registration can see of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// The registry has it, as far as is known.
    pub(super) held: bool,
    pub(super) lease: Option<String>,
    /// It is over: deregistered, or another registration took its place.
    pub(super) closed: bool,
    /// The number of the last status that was set.
    pub(super) status_set: u64,
    /// The number of the last status that was delivered.
    pub(super) status_delivered: u64,
}

impl Seen {
    pub(super) fn has_nothing_to_deliver(&self) -> bool {
        self.closed || self.status_delivered >= self.status_set
    }
}

/// The state of one registration. It belongs to the book, which decides; this knows how to change and show itself.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) instance: Arc<Prepared>,
    /// Held while a registration or deregistration of the instance is under way, so that there is one at a time.
    pub(super) gate: Arc<tokio::sync::Mutex<()>>,
    pub(super) phase: Phase,
    pub(super) lease: Option<Lease>,
    /// A registration was sent whose outcome is not known: the lease may be another one by now.
    pub(super) doubtful: bool,
    /// It was registered at least once.
    pub(super) was_registered: bool,
    /// When to beat next; counts only while the entry is held and has a lease.
    pub(super) due: Instant,
    pub(super) status: Option<(DeclaredStatus, Option<String>)>,
    /// Also holds which status was set and delivered last.
    pub(super) seen: watch::Sender<Seen>,
}

/// What the registry gave at the last registration.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) id: String,
    pub(super) cluster_id: String,
    pub(super) interval: Duration,
}

/// Where a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its owner waits for the first registration.
    Registering,
    /// The registry has it.
    Held,
    /// The registry does not know it; to be registered again at this time.
    Lost { retry_at: Instant, attempts: u32 },
    /// It is being registered again.
    Recovering { attempts: u32 },
    /// It is being deregistered, or another entry took its place.
    Closed,
}

impl Entry {
    pub(super) fn interval(&self) -> Duration {
        self.lease.as_ref().map_or(Duration::ZERO, |lease| lease.interval)
    }

    pub(super) fn undelivered(&self) -> Option<(DeclaredStatus, Option<String>)> {
        let seen = self.seen.borrow();
        self.status
            .clone()
            .filter(|_| seen.status_delivered < seen.status_set)
    }

    /// Counts a status that is to be delivered.
    pub(super) fn count_status(&self) {
        self.seen.send_modify(|seen| seen.status_set += 1);
    }

    pub(super) fn delivered(&self, number: u64) {
        self.seen.send_if_modified(|seen| {
            let is_more = seen.status_delivered < number;
            seen.status_delivered = seen.status_delivered.max(number);
            is_more
        });
    }

    pub(super) fn lose(&mut self, now: Instant) {
        self.phase = Phase::Lost {
            retry_at: now,
            attempts: 0,
        };
        self.show();
    }

    pub(super) fn close(&mut self) {
        self.phase = Phase::Closed;
        self.show();
    }

    pub(super) fn show(&self) {
        let (held, closed) = (self.phase == Phase::Held, self.phase == Phase::Closed);
        let lease = self.lease.as_ref().map(|lease| lease.id.clone());
        self.seen.send_modify(|seen| {
            seen.held = held;
            seen.closed = closed;
            seen.lease = lease;
        });
    }
}
