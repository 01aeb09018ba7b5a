//! The mass-expiry guards at work: one for each service and one for the registry.

use std::collections::BTreeSet;

use crate::liveness::Verdict;
use crate::model::{Health, Marks, Mono, Reason, ServiceKey};

use super::Catalog;
use super::command::Mutation;
use super::decide::Decision;
use super::service::Service;
use super::slots::{Maybe, Phase};

/// What the guard came to in one turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardEvent {
    /// It began to hold, in a service or (`None`) in the whole registry.
    Holds(Option<ServiceKey>),
    /// It ended.
    Ended(Option<ServiceKey>),
}

impl Catalog {
    /// Counts all who fell silent in this turn, then judges: so that of those who fall together none is flipped
    /// before the guard has seen them all.
    pub(super) fn judge(
        &mut self,
        fell: &[u32],
        now: Mono,
        mutations: &mut Vec<Mutation>,
    ) -> Vec<GuardEvent> {
        if !self.config.guard.enabled {
            return Vec::new();
        }
        let part = self.config.guard.part(now);
        let mut scopes: BTreeSet<u32> = self.holding.clone();
        for number in fell {
            let Some(slot) = self.slots.get_mut(*number) else {
                continue;
            };
            // Each silence counts once: not again if it could not be committed, nor that of a suspect who falls again
            // after the guard let go.
            if slot.fell.get().is_none() {
                slot.fell = Maybe::some(part);
                // A suspect from before a restart is marked already.
                let marked = slot.phase != Phase::Live;
                let index = slot.service;
                for guard in self.guards_of(index) {
                    guard.silent(part);
                    if marked {
                        guard.settled();
                    }
                }
                scopes.insert(index);
            }
        }
        let mut events = Vec::new();
        for index in scopes {
            let Some(service) = self.services[index as usize].as_mut() else {
                self.holding.remove(&index);
                continue;
            };
            let population = service.beating;
            let verdict = service.guard().judge(population, now, &self.config.guard);
            let key = service.key().clone();
            match verdict {
                Verdict::Open | Verdict::Holds => {}
                Verdict::Trips => {
                    self.holding.insert(index);
                    mutations.extend(self.protect(index, now));
                    events.push(GuardEvent::Holds(Some(key)));
                }
                Verdict::Ends => {
                    self.holding.remove(&index);
                    if !self.guard.holding() {
                        self.let_go(index, now);
                    }
                    events.push(GuardEvent::Ended(Some(key)));
                }
            }
        }
        if !fell.is_empty() || self.guard.holding() {
            match self.guard.judge(self.beating, now, &self.config.guard) {
                Verdict::Open | Verdict::Holds => {}
                Verdict::Trips => {
                    for index in self.service_indexes() {
                        if !self.holding.contains(&index) {
                            mutations.extend(self.protect(index, now));
                        }
                    }
                    events.push(GuardEvent::Holds(None));
                }
                Verdict::Ends => {
                    for index in self.service_indexes() {
                        if !self.holding.contains(&index) {
                            self.let_go(index, now);
                        }
                    }
                    events.push(GuardEvent::Ended(None));
                }
            }
        }
        events
    }

    /// Ends the guard by an operator's hand, in one service or (`None`) everywhere. Returns whether it held.
    pub fn end_guard(&mut self, service: Option<&ServiceKey>, now: Mono) -> bool {
        let indexes: Vec<u32> = match service {
            Some(key) => self
                .service(key.borrowed())
                .map(|(index, _)| index)
                .into_iter()
                .collect(),
            None => self.service_indexes(),
        };
        let everywhere = service.is_none() && self.guard.release(now, &self.config.guard);
        let mut held = everywhere;
        for index in indexes {
            let Some(service) = self.services[index as usize].as_mut() else {
                continue;
            };
            let here = service
                .guard
                .as_mut()
                .is_some_and(|guard| guard.release(now, &self.config.guard));
            held |= here;
            self.holding.remove(&index);
            if (here || everywhere) && !self.guard.holding() {
                self.let_go(index, now);
            }
        }
        held
    }

    /// The services in which a guard of their own holds, and whether the registry's does.
    pub fn guarded(&self) -> (bool, impl Iterator<Item = &ServiceKey>) {
        let services = self
            .holding
            .iter()
            .filter_map(|index| self.services[*index as usize].as_ref());
        (self.guard.holding(), services.map(Service::key))
    }

    /// How many instances the guard protects.
    #[must_use]
    pub fn suspects(&self) -> u32 {
        self.suspects
    }

    /// The service is spared from now on, or no longer: the registry's guard lets go of those of it whom it counts, or
    /// counts them. Looks at all instances of a service in which somebody ever was silent.
    pub(super) fn count_in_registry(&mut self, index: u32, counted: bool) {
        let Some(service) = self.services[index as usize].as_ref() else {
            return;
        };
        if counted {
            self.beating += service.beating;
        } else {
            self.beating -= service.beating;
        }
        let Some(own) = service.guard.as_deref() else {
            return;
        };
        for slot in service
            .roster
            .iter()
            .filter_map(|member| self.slots.get(member.slot))
        {
            let open = slot.phase == Phase::Live;
            match slot.fell.get() {
                Some(fell) if counted => self.guard.joined(fell, open),
                Some(fell) => {
                    self.guard.no_longer_silent(fell);
                    if open {
                        self.guard.settled();
                    }
                }
                None => {}
            }
            if slot.phase == Phase::Suspect {
                self.guard.count_suspect(counted);
            }
        }
        self.guard.count_lost_of(own, counted);
    }

    fn service_indexes(&self) -> Vec<u32> {
        self.directory.values().copied().collect()
    }

    /// Whether a guard holds for this instance.
    pub(super) fn held(&self, number: u32) -> bool {
        self.guard.holding()
            || !self.holding.is_empty()
                && self
                    .slots
                    .get(number)
                    .is_some_and(|slot| self.holding.contains(&slot.service))
    }

    /// Those of a service who were flipped within the window before the guard began to hold are protected as well.
    fn protect(&self, index: u32, now: Mono) -> Vec<Mutation> {
        let Some(service) = self.services[index as usize].as_ref() else {
            return Vec::new();
        };
        let earliest = self.config.guard.part(now).saturating_sub(15);
        let members = service.roster.iter().filter(|member| {
            self.slots.get(member.slot).is_some_and(|slot| {
                slot.phase == Phase::Silent && slot.fell.get().is_some_and(|fell| fell >= earliest)
            })
            // One that beat since is returning already.
            && self.decide_returned(member.slot, now) == Decision::Nothing
        });
        members
            .map(|member| Mutation::Measured {
                service: service.key().clone(),
                endpoint: member.endpoint.clone(),
                // What silence alone said is taken back; what the instance said itself is not.
                health: if member.record.unwell() {
                    Health::Unhealthy
                } else {
                    Health::Healthy
                },
                marks: self
                    .marks_by_now(member.slot, member.state.marks)
                    .with(Marks::SUSPECT, true),
                reason: Reason::Guarded,
            })
            .collect()
    }

    /// The silence of those whom the guard protected begins anew: none is flipped for the time that it held.
    fn let_go(&mut self, index: u32, now: Mono) {
        let Some(service) = self.services[index as usize].as_ref() else {
            return;
        };
        let held: Vec<u32> = service.roster.iter().map(|member| member.slot).collect();
        for number in held {
            let Some(slot) = self.slots.get_mut(number) else {
                continue;
            };
            if slot.phase == Phase::Live {
                continue;
            }
            slot.restarted = now;
            self.cell(number).restart(now);
            self.arm(number);
        }
    }
}
