//! What a connection has in a service, said as a whole, and what goes when it closes.
//!
//! Nacos 2.x: a connection has one publication in a service, one instance or a batch of them, and each takes the place of
//! the one before.

use std::collections::BTreeMap;

use crate::model::{Endpoint, Liveness, Mono, Reason, ServiceKey, SessionId};

use super::Catalog;
use super::command::{Mutation, Publication};
use super::decide::Decision;
use super::refusal::Refusal;
use super::registering::Registering;

impl Catalog {
    /// From now on the connection has exactly these instances in the service.
    pub(super) fn decide_publish(
        &mut self,
        service: &ServiceKey,
        session: SessionId,
        instances: Vec<Publication>,
        reserved: usize,
        now: Mono,
    ) -> Result<Decision, Refusal> {
        debug_assert!(
            instances
                .iter()
                .all(|publication| publication.registration.liveness == Liveness::Session(session)),
            "a connection publishes what lives by it"
        );
        // Of those with one name the last counts.
        let instances: BTreeMap<Endpoint, Publication> = instances
            .into_iter()
            .map(|publication| (publication.endpoint.clone(), publication))
            .collect();
        let index = self.service(service.borrowed()).map(|(index, _)| index);
        // First those that go: they make room, and who takes the place of another is not new among the old.
        let had = index
            .into_iter()
            .flat_map(|index| self.sessions.within(session, index));
        let had = had.filter_map(|number| Some(&self.slots.get(number)?.endpoint));
        let mut mutations: Vec<_> = had
            .filter(|endpoint| !instances.contains_key(endpoint))
            .map(|endpoint| Mutation::Removed {
                service: service.clone(),
                endpoint: endpoint.clone(),
                reason: Reason::Deregistered,
            })
            .collect();
        let (leaving, mut new, mut moves) = (mutations.len(), 0, Vec::new());
        for publication in instances.into_values() {
            match self.registering(service, publication, true, now)? {
                Registering::Same => {}
                Registering::Moves(number, session) => moves.push((number, session)),
                Registering::New(registered) => {
                    new += 1;
                    mutations.push(registered);
                }
                Registering::Changed(changed) => mutations.extend(changed),
            }
        }
        if new > 0 {
            let found = self.service(service.borrowed()).map(|(_, found)| found);
            self.check_limits(found, new, reserved, leaving)?;
        }
        // It is not refused any more.
        for (number, session) in moves {
            self.hand_over(number, session);
        }
        Ok(Decision::of(mutations))
    }

    /// All that the connection has goes.
    pub(super) fn decide_close_session(&self, session: SessionId) -> Decision {
        let gone = self
            .instances_of(session)
            .map(|(service, endpoint)| Mutation::Removed {
                service: service.clone(),
                endpoint: endpoint.clone(),
                reason: Reason::SessionClosed,
            });
        Decision::of(gone.collect())
    }

    /// All that a connection has.
    pub fn instances_of(&self, session: SessionId) -> impl Iterator<Item = (&ServiceKey, &Endpoint)> {
        self.sessions.of(session).filter_map(|number| {
            let (slot, service) = self.slot_and_service(number)?;
            Some((service.key(), &slot.endpoint))
        })
    }

    /// What it has in a service.
    pub fn published_by<'a>(
        &'a self,
        service: &ServiceKey,
        session: SessionId,
    ) -> impl Iterator<Item = &'a Endpoint> {
        let index = self.service(service.borrowed()).map(|(index, _)| index);
        let slots = index
            .into_iter()
            .flat_map(move |index| self.sessions.within(session, index));
        slots.filter_map(|number| Some(&self.slots.get(number)?.endpoint))
    }
}
