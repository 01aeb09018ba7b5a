//! Instances that flap: what one that proves well is called, and when one that was held down, or flapped, is steady.
//!
//! Decisions carry the mark, so that it means the same on every node and after a restart. The score behind it is kept
//! by `apply`, from what was committed and happened to this process: how long before the restart something was is not
//! known, so what is replayed brings back the marks and no flips.

use crate::liveness::FlapReading;
use crate::model::{Health, Marks, Member, Mono, Reason, Registration, State};

use super::Catalog;
use super::command::Mutation;
use super::due::{DUE_MAX, LOOK_AGAIN};
use super::service::Service;
use super::slots::Phase;

impl Catalog {
    /// How many instances are called flapping.
    #[must_use]
    pub fn flapping(&self) -> usize {
        self.flaps.marked()
    }

    /// Of how many instances a score of their flips is kept.
    #[must_use]
    pub fn flaps_tracked(&self) -> usize {
        self.flaps.len()
    }

    /// How the instance of a slot flaps; `None` if it has not flipped lately.
    #[must_use]
    pub fn flap_reading(&self, slot: u32, now: Mono) -> Option<FlapReading> {
        self.flaps.read(slot, now, &self.config.flap)
    }

    /// The mark of one that flaps, or none.
    pub(super) fn flap_mark(&self, slot: u32, now: Mono) -> Marks {
        let flaps = self.flaps.flaps(slot, now, &self.config.flap);
        Marks::NONE.with(Marks::FLAPPING, flaps)
    }

    /// The mark of one that is to be called unhealthy now. Most never flipped before, and are not searched for.
    pub(super) fn mark_if_flipped(&self, slot: u32, now: Mono) -> Marks {
        if !self.flaps.would_flap(slot, now, &self.config.flap) {
            return Marks::NONE;
        }
        let flips = self
            .at_slot(slot)
            .is_some_and(|(.., member)| member.state.health == Health::Healthy);
        if flips {
            Marks::FLAPPING
        } else {
            self.flap_mark(slot, now)
        }
    }

    /// What one is called that proves well: healthy, unless it says itself that it is not, or flaps and has not been
    /// well for long enough.
    pub(super) fn well(
        &self,
        member: &Member,
        unwell: bool,
        good: Reason,
        now: Mono,
    ) -> (Health, Marks, Reason) {
        let mark = self.flap_mark(member.slot, now);
        if unwell {
            (Health::Unhealthy, mark, Reason::Declared)
        } else if !mark.is_empty() && member.state.health == Health::Unhealthy {
            (Health::Unhealthy, mark, Reason::Flapping)
        } else {
            (Health::Healthy, mark, good)
        }
    }

    /// What the end of a time changes for those that flap: one that was well for long enough is called healthy, and one
    /// that has not flipped for long is steady again. Of very many the first; the others in the next turn.
    pub(super) fn end_flaps(&mut self, now: Mono, mutations: &mut Vec<Mutation>) {
        for _ in 0..DUE_MAX {
            let Some(slot) = self.flaps.take_due(now, LOOK_AGAIN) else {
                return;
            };
            mutations.extend(self.steadied(slot, now));
        }
    }

    fn steadied(&self, number: u32, now: Mono) -> Option<Mutation> {
        let config = &self.config.flap;
        let reading = self.flaps.read(number, now, config)?;
        let (slot, service, member) = self.at_slot(number)?;
        let state = &member.state;
        let (health, marks, reason) = match reading.held_until {
            Some(until) if now < until || !self.is_well(number, now) || self.is_unheard(number) => {
                return None;
            }
            Some(_) if member.record.unwell() => {
                (Health::Unhealthy, self.flap_mark(number, now), Reason::Declared)
            }
            // Whether it flaps still is now up to its score alone.
            Some(_) => {
                let flaps = reading.score >= config.steady_below;
                let marks = Marks::NONE.with(Marks::FLAPPING, flaps);
                (Health::Healthy, marks, Reason::Steady)
            }
            None if state.health == Health::Unhealthy || reading.flapping => return None,
            None => {
                let reason = if state.suspect() {
                    state.reason
                } else {
                    Reason::Steady
                };
                let marks = self.marks_by_now(number, state.marks);
                (state.health, marks.with(Marks::FLAPPING, false), reason)
            }
        };
        Some(Mutation::Measured {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            health,
            marks,
            reason,
        })
    }

    /// Whether one that is held down is well at this very moment. A probe that fails ends the hold when it does.
    fn is_well(&self, number: u32, now: Mono) -> bool {
        let Some(slot) = self.slots.get(number) else {
            return false;
        };
        let overdue = self
            .last_sign(number)
            .and_then(|last| slot.deadline(last))
            .is_some_and(|deadline| deadline <= now);
        slot.phase == Phase::Live && !overdue
    }

