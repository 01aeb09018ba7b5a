//! What silence and the passing of time change.

use crate::model::{Health, Marks, Mono, Reason};

use super::Catalog;
use super::command::Mutation;
use super::decide::Decision;
use super::guarding::GuardTurn;
use super::slots::{Maybe, Phase};
use super::standby::FallsBack;

/// How soon an instance is looked at again that could not be judged for good: because the guard holds, or because
/// what was decided may fail to be committed.
pub(super) const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// How many who are due together are decided in one turn. Few in tests, so that they see turns that leave some over.
pub const DUE_MAX: usize = if cfg!(test) { 8 } else { 1024 };

/// What was seen of an instance when it was looked at.
enum Seen {
    Nothing,
    /// It was found silent before, and has beaten.
    Returned(Vec<Mutation>),
    /// Its silence passed the first of its times.
    Fell,
    /// Its silence passed the last.
    Dead,
}

impl Catalog {
    /// When [`Catalog::due`] has something to look at.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let kept = |queue: Option<Mono>, kept| queue.map(|since| since.after(kept));
        let emptied = self.emptied.first().map(|(since, _)| *since);
        let layers = self.gone_layers.first().map(|(since, ..)| *since);
        let ramps = self.ramps.first().map(|(at, _)| *at);
        if !self.judged.is_empty() {
            return Some(Mono(0));
        }
        [
            self.wheel.next_deadline(),
            self.reports.next(),
            self.forced_next,
            self.flaps.next(),
            ramps,
            self.next_warming(),
            self.probes.next_deadline(),
            kept(emptied, self.config.empty_service_kept),
            kept(layers, self.config.layer_kept),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Decides what is due at `now`, in liveness time: who is unhealthy, who goes, whom the guard protects.
    ///
    /// Everything that is returned is to be committed and applied before the next call. What then is not applied,
    /// because it could not be committed, comes up again within a second. Of very many who are due together only the
    /// first [`DUE_MAX`] are returned, and [`Catalog::next_deadline`] has passed already: so neither readers nor
    /// writers wait for all of them, and their memory is used again.
    pub fn due(&mut self, now: Mono) -> (Vec<Mutation>, Vec<GuardTurn>) {
        let (mut fell, mut dead) = (Vec::new(), Vec::new());
        let mut mutations = Vec::new();
        while let Some((tick, slots)) = self.wheel.take_due(now) {
            for number in &slots {
                match self.look_at(*number, tick, now) {
                    Seen::Nothing => {}
                    Seen::Returned(returned) => mutations.extend(returned),
                    Seen::Fell => fell.push(*number),
                    Seen::Dead => dead.push(*number),
                }
            }
            self.wheel.recycle(slots);
        }
        fell.extend(self.doubted_probes());
        // All who fell are judged together, before any of them is flipped.
        let events = self.judge(&fell, now, &mut mutations);
        self.judged.extend(dead);
        self.judged.extend(fell);
        let taken = self.judged.len().min(DUE_MAX);
        mutations.reserve(taken);
        for _ in 0..taken {
            if let Some(number) = self.judged.pop_front() {
                self.judged(number, now, &mut mutations);
            }
        }
        self.decide_probes(now, &mut mutations);
        self.end_flaps(now, &mut mutations);
        self.step_ramps(now, &mut mutations);
        self.warm(now, &mut mutations);
        self.drop_layers(now, &mut mutations);
        self.drop_services(now, &mut mutations);
        self.keep_reported(&mut mutations);
        self.review_reports(now, &mut mutations);
        (mutations, events)
    }

    /// What becomes of one who was judged. Not all are returned at once: in between it may have beaten, registered
    /// again, or gone and left its slot to another, whose deadline has not come.
    fn judged(&mut self, number: u32, now: Mono, mutations: &mut Vec<Mutation>) {
        let Some(slot) = self.slots.get(number) else {
            return;
        };
        if slot.probed {
            mutations.extend(self.doubted(number, now));
            return;
        }
        let deadline = self.last_sign(number).and_then(|sign| slot.deadline(sign));
        if deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        match slot.phase {
            // Not those whom the guard protects by now.
            Phase::Silent if self.held(number) => {}
            Phase::Silent => self.expire(number, now, mutations),
            Phase::Live | Phase::Suspect => self.fall(number, now, mutations),
        }
    }

    /// Looks at an instance when its bucket of the wheel fires. Decides nothing that the guard may have a word in.
    fn look_at(&mut self, number: u32, tick: u64, now: Mono) -> Seen {
        let last_beat = self.cell(number).last_beat();
        let Some(slot) = self
            .slots
            .get_mut(number)
            .filter(|slot| slot.armed.get() == Some(tick))
        else {
            return Seen::Nothing;
        };
        slot.armed = Maybe::NONE;
        let phase = slot.phase;
        let Some(deadline) = slot.deadline(last_beat) else {
            return Seen::Nothing;
        };
        // It awaits a beat and yet beat: the beat that should have said so just missed the flag, or was not heard.
        if (phase != Phase::Live || self.cell(number).is_silent())
            && let Decision::Commit(returned) = self.decide_returned(number, now)
        {
            self.arm_at(number, now.after(LOOK_AGAIN));
            return Seen::Returned(returned);
        }
        if now < deadline {
            if phase == Phase::Live {
                // It was found silent, but that could not be committed, and since then it beat.
                self.forget_silence(number, false);
            }
            self.arm_at(number, deadline);
            return Seen::Nothing;
        }
        // It is overdue. Where silence has no consequences, or only has had them for a while, it is looked at again
        // when it would have been overdue for a whole time, were they turned on just now: nobody is to be searched for
        // when they are.
        let spared = self.last_sign(number).unwrap_or(now);
        let deadline = self.slots.get(number).and_then(|slot| slot.deadline(spared));
        if let Some(deadline) = deadline.filter(|deadline| now < *deadline) {
            if phase == Phase::Live {
                self.forget_silence(number, false);
            }
            self.arm_at(number, deadline);
            return Seen::Nothing;
        }
        self.arm_at(number, now.after(LOOK_AGAIN));
        match phase {
            Phase::Suspect if self.held(number) => Seen::Nothing,
            Phase::Live | Phase::Suspect => Seen::Fell,
            Phase::Silent => Seen::Dead,
        }
    }

    /// The fall of one instance: suspect where the guard holds, gone where its whole time is over already, and
    /// unhealthy otherwise.
    ///
    /// A hundred thousand may fall together: the instance itself is searched for only where the guard holds.
    fn fall(&self, number: u32, now: Mono, mutations: &mut Vec<Mutation>) {
        if self.held(number) {
            let Some((slot, service, member)) = self.at_slot(number) else {
                return;
            };
            if member.state.suspect() {
                return;
            }
            mutations.push(Mutation::Measured {
                service: service.key().clone(),
                endpoint: slot.endpoint.clone(),
                health: member.state.health,
                marks: self
                    .flap_mark(number, now)
                    .and(self.marks_by_now(number, Marks::UNCONFIRMED))
                    .with(Marks::SUSPECT, true),
                reason: Reason::Guarded,
            });
            return;
        }
        let Some((slot, service)) = self.slot_and_service(number) else {
            return;
        };
        let (Some(timings), Some(sign)) = (slot.timings, self.last_sign(number)) else {
            return;
        };
        if now >= sign.after(timings.remove_after()) {
            self.expire(number, now, mutations);
            return;
        }
        mutations.push(Mutation::Measured {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            health: Health::Unhealthy,
            marks: self
                .mark_if_flipped(number, now)
                .and(self.marks_by_now(number, Marks::UNCONFIRMED)),
            reason: Reason::Silent,
        });
    }

    /// The end of one instance, unless a connection has said something of it as well.
    fn expire(&self, number: u32, now: Mono, mutations: &mut Vec<Mutation>) {
        if let FallsBack::Registers(registered) = self.falls_back(number, now) {
            mutations.extend(registered);
            return;
        }
        let Some((slot, service)) = self.slot_and_service(number) else {
            return;
        };
        // One that lived by a connection, which died with the process before, and that did not come back.
        let reason = match slot.unconfirmed && service.is_of_session(&slot.endpoint) {
            true => Reason::SessionClosed,
            false => Reason::Expired,
        };
        mutations.push(Mutation::Removed {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            reason,
        });
    }
}
