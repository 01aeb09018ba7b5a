//! What connections published under an address that somebody else has taken since.
//!
//! The last who says something of an address has it. But a connection that is still open has not taken back what it
//! said: when the other gives the instance up, because its connection closes, because it publishes without it, or because
//! it lived by beats and no longer does, the instance is not gone; it falls back to the latest of those who wait. Two
//! clients behind one address, and a client that also registers over HTTP, so do not remove each other.
//!
//! Whoever says goodbye to the address itself means all of them. Like connections all this goes with the process, and
//! nobody is told: the journal knows only what an instance is.
//!
//! There are no more of them than instances that open connections have published, nor than there may be instances, and
//! mostly none. Who comes when there are so many does not wait: with the one who has the address it goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Catalog;
use super::command::{Mutation, Publication};
use super::registering::Registering;
use super::sessions::Place;
use crate::model::{Endpoint, Health, Lease, Liveness, Member, Mono, Reason, Record, SessionId};

/// One that waits.
#[derive(Debug)]
struct Standby {
    session: SessionId,
    /// Of it the registration counts. Shared with views, while they are of that time.
    record: Arc<Record>,
    health: Health,
    lease: Option<Lease>,
}

/// Those who wait for one instance.
#[derive(Debug, Default)]
struct Queue {
    /// The latest last.
    waiting: Vec<Standby>,
    /// Whether the connection that has the instance has given it up. It may take a while until that is committed; then it
    /// does not wait in turn.
    given_up: bool,
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Standbys {
    /// By slot.
    at: BTreeMap<u32, Queue>,
    /// By connection and service.
    of: BTreeSet<Place>,
    /// Connections that have ended and whose instances stay for a while: they wait for nothing.
    leaving: BTreeSet<SessionId>,
}

impl Standbys {
    pub(super) fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    fn latest(&self, slot: u32) -> Option<&Standby> {
        self.at.get(&slot)?.waiting.last()
    }

    fn push(&mut self, service: u32, slot: u32, standby: Standby) {
        self.of.insert((standby.session, service, slot));
        self.at.entry(slot).or_default().waiting.push(standby);
    }

    fn drop_one(&mut self, place: Place) {
        if !self.of.remove(&place) {
            return;
        }
        let (session, _, slot) = place;
        if let Some(queue) = self.at.get_mut(&slot) {
            queue.waiting.retain(|standby| standby.session != session);
            if queue.waiting.is_empty() {
                self.at.remove(&slot);
            }
        }
    }

    /// The instance is gone for good.
    pub(super) fn drop_slot(&mut self, service: u32, slot: u32) {
        let queue = self.at.remove(&slot).unwrap_or_default();
        for standby in queue.waiting {
            self.of.remove(&(standby.session, service, slot));
        }
    }

    /// The slots that a connection waits for in one service.
    pub(super) fn within(&self, session: SessionId, service: u32) -> impl Iterator<Item = u32> {
        let all = (session, service, 0)..=(session, service, u32::MAX);
        self.of.range(all).map(|(.., slot)| *slot)
    }

    /// The connection has closed.
    pub(super) fn closed(&mut self, session: SessionId) {
        self.leaving.remove(&session);
        self.drop_session(session);
    }

    /// The connection waits for nothing any more.
    fn drop_session(&mut self, session: SessionId) {
        let all = (session, 0, 0)..=(session, u32::MAX, u32::MAX);
        while let Some(place) = self.of.range(all.clone()).next().copied() {
            self.drop_one(place);
        }
    }

    /// The connection that has the instance has given it up.
    pub(super) fn gives_up(&mut self, slot: u32) {
        if let Some(queue) = self.at.get_mut(&slot) {
            queue.given_up = true;
        }
    }

