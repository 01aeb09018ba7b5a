//! The mass-expiry guards at work: one for each service and one for the registry.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::liveness::{FORCE_MAX, GuardReading, Streak, Verdict};
use crate::model::{Health, Marks, Mono, Reason, ServiceKey};

use super::Catalog;
use super::command::Mutation;
use super::decide::Decision;
use super::refusal::Refusal;
use super::service::Service;
use super::slots::{Maybe, Phase};

/// What the guard of a service, or (`None`) of the whole registry came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuardEvent {
    /// It began to hold.
    Holds(Option<ServiceKey>),
    /// It holds because an operator said so.
    Forced(Option<ServiceKey>),
    /// It ended.
    Ended(Option<ServiceKey>),
}

/// Who had a guard hold or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuardBy {
    /// How many are silent, and how many there are.
    Shares,
    /// Its time was over.
    Time,
    /// An operator.
    Operator,
}

/// What a guard came to, with what it then knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardTurn {
    /// What it came to.
    pub event: GuardEvent,
    /// By whom.
    pub by: GuardBy,
    /// As it stood then: an ended one as it stood before its end.
    pub reading: GuardReading,
}

impl GuardEvent {
    /// Whose guard it is; `None` for the registry's.
    #[must_use]
    pub fn scope(&self) -> Option<&ServiceKey> {
        match self {
            Self::Holds(scope) | Self::Forced(scope) | Self::Ended(scope) => scope.as_ref(),
        }
    }
}

