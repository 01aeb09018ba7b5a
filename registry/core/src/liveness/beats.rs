//! The table that beats touch.
//!
//! One cell for each instance: the time of its last beat, and what a beat must know to find and trust it. A beat
//! finds its cell by lease, or by the identity of its address, and stores the time: it takes no lock, allocates
//! nothing and waits for no writer. Cells lie in blocks that never move; the catalog's owner gives them out.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::index::Index;
use crate::model::{Endpoint, Lease, Mono, ServiceRef};

const BLOCK: usize = 4096;
const BLOCKS_MAX: usize = 16 * 1024;
/// How many leases are looked up side by side; a processor has about as many reads of memory under way.
const AHEAD: usize = 32;

/// The instance takes beats.
const BEATS: u32 = 1;
/// A beat changes something, most often because the instance was found silent: whoever brings one must tell the owner.
const SILENT: u32 = 2;
/// It is known from before a restart, and nothing was heard of it since: its first beat takes this away and tells nobody.
const UNCONFIRMED: u32 = 4;

/// What a beat did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// It renewed a healthy instance.
    Renewed,
    /// It renewed an instance that was found silent; the owner must be told of this slot.
    Returned(u32),
    /// The instance is there, but does not live by beats.
    NotBeating,
    /// There is no such instance.
    Unknown,
}

/// 128 keyed bits that stand for a service and an endpoint. Two instances share them with a probability below 1e-26
/// even among a million, since the keys are secret and random: no need to compare names on the path of a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    /// A lease that nobody holds, and nobody can guess.
    pub(crate) fn no_lease(self) -> Lease {
        Lease::from_bits(self.0 | 1).expect("not zero")
    }
}

/// What a beat touches and what it checks.
#[derive(Debug, Default)]
pub(crate) struct Cell {
    lease: AtomicU64,
    identity: (AtomicU64, AtomicU64),
    /// Liveness time in microseconds.
    last_beat: AtomicU64,
    interval_ms: AtomicU32,
    flags: AtomicU32,
}

/// All cells, and the two ways to find one. Readers share it; the catalog's owner alone gives out and takes back.
#[derive(Debug)]
pub struct Beats {
    blocks: Box<[OnceLock<Box<[Cell]>>]>,
    by_lease: Index,
    by_identity: Index,
    hashers: (RandomState, RandomState),
    /// How many cells are unconfirmed.
    unconfirmed: AtomicU64,
}

impl Default for Beats {
    fn default() -> Self {
        Self {
            blocks: (0..BLOCKS_MAX).map(|_| OnceLock::new()).collect(),
            by_lease: Index::new(),
            by_identity: Index::new(),
            hashers: (RandomState::new(), RandomState::new()),
            unconfirmed: AtomicU64::new(0),
        }
    }
}

impl Beats {
    /// How many instances can have a cell.
    pub const CAPACITY: usize = BLOCK * BLOCKS_MAX;

    /// Renews by leases. Calls `other` with the position and outcome of each beat that did not just renew.
    #[inline]
    pub fn renew(&self, leases: &[Lease], now: Mono, mut other: impl FnMut(usize, Beat)) {
        let table = self.by_lease.table();
        let owner = |slot: u32| self.cell(slot).lease.load(Ordering::Acquire);
        let mut homes = [(0, 0); AHEAD];
        let mut found = [(0, 0); AHEAD];
        for (block, leases) in leases.chunks(AHEAD).enumerate() {
            // Where each is looked up is random, and memory slow: first all places of a block are read, then all
            // cells. No reading waits for another, so that the processor has many under way at once.
            for (lease, home) in leases.iter().zip(&mut homes) {
                *home = table.home(lease.bits());
            }
            for ((lease, home), found) in leases.iter().zip(&homes).zip(&mut found) {
                *found = table
                    .candidate(lease.bits(), *home)
                    .map_or((0, 0), |slot| (slot, owner(slot)));
            }
            for (place, (lease, (slot, lease_found))) in leases.iter().zip(&found).enumerate() {
                let bits = lease.bits();
                let slot = if *lease_found == bits {
                    Some(*slot)
                } else {
                    table.find(bits, |slot| owner(slot) == bits)
                };
                match slot.map_or(Beat::Unknown, |slot| self.touch(slot, now)) {
                    Beat::Renewed => {}
                    outcome => other(block * AHEAD + place, outcome),
                }
            }
        }
    }

