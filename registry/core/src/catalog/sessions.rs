//! Which instances live by which connection.
//!
//! One ordered set for all: what a connection has in one service stands side by side in it, and there may be very many
//! connections of one instance each.

use std::collections::BTreeSet;

use crate::model::SessionId;

/// The instances of each connection, by service and slot.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeSet<(SessionId, u32, u32)>);

impl Sessions {
    pub(super) fn enter(&mut self, session: SessionId, service: u32, slot: u32) {
        self.0.insert((session, service, slot));
    }

    /// Returns whether it was there.
    pub(super) fn leave(&mut self, session: SessionId, service: u32, slot: u32) -> bool {
        self.0.remove(&(session, service, slot))
    }

    /// The slots of all that a connection has.
    pub(super) fn of(&self, session: SessionId) -> impl Iterator<Item = u32> {
        let all = (session, 0, 0)..=(session, u32::MAX, u32::MAX);
        self.0.range(all).map(|(.., slot)| *slot)
    }

    /// The slots of what it has in one service.
    pub(super) fn within(&self, session: SessionId, service: u32) -> impl Iterator<Item = u32> {
        let all = (session, service, 0)..=(session, service, u32::MAX);
        self.0.range(all).map(|(.., slot)| *slot)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, u32, u32)> {
        self.0.iter().copied()
    }
}
