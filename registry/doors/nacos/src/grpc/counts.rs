//! What this door has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted while it happens.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) opened: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) pushed: AtomicU64,
    pub(super) pushed_again: AtomicU64,
    pub(super) acknowledged: AtomicU64,
}

/// What the door has done since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Connections that are open now.
    pub connections: usize,
    /// Connections that were opened.
    pub opened: u64,
    /// Connections that were one too many.
    pub refused: u64,
    /// Connections that the registry ended by itself: who was silent, did not read, or was not set up in time.
    pub dropped: u64,
    /// Requests that came.
    pub requests: u64,
    /// Requests that were answered with a failure.
    pub failed: u64,
    /// Lists that were pushed.
    pub pushed: u64,
    /// Those of them that were pushed again, since they were not acknowledged.
    pub pushed_again: u64,
    /// Pushes that were acknowledged.
    pub acknowledged: u64,
}

impl Counters {
    pub(super) fn counts(&self, connections: usize) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections,
            opened: read(&self.opened),
            refused: read(&self.refused),
            dropped: read(&self.dropped),
            requests: read(&self.requests),
            failed: read(&self.failed),
            pushed: read(&self.pushed),
            pushed_again: read(&self.pushed_again),
            acknowledged: read(&self.acknowledged),
        }
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