impl Catalog {
    /// Counts all who fell silent in this turn, then judges: so that of those who fall together none is flipped
    /// before the guard has seen them all.
    pub(super) fn judge(&mut self, fell: &[u32], now: Mono, mutations: &mut Vec<Mutation>) -> Vec<GuardTurn> {
        // Where guards do not act by themselves one may yet hold by an operator's hand.
        if !self.config.guard.enabled && self.holding.is_empty() && !self.guard.holding() {
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
                // A suspect that falls again after its guard let go is marked already.
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
        let mut turns = Vec::new();
        for index in scopes {
            let Some(service) = self.services[index as usize].as_mut() else {
                self.holding.remove(&index);
                continue;
            };
            let population = service.population.watched(now, &self.config.guard);
            let before = service.guard().read(population, now, &self.config.guard);
            let verdict = service.guard().judge(population, now, &self.config.guard);
            let reading = service.guard().read(population, now, &self.config.guard);
            let key = service.key().clone();
            match verdict {
                Verdict::Open | Verdict::Holds => {}
                Verdict::Trips => {
                    self.holding.insert(index);
                    mutations.extend(self.protect(index, now));
                    turns.push(GuardTurn::trips(Some(key), reading));
                }
                Verdict::Ends => {
                    self.holding.remove(&index);
                    if !self.guard.holding() {
                        self.let_go(index, now);
                    }
                    turns.push(GuardTurn::ends(Some(key), before, now));
                }
            }
        }
        if !fell.is_empty() || self.guard.holding() {
            let before = self.guard.read(self.watched(now), now, &self.config.guard);
            match self.guard.judge(self.watched(now), now, &self.config.guard) {
                Verdict::Open | Verdict::Holds => {}
                Verdict::Trips => {
                    mutations.extend(self.protect_all(now));
                    let reading = self.guard.read(self.watched(now), now, &self.config.guard);
                    turns.push(GuardTurn::trips(None, reading));
                }
                Verdict::Ends => {
                    for index in self.service_indexes() {
                        if !self.holding.contains(&index) {
                            self.let_go(index, now);
                        }
                    }
                    turns.push(GuardTurn::ends(None, before, now));
                }
            }
        }
        self.forced_next = self.first_forced_end();
        turns
    }

    /// Has the guard hold by an operator's hand, in one service or (`None`) in the whole registry, for so long or
    /// [`FORCE_MAX`], whichever is less. Returns what is to be committed: those who were flipped within the window
    /// before are protected as well.
    ///
    /// # Errors
    /// If there is no such service.
    pub fn force_guard(
        &mut self,
        service: Option<&ServiceKey>,
        lasts: Duration,
        now: Mono,
    ) -> Result<(Vec<Mutation>, GuardTurn), Refusal> {
        let until = now.after(lasts.min(FORCE_MAX));
        let config = &self.config.guard;
        let (mut mutations, reading) = match service {
            Some(key) => {
                let (index, _) = self
                    .service(key.borrowed())
                    .ok_or_else(|| Refusal::ServiceNotFound(key.clone()))?;
                let Some(service) = self.services[index as usize].as_mut() else {
                    return Err(Refusal::ServiceNotFound(key.clone()));
                };
                let population = service.population.watched(now, &self.config.guard);
                service.guard().force(until, now);
                let reading = service.guard().read(population, now, config);
                self.holding.insert(index);
                (self.protect(index, now), reading)
            }
            None => {
                self.guard.force(until, now);
                let reading = self.guard.read(self.watched(now), now, config);
                (self.protect_all(now), reading)
            }
        };
        self.forced_next = Some(self.forced_next.map_or(until, |next| next.min(until)));
        let turn = GuardTurn {
            event: GuardEvent::Forced(service.cloned()),
            by: GuardBy::Operator,
            reading,
        };
        self.keep_reported(&mut mutations);
        Ok((mutations, turn))
    }

    /// Ends the guard by an operator's hand, in one service or (`None`) everywhere. Returns those that held.
    pub fn end_guard(&mut self, service: Option<&ServiceKey>, now: Mono) -> Vec<GuardTurn> {
        let mut turns = Vec::new();
        let mut ended = |scope: Option<ServiceKey>, reading: GuardReading| {
            turns.push(GuardTurn {
                event: GuardEvent::Ended(scope),
                by: GuardBy::Operator,
                reading,
            });
        };
        let indexes: Vec<u32> = match service {
            Some(key) => self
                .service(key.borrowed())
                .map(|(index, _)| index)
                .into_iter()
                .collect(),
            None => self.service_indexes(),
        };
        let reading = self.guard.read(self.watched(now), now, &self.config.guard);
        let everywhere = service.is_none() && self.guard.release(now, &self.config.guard);
        if everywhere {
            ended(None, reading);
        }
        for index in indexes {
            let Some(service) = self.services[index as usize].as_mut() else {
                continue;
            };
            let (key, population) = (
                service.key().clone(),
                service.population.watched(now, &self.config.guard),
            );
            let held = service.guard.as_mut().and_then(|guard| {
                let reading = guard.read(population, now, &self.config.guard);
                guard.release(now, &self.config.guard).then_some(reading)
            });
            self.holding.remove(&index);
            if (held.is_some() || everywhere) && !self.guard.holding() {
                self.let_go(index, now);
            }
            if let Some(reading) = held {
                ended(Some(key), reading);
            }
        }
        self.forced_next = self.first_forced_end();
        turns
    }

    /// When the first forced guard ends. Looks at all that hold.
    fn first_forced_end(&self) -> Option<Mono> {
        let services = self.holding.iter().filter_map(|index| {
            let service = self.services[*index as usize].as_ref()?;
            service.guard.as_deref()?.forced_until()
        });
        services.chain(self.guard.forced_until()).min()
    }

    /// How many the registry's guard measures the silent against.
    pub(super) fn watched(&self, now: Mono) -> u32 {
        self.population.watched(now, &self.config.guard)
    }

    /// The registry's guard.
    #[must_use]
    pub fn registry_guard(&self, now: Mono) -> GuardReading {
        self.guard.read(self.watched(now), now, &self.config.guard)
    }

    /// The guards that hold in a service, in no order that means anything.
    pub fn service_guards(&self, now: Mono) -> impl Iterator<Item = (&ServiceKey, GuardReading)> {
        self.holding.iter().filter_map(move |index| {
            let service = self.services[*index as usize].as_ref()?;
            let guard = service.guard.as_deref()?;
            Some((
                service.key(),
                guard.read(
                    service.population.watched(now, &self.config.guard),
                    now,
                    &self.config.guard,
                ),
            ))
        })
    }

    /// In how many services a guard of their own holds.
    #[must_use]
    pub fn services_guarded(&self) -> usize {
        self.holding.len()
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
        match counted {
            true => self.population.include(&service.population),
            false => self.population.exclude(&service.population),
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
                // What silence alone said is taken back; what the instance said itself is not, nor that it has yet to
                // be well for a while.
                health: if member.record.unwell() || self.flaps.is_down(member.slot) {
                    Health::Unhealthy
                } else {
                    Health::Healthy
                },
                marks: self
                    .flap_mark(member.slot, now)
                    .and(self.marks_by_now(member.slot, member.state.marks))
                    .with(Marks::SUSPECT, true),
                reason: Reason::Guarded,
            })
            .collect()
    }

    /// The same in all services in which no guard of their own holds already.
    fn protect_all(&self, now: Mono) -> Vec<Mutation> {
        let services = self.service_indexes().into_iter();
        services
            .filter(|index| !self.holding.contains(index))
            .flat_map(|index| self.protect(index, now))
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
            slot.streak = Streak::default();
            self.probes.doubt_anew(number);
            self.cell(number).restart(now);
            self.arm(number);
        }
    }
}

impl GuardTurn {
    fn trips(scope: Option<ServiceKey>, reading: GuardReading) -> Self {
        Self {
            event: GuardEvent::Holds(scope),
            by: GuardBy::Shares,
            reading,
        }
    }

    fn ends(scope: Option<ServiceKey>, reading: GuardReading, now: Mono) -> Self {
        let over = reading.until.is_some_and(|until| until <= now);
        Self {
            event: GuardEvent::Ended(scope),
            by: if over { GuardBy::Time } else { GuardBy::Shares },
            reading,
        }
    }
}