    /// Whoever has the instance said so once more.
    pub(super) fn keeps(&mut self, slot: u32) {
        if let Some(queue) = self.at.get_mut(&slot) {
            queue.given_up = false;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let waiting = self.at.values().map(|queue| queue.waiting.len());
        assert_eq!(waiting.sum::<usize>(), self.of.len());
        self.of.len()
    }

    /// Who waits for the instance, the latest last.
    #[cfg(test)]
    pub(super) fn waiting(&self, slot: u32) -> Vec<SessionId> {
        let waiting = self.at.get(&slot).into_iter().flat_map(|queue| &queue.waiting);
        waiting.map(|standby| standby.session).collect()
    }
}

/// What follows when whoever has an instance gives it up.
pub(super) enum FallsBack {
    /// It goes.
    Nobody,
    /// It is another connection's from now on, and otherwise what it was.
    Moves(SessionId),
    /// It is as that connection said.
    Registers(Vec<Mutation>),
}

impl Catalog {
    /// What becomes of an instance that is given up.
    pub(super) fn falls_back(&self, number: u32, now: Mono) -> FallsBack {
        let Some(standby) = self.standbys.latest(number) else {
            return FallsBack::Nobody;
        };
        let Some((slot, service)) = self.slot_and_service(number) else {
            return FallsBack::Nobody;
        };
        // It has the lease again that it had, unless somebody else got it meanwhile.
        let free = |lease: &Lease| {
            self.beats
                .slot_of_lease(*lease)
                .is_none_or(|holder| holder == number)
        };
        let Some(lease) = standby.lease.filter(free).or(self.cell(number).lease()) else {
            return FallsBack::Nobody;
        };
        let publication = Publication {
            endpoint: slot.endpoint.clone(),
            registration: Box::new(standby.record.registration.clone()),
            health: standby.health,
            lease,
        };
        match self.registering(service.key(), publication, false, now) {
            Ok(Registering::Moves(_, to)) => FallsBack::Moves(to),
            Ok(Registering::Changed(mutations)) => FallsBack::Registers(mutations),
            Ok(Registering::Same(_) | Registering::New(_)) | Err(_) => FallsBack::Nobody,
        }
    }

    /// The connection has ended, and its instances stay until it is closed. What it said counts for as long as nobody else
    /// says anything of them: it waits for none that another has, or takes from it.
    pub fn session_leaves(&mut self, session: SessionId) {
        self.standbys.drop_session(session);
        self.standbys.leaving.insert(session);
    }

    /// A connection no longer says anything of an instance that another has.
    pub(super) fn waits_no_longer(&mut self, session: SessionId, number: u32) {
        if let Some(index) = self.slots.get(number).map(|slot| slot.service) {
            self.standbys.drop_one((session, index, number));
        }
    }

    /// Another takes an instance, or the same once more: the connection that had it waits from now on, unless it has given
    /// it up.
    pub(super) fn take_over(&mut self, index: u32, endpoint: &Endpoint, by: &Liveness) {
        let service = self.services[index as usize].as_ref();
        let Some(member) = service.and_then(|service| service.roster.get(endpoint)) else {
            return;
        };
        let (number, had) = (member.slot, &member.record.registration.liveness);
        let displaced = match had {
            // Not one of the process before, nor of a backup.
            Liveness::Session(session) if self.sessions.leave(*session, index, number) => {
                (had != by).then(|| self.to_wait(*session, member))
            }
            _ => None,
        };
        if displaced.is_none() && self.standbys.is_empty() {
            return;
        }
        let given_up = self.standbys.at.get(&number).is_some_and(|queue| queue.given_up);
        self.standbys.keeps(number);
        if let Liveness::Session(session) = by {
            self.standbys.drop_one((*session, index, number));
        }
        let leaving = |standby: &Standby| self.standbys.leaving.contains(&standby.session);
        let room = self.standbys.of.len() < self.config.instances_max;
        if let Some(standby) = displaced.filter(|standby| room && !given_up && !leaving(standby)) {
            self.standbys.push(index, number, standby);
        }
    }

    fn to_wait(&self, session: SessionId, member: &Member) -> Standby {
        Standby {
            session,
            record: Arc::clone(&member.record),
            // One that is held down for its flaps was said to be healthy.
            health: match member.state.reason {
                Reason::Flapping => Health::Healthy,
                _ => member.state.health,
            },
            lease: self.cell(member.slot).lease(),
        }
    }
}
