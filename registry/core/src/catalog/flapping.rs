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
            Some(until) if now < until || !self.is_well(number, now) => return None,
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
                (state.health, state.marks.with(Marks::FLAPPING, false), reason)
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

    /// Whether one that is held down is well at this very moment. A probe that fails says so when it does.
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

/// Whether a registration is of the same run of a process as the one before, and lives in the same way.
pub(super) fn inherits_flaps(known: &Registration, registration: &Registration) -> bool {
    known.incarnation == registration.incarnation && known.liveness.kind() == registration.liveness.kind()
}
