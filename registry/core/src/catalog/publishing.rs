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
use super::standby::FallsBack;

/// What a connection's wish comes to. Nothing of it is done before all of it is sure.
#[derive(Debug, Default)]
struct Plan {
    mutations: Vec<Mutation>,
    /// Who goes over to which connection without a mutation.
    moves: Vec<(u32, SessionId)>,
    /// What the connection gives up for another that waits for it.
    given_up: Vec<u32>,
    /// What it waits for and names no more.
    unwanted: Vec<u32>,
    /// What it has and says once more.
    renewed: Vec<u32>,
    /// How many instances go, and come.
    leaving: usize,
    new: usize,
}

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
        let mut plan = Plan::default();
        let unnamed = |number: &u32| {
            let slot = self.slots.get(*number);
            slot.is_none_or(|slot| !instances.contains_key(&slot.endpoint))
        };
        // First those that go: they make room, and who takes the place of another is not new among the old.
        let had = index
            .into_iter()
            .flat_map(|index| self.sessions.within(session, index));
        for number in had.filter(unnamed) {
            self.plan_leaving(number, Reason::Deregistered, now, &mut plan);
        }
        let waited = index
            .into_iter()
            .flat_map(|index| self.standbys.within(session, index));
        plan.unwanted = waited.filter(unnamed).collect();
        for publication in instances.into_values() {
            match self.registering(service, publication, true, now)? {
                Registering::Same(number) => plan.renewed.push(number),
                Registering::Moves(number, to) => plan.moves.push((number, to)),
                Registering::New(registered) => {
                    plan.new += 1;
                    plan.mutations.push(registered);
                }
                Registering::Changed(mutations) => plan.mutations.extend(mutations),
            }
        }
        if plan.new > 0 {
            let found = self.service(service.borrowed()).map(|(_, found)| found);
            self.check_limits(found, plan.new, reserved, plan.leaving)?;
        }
        for number in std::mem::take(&mut plan.unwanted) {
            self.waits_no_longer(session, number);
        }
        Ok(self.carry_out(plan, now))
    }

    /// All that the connection has goes, or falls to another that waits for it.
    pub(super) fn decide_close_session(&mut self, session: SessionId, now: Mono) -> Decision {
        let mut plan = Plan::default();
        for number in self.sessions.of(session) {
            self.plan_leaving(number, Reason::SessionClosed, now, &mut plan);
        }
        self.standbys.closed(session);
        self.carry_out(plan, now)
    }

    fn plan_leaving(&self, number: u32, reason: Reason, now: Mono, plan: &mut Plan) {
        let falls_back = self.falls_back(number, now);
        if !matches!(falls_back, FallsBack::Nobody) {
            plan.given_up.push(number);
        }
        match falls_back {
            FallsBack::Moves(to) => plan.moves.push((number, to)),
            FallsBack::Registers(mutations) => plan.mutations.extend(mutations),
            FallsBack::Nobody => {
                if let Some((slot, service)) = self.slot_and_service(number) {
                    plan.leaving += 1;
                    plan.mutations.push(Mutation::Removed {
                        service: service.key().clone(),
                        endpoint: slot.endpoint.clone(),
                        reason,
                    });
                }
            }
        }
    }

    /// Does at once what needs no mutation.
    fn carry_out(&mut self, plan: Plan, now: Mono) -> Decision {
        for number in plan.given_up {
            self.standbys.gives_up(number);
        }
        for (number, to) in plan.moves {
            self.hand_over(number, to);
        }
        for number in plan.renewed {
            self.renew(number, now);
        }
        Decision::of(plan.mutations)
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