    /// Renews by address. Also tells the instance's beat interval, which Nacos puts into every answer.
    pub fn renew_at(&self, service: ServiceRef<'_>, endpoint: &Endpoint, now: Mono) -> (Beat, Duration) {
        match self.slot_of(self.identity(service, endpoint)) {
            Some(slot) => {
                let cell = self.cell(slot);
                let interval = Duration::from_millis(cell.interval_ms.load(Ordering::Relaxed).into());
                (self.touch(slot, now), interval)
            }
            None => (Beat::Unknown, Duration::ZERO),
        }
    }

    pub(crate) fn identity(&self, service: ServiceRef<'_>, endpoint: &Endpoint) -> Identity {
        let hash = |hasher: &RandomState| {
            let mut hasher = hasher.build_hasher();
            service.hash(&mut hasher);
            endpoint.hash(&mut hasher);
            hasher.finish()
        };
        Identity(hash(&self.hashers.0), hash(&self.hashers.1))
    }

    pub(crate) fn slot_of(&self, identity: Identity) -> Option<u32> {
        self.by_identity
            .table()
            .find(identity.0, |slot| self.cell(slot).is(identity))
    }

    pub(crate) fn slot_of_lease(&self, lease: Lease) -> Option<u32> {
        let bits = lease.bits();
        self.by_lease
            .table()
            .find(bits, |slot| self.cell(slot).lease.load(Ordering::Acquire) == bits)
    }

    #[inline]
    pub(crate) fn cell(&self, slot: u32) -> &Cell {
        let slot = slot as usize;
        &self.blocks[slot / BLOCK].get_or_init(|| (0..BLOCK).map(|_| Cell::default()).collect())[slot % BLOCK]
    }

    #[inline]
    fn touch(&self, slot: u32, now: Mono) -> Beat {
        let cell = self.cell(slot);
        match cell.touch(now) {
            None => Beat::NotBeating,
            Some(flags) if flags & (SILENT | UNCONFIRMED) == 0 => Beat::Renewed,
            Some(flags) => self.heard(cell, slot, flags),
        }
    }

    /// A beat that means more than that the instance goes on.
    #[cold]
    fn heard(&self, cell: &Cell, slot: u32, flags: u32) -> Beat {
        // Looked at once more: that the owner is to be told may have been said since.
        let flags = if flags & UNCONFIRMED == 0 {
            flags
        } else {
            self.take_unconfirmed(cell)
        };
        if flags & SILENT == 0 {
            Beat::Renewed
        } else {
            Beat::Returned(slot)
        }
    }

    fn take_unconfirmed(&self, cell: &Cell) -> u32 {
        let flags = cell.flags.fetch_and(!UNCONFIRMED, Ordering::AcqRel);
        if flags & UNCONFIRMED != 0 {
            self.unconfirmed.fetch_sub(1, Ordering::AcqRel);
        }
        flags
    }

    /// Marks the cell: nothing was heard of its instance since the restart. Owner only.
    pub(crate) fn set_unconfirmed(&self, slot: u32) {
        let before = self.cell(slot).flags.fetch_or(UNCONFIRMED, Ordering::AcqRel);
        self.unconfirmed
            .fetch_add(u64::from(before & UNCONFIRMED == 0), Ordering::AcqRel);
    }

    /// Takes the mark away. Returns whether it was there, so that no beat has taken it.
    pub(crate) fn confirm(&self, slot: u32) -> bool {
        self.take_unconfirmed(self.cell(slot)) & UNCONFIRMED != 0
    }

    /// Of how many instances from before a restart nothing was heard yet.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.unconfirmed.load(Ordering::Acquire)
    }

    /// Gives the cell to an instance, or to its next registration. Owner only.
    pub(crate) fn occupy(
        &self,
        slot: u32,
        identity: Identity,
        lease: Lease,
        interval: Option<Duration>,
        now: Mono,
    ) {
        self.confirm(slot);
        let cell = self.cell(slot);
        cell.last_beat.store(now.0, Ordering::Relaxed);
        let interval_ms = interval.map_or(0, |interval| {
            u32::try_from(interval.as_millis()).unwrap_or(u32::MAX)
        });
        cell.interval_ms.store(interval_ms, Ordering::Relaxed);
        cell.flags
            .store(if interval.is_some() { BEATS } else { 0 }, Ordering::Relaxed);
        if !cell.is(identity) {
            cell.identity.0.store(identity.0, Ordering::Relaxed);
            cell.identity.1.store(identity.1, Ordering::Release);
            self.by_identity.insert(identity.0, slot);
        }
        let old = cell.lease.swap(lease.bits(), Ordering::AcqRel);
        if old != lease.bits() {
            if old != 0 {
                self.by_lease.remove(old, slot);
            }
            self.by_lease.insert(lease.bits(), slot);
        }
    }

    /// Takes the cell back. Owner only.
    pub(crate) fn vacate(&self, slot: u32) {
        self.confirm(slot);
        let cell = self.cell(slot);
        cell.flags.store(0, Ordering::Relaxed);
        let lease = cell.lease.swap(0, Ordering::AcqRel);
        let identity = cell.identity.0.swap(0, Ordering::AcqRel);
        cell.identity.1.store(0, Ordering::Release);
        self.by_lease.remove(lease, slot);
        self.by_identity.remove(identity, slot);
    }
}