    /// Keeps the score of one that was measured, or said something about itself. `before` is what it was called.
    pub(super) fn note_flap(&mut self, number: u32, before: State, after: State, now: Mono) {
        let marked = after.marks.has(Marks::FLAPPING);
        if self.flaps.is_empty() && !marked && after.health == Health::Healthy {
            return;
        }
        let config = &self.config.flap;
        let flapped = matches!(
            after.reason,
            Reason::Silent | Reason::ProbeFailed | Reason::Declared
        );
        // All that is replayed after a start comes at this one moment.
        if now <= self.opened {
            if marked {
                self.flaps.restore(number, now, config);
            }
        } else if (before.health, after.health) == (Health::Healthy, Health::Unhealthy) && flapped {
            let flaps = marked || self.flaps.would_flap(number, now, config);
            self.flaps.flipped(number, flaps, now, config);
        } else if after.reason == Reason::Guarded && before.health != after.health {
            self.flaps.taken_back(number);
        }
        if after.reason == Reason::Flapping {
            self.flaps.hold(number, now, config);
        } else if after.health == Health::Unhealthy {
            self.flaps.interrupt(number);
        } else {
            self.flaps.healthy(number, marked, config);
        }
    }

    /// An instance is known from elsewhere to flap, or not to: from before a restart, or from a backup. What score it had
    /// is not known. Returns its marks, without that one if flaps are not kept of it.
    pub(super) fn restore_flaps(&mut self, number: u32, state: &State, now: Mono) -> Marks {
        let config = &self.config.flap;
        if state.marks.has(Marks::FLAPPING) {
            self.flaps.restore(number, now, config);
            match (state.health, state.reason) {
                (Health::Healthy, _) => self.flaps.healthy(number, true, config),
                // It has to be well for a whole time again.
                (Health::Unhealthy, Reason::Flapping) => self.flaps.hold(number, now, config),
                (Health::Unhealthy, _) => {}
            }
        } else {
            self.flaps.forget(number);
        }
        let kept = self.flaps.read(number, now, config).is_some();
        state
            .marks
            .with(Marks::FLAPPING, kept && state.marks.has(Marks::FLAPPING))
    }

    /// What it means for one that flaps that it says something else about itself from now on: what comes before that,
    /// and what after it.
    pub(super) fn flaps_by_saying(
        &self,
        service: &Service,
        member: &Member,
        unwell: bool,
        now: Mono,
    ) -> (Option<Mutation>, Option<Mutation>) {
        let (state, slot) = (&member.state, member.slot);
        let mark = self.flap_mark(slot, now);
        let unheard = self.marks_by_now(slot, Marks::UNCONFIRMED);
        let unhealthy = |marks: Marks, reason| unhealthy(service, member, marks.and(unheard), reason);
        let said = state.health == Health::Unhealthy && state.reason == Reason::Declared;
        if !unwell {
            // Before it takes back what it said, or it would be healthy in between.
            let held = said && !mark.is_empty();
            return (held.then(|| unhealthy(mark, Reason::Flapping)), None);
        }
        let mark = match state.health {
            Health::Healthy => self.mark_if_flipped(slot, now),
            Health::Unhealthy if self.flaps.is_held(slot) => mark,
            Health::Unhealthy => Marks::NONE,
        };
        let flaps = (!mark.is_empty()).then(|| unhealthy(mark, Reason::Declared));
        (None, flaps)
    }

    /// What follows on the registration of one that flaps, is not healthy, and registers again: it goes on to. If it
    /// registers as not healthy, it has not been well for that time, and has to prove itself first.
    pub(super) fn flaps_still(
        &self,
        service: &Service,
        member: &Member,
        registration: &Registration,
        health: Health,
        now: Mono,
    ) -> Option<Mutation> {
        let mark = self.flap_mark(member.slot, now);
        let flaps = !mark.is_empty()
            && member.state.health == Health::Unhealthy
            && inherits_flaps(&member.record.registration, registration);
        let reason = match health {
            Health::Healthy => Reason::Flapping,
            Health::Unhealthy if self.flaps.is_held(member.slot) => Reason::Registered,
            Health::Unhealthy => return None,
        };
        flaps.then(|| unhealthy(service, member, mark, reason))
    }

    /// The mark that an instance keeps when it registers again. What is another run of a process, or lives in another
    /// way, does not inherit the flaps of the one before.
    pub(super) fn inherited_mark(&mut self, number: u32, registration: &Registration) -> Marks {
        let inherited = self.at_slot(number).map(|(.., member)| {
            let inherits = inherits_flaps(&member.record.registration, registration);
            (inherits, member.state.marks.has(Marks::FLAPPING))
        });
        match inherited {
            Some((true, marked)) => Marks::NONE.with(Marks::FLAPPING, marked),
            _ => {
                self.flaps.forget(number);
                Marks::NONE
            }
        }
    }
}

fn unhealthy(service: &Service, member: &Member, marks: Marks, reason: Reason) -> Mutation {
    Mutation::Measured {
        service: service.key().clone(),
        endpoint: member.endpoint.clone(),
        health: Health::Unhealthy,
        marks,
        reason,
    }
}

/// Whether a registration is of the same run of a process as the one before, and lives in the same way.
fn inherits_flaps(known: &Registration, registration: &Registration) -> bool {
    known.incarnation == registration.incarnation && known.liveness.kind() == registration.liveness.kind()
}
