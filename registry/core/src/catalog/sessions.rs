//! Which instances live by which connection.
//!
//! One ordered set for all: what a connection has in one service stands side by side in it, and there may be very many
//! connections of one instance each.
//!
//! That an instance goes over to another connection is no change: a client that reconnects and says the same again causes
//! no revision and no push. The journal is not told either, since connections die with the process.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Catalog;
use crate::model::{Endpoint, Liveness, SessionId};

/// What a connection has to do with an instance: by connection, service and slot.
pub(super) type Place = (SessionId, u32, u32);

/// The instances of each connection.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeSet<Place>);

impl Sessions {
    pub(super) fn enter(&mut self, session: SessionId, service: u32, slot: u32) {
        self.0.insert((session, service, slot));
    }

    /// Returns whether it was there.
    pub(super) fn leave(&mut self, session: SessionId, service: u32, slot: u32) -> bool {
        self.0.remove(&(session, service, slot))
    }

    /// Whether it is there: the connection is of this process, and has not closed.
    pub(super) fn has(&self, session: SessionId, service: u32, slot: u32) -> bool {
        self.0.contains(&(session, service, slot))
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
    pub(super) fn iter(&self) -> impl Iterator<Item = Place> {
        self.0.iter().copied()
    }
}

impl Catalog {
    /// Whether the instance of a slot lives by a connection that is open.
    pub(super) fn is_held_open(&self, number: u32) -> bool {
        self.at_slot(number)
            .is_some_and(|(slot, _, member)| match member.record.registration.liveness {
                Liveness::Session(session) => self.sessions.has(session, slot.service, number),
                _ => false,
            })
    }

    /// The instance lives by another connection from now on, and is otherwise what it was.
    pub(super) fn hand_over(&mut self, number: u32, to: SessionId) {
        let Some((index, endpoint)) = self
            .slots
            .get(number)
            .map(|slot| (slot.service, slot.endpoint.clone()))
        else {
            return;
        };
        self.take_over(index, &endpoint, &Liveness::Session(to));
        let service = self.services[index as usize].as_mut();
        if let Some(member) = service.and_then(|service| service.roster.get_mut(&endpoint)) {
            Arc::make_mut(&mut member.record).registration.liveness = Liveness::Session(to);
            self.sessions.enter(to, index, number);
        }
    }

    /// The instance no longer lives by the connection that it did, if it did by one.
    pub(super) fn leave_session(&mut self, index: u32, endpoint: &Endpoint) {
        let service = self.services[index as usize].as_ref();
        let Some(member) = service.and_then(|service| service.roster.get(endpoint)) else {
            return;
        };
        if let Liveness::Session(session) = member.record.registration.liveness {
            self.sessions.leave(session, index, member.slot);
        }
    }
}
