//! A number of places for probes, and the line of those who wait for one.
//!
//! Whoever stands in a line stands in no queue: somebody has to call the next one up. That is done whenever a place comes
//! free, and whenever one who was called up goes without taking it. So a line that is not empty always has somebody before
//! it, in the queue or in flight, and never stands still.

use std::collections::BTreeSet;

use crate::model::Mono;

/// Places, and who waits for them: each slot once, those first who are due longest.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) in_flight: usize,
    waiting: BTreeSet<(Mono, u32)>,
}

impl Line {
    pub(super) fn has_room(&self, max: usize) -> bool {
        self.in_flight < max
    }

    pub(super) fn wait(&mut self, due: Mono, slot: u32) {
        self.waiting.insert((due, slot));
    }

    /// It waits no longer, without having been called up.
    pub(super) fn leave(&mut self, due: Mono, slot: u32) {
        self.waiting.remove(&(due, slot));
    }

    /// The next, if there is room for one.
    pub(super) fn call_up(&mut self, max: usize) -> Option<(Mono, u32)> {
        if !self.has_room(max) {
            return None;
        }
        self.waiting.pop_first()
    }

    /// Whether nobody is in it and nobody waits for it.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
