//! What silence and the passing of time change.

use crate::model::{Health, Marks, Mono, Reason};

use super::Catalog;
use super::command::Mutation;
use super::decide::Decision;
use super::guarding::GuardEvent;
use super::slots::{Maybe, Phase};

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
        if !self.judged.is_empty() {
            return Some(Mono(0));
        }
        [
            self.wheel.next_deadline(),
            self.next_warming(),
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
    pub fn due(&mut self, now: Mono) -> (Vec<Mutation>, Vec<GuardEvent>) {
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
        // All who fell are judged together, before any of them is flipped.
        let events = self.judge(&fell, now, &mut mutations);
        self.judged.extend(dead);
        self.judged.extend(fell);
        let taken = self.judged.len().min(DUE_MAX);
        mutations.reserve(taken);
        for _ in 0..taken {
            if let Some(number) = self.judged.pop_front() {
                mutations.extend(self.judged(number, now));
            }
        }
        self.warm(now, &mut mutations);
        self.drop_layers(now, &mut mutations);
        self.drop_services(now, &mut mutations);
        (mutations, events)
    }

    /// What becomes of one who was judged. Not all are returned at once: in between it may have beaten, registered
    /// again, or gone and left its slot to another, whose deadline has not come.
    fn judged(&self, number: u32, now: Mono) -> Option<Mutation> {
        let slot = self.slots.get(number)?;
        if now < slot.deadline(self.last_sign(number)?)? {
            return None;
        }
        match slot.phase {
            // Not those whom the guard protects by now.
            Phase::Silent if self.held(number) => None,
            Phase::Silent => self.expiry(number),
            Phase::Live | Phase::Suspect => self.fallen(number, now),
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
    fn fallen(&self, number: u32, now: Mono) -> Option<Mutation> {
        if self.held(number) {
            let (slot, service, member) = self.at_slot(number)?;
            return (!member.state.suspect()).then(|| Mutation::Measured {
                service: service.key().clone(),
                endpoint: slot.endpoint.clone(),
                health: member.state.health,
                marks: self
                    .marks_by_now(number, member.state.marks)
                    .with(Marks::SUSPECT, true),
                reason: Reason::Guarded,
            });
        }
        let (slot, service) = self.slot_and_service(number)?;
        let timings = slot.timings?;
        if now >= self.last_sign(number)?.after(timings.remove_after()) {
            return self.expiry(number);
        }
        Some(Mutation::Measured {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            health: Health::Unhealthy,
            marks: self.marks_by_now(number, Marks::UNCONFIRMED),
            reason: Reason::Silent,
        })
    }

    fn expiry(&self, number: u32) -> Option<Mutation> {
        let (slot, service) = self.slot_and_service(number)?;
        // One that lived by a connection, which died with the process before, and that did not come back.
        let reason = match slot.unconfirmed && service.is_of_session(&slot.endpoint) {
            true => Reason::SessionClosed,
            false => Reason::Expired,
        };
        Some(Mutation::Removed {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            reason,
        })
    }
}
