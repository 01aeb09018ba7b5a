//! What the catalog's owner keeps of each instance besides its record: where it is, and when to look at it.

use crate::liveness::Streak;
use crate::model::{Endpoint, Health, Liveness, Mono, Reason, State, Timings};

use super::population::Recalled;

const BLOCK: usize = 4096;

/// Where an instance stands between beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It beats, as far as is known.
    Live,
    /// It was found silent and flipped.
    Silent,
    /// It was found silent, but the guard protects it.
    Suspect,
}

impl Phase {
    /// Whether a beat changes something: it ends a silence, and proves an instance healthy that was not registered as
    /// such. What an instance says about itself a beat does not change, and one that is held down is healthy by the
    /// end of a time.
    pub(super) fn awaits_beat(self, state: &State, unwell: bool, held: bool) -> bool {
        let unproven = state.health == Health::Unhealthy && state.reason != Reason::Declared && !held;
        self != Self::Live || unproven && !unwell
    }
}

/// A number that may be missing, in 8 bytes: there may be a million slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Maybe(u64);

impl Maybe {
    pub(super) const NONE: Self = Self(u64::MAX);

    pub(super) fn some(number: u64) -> Self {
        debug_assert_ne!(number, u64::MAX, "the mark of absence");
        Self(number)
    }

    pub(super) fn get(self) -> Option<u64> {
        (self != Self::NONE).then_some(self.0)
    }

    pub(super) fn take(&mut self) -> Option<u64> {
        std::mem::replace(self, Self::NONE).get()
    }
}

/// The owner's part of an instance.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) service: u32,
    pub(super) endpoint: Endpoint,
    /// The times, if it lives by beats, or has to come back after a restart like one that does. A copy of what the record
    /// says: the wheel fires once for each instance and timeout, and shall not search the service for it.
    pub(super) timings: Option<Timings>,
    /// Whether its silence has consequences. Where it has none the wheel need not look at it, unless it is awaited.
    pub(super) expires: bool,
    /// Whether it lives by probes.
    pub(super) probed: bool,
    pub(super) phase: Phase,
    /// Whether it is known from before a restart, or from a backup, and nothing was heard of it since, as far as the owner knows: the cell
    /// knows of first beats that the owner need not be told of.
    pub(super) unconfirmed: bool,
    /// Whether it lives by a connection, as it did before a restart or in a backup. It stays so when it is back.
    pub(super) recalled: bool,
    pub(super) streak: Streak,
    /// The part of time in which the guards counted its silence, while they do. Each silence is counted once, also
    /// if what came of it could not be committed and it is found silent again.
    pub(super) fell: Maybe,
    /// The earliest tick at which the wheel will look at it. Entries of other ticks are left over from before.
    pub(super) armed: Maybe,
    /// When its silence last began without a beat: with its registration, with the replay of that after a restart,
    /// or when the guard let go of it. Only a later beat proves that it lives.
    pub(super) restarted: Mono,
}

/// Slots by number. Blocks, so that growing never moves them; freed numbers are used again.
#[derive(Debug, Default)]
pub(super) struct Slots {
    blocks: Vec<Vec<Option<Slot>>>,
    free: Vec<u32>,
    len: usize,
}

impl Slot {
    pub(super) fn new(service: u32, endpoint: Endpoint) -> Self {
        Self {
            service,
            endpoint,
            timings: None,
            expires: true,
            probed: false,
            phase: Phase::Live,
            unconfirmed: false,
            recalled: false,
            streak: Streak::default(),
            fell: Maybe::NONE,
            armed: Maybe::NONE,
            restarted: Mono(0),
        }
    }

    /// Starts anew after a registration. What the wheel holds of it stays good: it is looked at lazily.
    pub(super) fn begin(&mut self, liveness: &Liveness, expires: bool, now: Mono) {
        self.timings = match liveness {
            Liveness::Beat(timings) => Some(*timings),
            _ => None,
        };
        self.expires = expires;
        self.probed = matches!(liveness, Liveness::Probe(_));
        self.phase = Phase::Live;
        self.unconfirmed = false;
        self.recalled &= matches!(liveness, Liveness::Session(_));
        self.streak = Streak::default();
        self.restarted = now;
    }

    /// Begins to wait for the client whose connection is not of this process, for so long.
    pub(super) fn await_return(&mut self, returning: Timings) {
        self.timings = Some(returning);
        self.recalled = true;
    }

    /// Whether it lives by a connection, and has yet to come back.
    pub(super) fn is_awaited(&self) -> bool {
        self.recalled && self.timings.is_some()
    }

    /// How it counts among those whom the guards watch, if it lives by a connection.
    pub(super) fn counted(&self) -> Recalled {
        Recalled {
            recalled: self.recalled,
            awaited: self.is_awaited(),
        }
    }

    /// When to look at it next, given its last beat. `None` if it does not live by beats, or its silence has no
    /// consequences. That of one who is awaited has some, whatever was registered: its client closed nothing, and while
    /// the connection was there its end would have had them as well.
    pub(super) fn deadline(&self, last_beat: Mono) -> Option<Mono> {
        let timings = self.timings.filter(|_| self.expires || self.recalled)?;
        let unhealthy = last_beat.after(timings.unhealthy_after());
        let remove = last_beat.after(timings.remove_after());
        Some(match self.phase {
            Phase::Live => unhealthy.min(remove),
            // A suspect whom the guard no longer protects is judged like a live one.
            Phase::Suspect => unhealthy.min(remove),
            Phase::Silent => remove,
        })
    }
}

impl Slots {
    pub(super) fn insert(&mut self, slot: Slot) -> u32 {
        self.len += 1;
        if let Some(number) = self.free.pop() {
            *self.place(number) = Some(slot);
            return number;
        }
        if self.blocks.last().is_none_or(|block| block.len() == BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let blocks = self.blocks.len();
        let block = &mut self.blocks[blocks - 1];
        block.push(Some(slot));
        u32::try_from((blocks - 1) * BLOCK + block.len() - 1).expect("the limit of instances is below 2^32")
    }

    pub(super) fn remove(&mut self, number: u32) {
        *self.place(number) = None;
        self.free.push(number);
        self.len -= 1;
    }

    pub(super) fn get(&self, number: u32) -> Option<&Slot> {
        self.blocks
            .get(number as usize / BLOCK)?
            .get(number as usize % BLOCK)?
            .as_ref()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.blocks
            .get_mut(number as usize / BLOCK)?
            .get_mut(number as usize % BLOCK)?
            .as_mut()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn place(&mut self, number: u32) -> &mut Option<Slot> {
        &mut self.blocks[number as usize / BLOCK][number as usize % BLOCK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_stays_small() {
        assert!(size_of::<Option<Slot>>() <= 80, "{}", size_of::<Option<Slot>>());
    }
}
