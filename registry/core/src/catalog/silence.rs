//! Where an instance stands between its beats: its phase, what the guards count of it, and when to look at it.

use crate::liveness::{Cell, Guard, TICK};
use crate::model::Mono;

use super::Catalog;
use super::service::Service;
use super::slots::{Maybe, Phase};

impl Catalog {
    /// Takes an instance out of what the guards count, before it begins anew or goes. `lost`: it goes for its silence.
    pub(super) fn forget_silence(&mut self, number: u32, lost: bool) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        let phase = std::mem::replace(&mut slot.phase, Phase::Live);
        let (index, fell) = (slot.service, slot.fell.take());
        // Most often: it was neither silent nor counted as such.
        if phase == Phase::Live && fell.is_none() {
            return;
        }
        if phase == Phase::Suspect {
            self.suspects -= 1;
        }
        for guard in self.guards_of(index) {
            match fell {
                Some(fell) if lost => guard.lost(fell),
                Some(fell) => guard.no_longer_silent(fell),
                None => {}
            }
            if phase == Phase::Live && fell.is_some() {
                guard.settled();
            }
            if phase == Phase::Suspect {
                guard.count_suspect(false);
            }
        }
    }

    /// Moves an instance between the phases, keeps the guards' counts, and arms it for what comes next.
    pub(super) fn note_silence(&mut self, number: u32, silent: bool, suspect: bool, now: Mono) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        let phase = match (silent, suspect) {
            (false, _) => Phase::Live,
            (true, false) => Phase::Silent,
            (true, true) => Phase::Suspect,
        };
        // That it fell silent was counted when it was decided, for all of a tick together. That it returned is now.
        if phase == Phase::Live {
            self.forget_silence(number, false);
        } else {
            let before = std::mem::replace(&mut slot.phase, phase);
            let settled = before == Phase::Live && slot.fell.get().is_some();
            let (index, was) = (slot.service, before == Phase::Suspect);
            self.suspects = self.suspects + u32::from(suspect) - u32::from(was);
            for guard in self.guards_of(index) {
                if settled {
                    guard.settled();
                }
                if was != suspect {
                    guard.count_suspect(suspect);
                }
            }
        }
        if self.slots.get(number).is_some_and(|slot| slot.probed) {
            self.probes.settle(number);
        } else if silent {
            self.beats.cell(number).set_silent(true);
            // A beat that came in this very moment may have missed the flag: look again one tick later.
            self.arm_at(number, now.after(TICK));
        } else {
            self.flag(number);
            self.arm(number);
        }
    }

    /// The guards that count the instances of a service: its own, and the registry's unless the service is spared.
    pub(super) fn guards_of(&mut self, index: u32) -> impl Iterator<Item = &mut Guard> {
        let service = self.services[index as usize].as_mut();
        let registry = service
            .as_ref()
            .is_some_and(|service| service.expires())
            .then_some(&mut self.guard);
        registry.into_iter().chain(service.map(Service::guard))
    }

    /// Tells the cell whether a beat changes something.
    pub(super) fn flag(&self, number: u32) {
        if let Some((slot, _, member)) = self.at_slot(number) {
            let awaits = slot.timings.is_some()
                && (slot.phase.awaits_beat(
                    &member.state,
                    member.record.unwell(),
                    self.flaps.is_held(number),
                ) || slot.unconfirmed && self.asks_first_beats());
            self.beats.cell(number).set_silent(awaits);
        }
    }

    /// Makes sure that the wheel looks at an instance at its deadline, or before.
    pub(super) fn arm(&mut self, number: u32) {
        let last_beat = self.beats.cell(number).last_beat();
        if let Some(deadline) = self.slots.get(number).and_then(|slot| slot.deadline(last_beat)) {
            self.arm_at(number, deadline);
        }
    }

    pub(super) fn arm_at(&mut self, number: u32, at: Mono) {
        let tick = self.wheel.tick_for(at);
        if let Some(slot) = self.slots.get_mut(number)
            && slot.armed.get().is_none_or(|armed| armed > tick)
        {
            slot.armed = Maybe::some(tick);
            self.wheel.arm(number, tick);
        }
    }

    /// Since when an instance is silent, as far as that has consequences: since its last beat, or since they were last
    /// turned on. `None` while they are off, for it, its service or all.
    ///
    /// That beats are not to be missed, in an instance or a service, says nothing of connections: when one closes, its
    /// instances go there as well. So they do if it died with the process before and its client does not come back.
    /// Only the setting for all stops everything: it is for whoever works on the network, and then nobody is to go.
    pub(super) fn last_sign(&self, number: u32) -> Option<Mono> {
        let (slot, service) = self.slot_and_service(number)?;
        let turned_on = match slot.is_awaited() {
            true => self.expires_since,
            false if slot.expires && service.expires() => service.expires_since.max(self.expires_since),
            false => return None,
        };
        self.expires.then(|| self.cell(number).last_beat().max(turned_on))
    }

    pub(super) fn cell(&self, number: u32) -> &Cell {
        self.beats.cell(number)
    }
}