impl Cell {
    /// The one thing that a beat does. Returns the flags, or `None` if it takes no beats.
    ///
    /// The store and the look at the flag are not ordered against the owner, who sets the flag and looks at the
    /// time: both may just miss each other. That would need a fence in every beat; instead the owner looks again one
    /// tick after it found an instance silent.
    #[inline]
    fn touch(&self, now: Mono) -> Option<u32> {
        let flags = self.flags.load(Ordering::Relaxed);
        if flags & BEATS == 0 {
            return None;
        }
        // Never back: beats of one instance may pass each other between reading the clock and arriving here. A look
        // and a store instead of one `fetch_max`: the cell is in the cache already, and of two beats that race one
        // is as good as the other.
        if self.last_beat.load(Ordering::Relaxed) < now.0 {
            self.last_beat.store(now.0, Ordering::Release);
        }
        Some(flags)
    }

    pub(crate) fn is(&self, identity: Identity) -> bool {
        self.identity.0.load(Ordering::Acquire) == identity.0
            && self.identity.1.load(Ordering::Acquire) == identity.1
    }

    pub(crate) fn last_beat(&self) -> Mono {
        Mono(self.last_beat.load(Ordering::Acquire))
    }

    /// Starts its silence anew, without a beat.
    pub(crate) fn restart(&self, now: Mono) {
        self.last_beat.fetch_max(now.0, Ordering::AcqRel);
    }

    pub(crate) fn lease(&self) -> Option<Lease> {
        Lease::from_bits(self.lease.load(Ordering::Acquire))
    }

    /// Whether nothing was heard of it since the restart.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.flags.load(Ordering::Acquire) & UNCONFIRMED != 0
    }

    /// Whether a beat must tell the owner.
    pub(crate) fn is_silent(&self) -> bool {
        self.flags.load(Ordering::Acquire) & SILENT != 0
    }

    /// Says whether the next beat must tell the owner.
    pub(crate) fn set_silent(&self, silent: bool) {
        if silent {
            self.flags.fetch_or(SILENT, Ordering::AcqRel);
        } else {
            self.flags.fetch_and(!SILENT, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(bits: u64) -> Lease {
        Lease::from_bits(bits).unwrap()
    }

    #[test]
    fn a_cell_takes_40_bytes() {
        assert_eq!(size_of::<Cell>(), 40);
    }

    #[test]
    fn beats_find_their_cell_by_lease_and_by_address() {
        let beats = Beats::default();
        let service = ServiceRef {
            namespace: "n",
            group: "g",
            name: "s",
        };
        let endpoint = Endpoint::new("10.0.0.1", 80).unwrap();
        let identity = beats.identity(service, &endpoint);
        beats.occupy(9, identity, lease(5), Some(Duration::from_secs(3)), Mono(1));

        assert_eq!(
            beats.renew_at(service, &endpoint, Mono(2)),
            (Beat::Renewed, Duration::from_secs(3))
        );
        assert_eq!(beats.cell(9).last_beat(), Mono(2));
        let mut other = Vec::new();
        beats.renew(&[lease(5), lease(6)], Mono(3), |position, beat| {
            other.push((position, beat));
        });
        assert_eq!(other, [(1, Beat::Unknown)]);
        assert_eq!(beats.cell(9).last_beat(), Mono(3));

        // A silent one asks for attention.
        beats.cell(9).set_silent(true);
        assert_eq!(beats.renew_at(service, &endpoint, Mono(4)).0, Beat::Returned(9));

        // A new lease ends the old one, and a vacated cell is found by neither.
        beats.occupy(9, identity, lease(7), None, Mono(5));
        assert_eq!(beats.slot_of_lease(lease(5)), None);
        assert_eq!(beats.renew_at(service, &endpoint, Mono(6)).0, Beat::NotBeating);
        beats.vacate(9);
        assert_eq!(beats.slot_of_lease(lease(7)), None);
        assert_eq!(beats.renew_at(service, &endpoint, Mono(7)).0, Beat::Unknown);
    }
}
