//! The table that beats touch.
//!
//! One cell for each instance: the time of its last beat, and what a beat must know to find and trust it. A beat
//! finds its cell by lease, or by the identity of its address, and stores the time: it takes no lock, allocates
//! nothing and waits for no writer. Cells lie in blocks that never move; the catalog's owner gives them out.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::gaps::{BeatReading, LateBeat, LateGaps};
use super::index::{Index, Table};
use crate::model::{Endpoint, Lease, Mono, ServiceRef};

const BLOCK: usize = 4096;
const BLOCKS_MAX: usize = 16 * 1024;
/// How many leases are looked up side by side; a processor has about as many reads of memory under way.
const AHEAD: usize = 32;

/// A beat changes something, most often because the instance was found silent: whoever brings one must tell the owner.
const SILENT: u32 = 1;
/// It is known from before a restart, and nothing was heard of it since: its first beat takes this away and tells nobody.
const UNCONFIRMED: u32 = 2;
/// The interval stands above the flags. A day of milliseconds, the longest there is, fits; 0 is one that takes no beats.
const INTERVAL_SHIFT: u32 = 2;
/// Times what the cell's `beating` holds, this is a gap that makes a beat late, in microseconds: one and a half
/// intervals.
const LATE: u64 = 1_500 >> INTERVAL_SHIFT;

/// Microseconds in what `before` counts in, as a power of two: it tells gaps of up to 12 days.
const BEFORE_SHIFT: u32 = 8;
const BEFORE_MAX: u64 = (u32::MAX as u64) << BEFORE_SHIFT;

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
    /// The interval in milliseconds and the flags, in one: a beat in time is found to be one by a test and a compare.
    beating: AtomicU32,
    /// The lower bits of the time of the beat before the last.
    before: AtomicU32,
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
    late: LateGaps,
}

impl Default for Beats {
    fn default() -> Self {
        Self {
            blocks: (0..BLOCKS_MAX).map(|_| OnceLock::new()).collect(),
            by_lease: Index::new(),
            by_identity: Index::new(),
            hashers: (RandomState::new(), RandomState::new()),
            unconfirmed: AtomicU64::new(0),
            late: LateGaps::default(),
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
        let mut homes = [(0, 0); AHEAD];
        let mut found = [None; AHEAD];
        for (block, leases) in leases.chunks(AHEAD).enumerate() {
            // Where each is looked up is random, and memory slow: first all places of a block are read, then all
            // cells. No reading waits for another, so that the processor has many under way at once.
            for (lease, home) in leases.iter().zip(&mut homes) {
                *home = table.home(lease.bits());
            }
            for ((lease, home), found) in leases.iter().zip(&homes).zip(&mut found) {
                *found = table
                    .candidate(lease.bits(), *home)
                    .map(|slot| self.cell(slot))
                    .filter(|cell| cell.is_of(*lease));
            }
            for (place, (lease, found)) in leases.iter().zip(&found).enumerate() {
                if found.is_some_and(|cell| cell.touch(now)) {
                    continue;
                }
                match self.renew_one(&table, *lease, now) {
                    Beat::Renewed => {}
                    outcome => other(block * AHEAD + place, outcome),
                }
            }
        }
    }

    /// Renews one that was not found at once, or whose beat is not like the others. Apart, so that what it needs does not
    /// take the loop's registers.
    #[cold]
    #[inline(never)]
    fn renew_one(&self, table: &Table, lease: Lease, now: Mono) -> Beat {
        table
            .find(lease.bits(), |slot| self.cell(slot).is_of(lease))
            .map_or(Beat::Unknown, |slot| self.touch(slot, now))
    }

    /// Renews by address. Also tells the instance's beat interval, which Nacos puts into every answer.
    pub fn renew_at(&self, service: ServiceRef<'_>, endpoint: &Endpoint, now: Mono) -> (Beat, Duration) {
        match self.slot_of(self.identity(service, endpoint)) {
            Some(slot) => {
                let cell = self.cell(slot);
                let interval = cell.interval();
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
        self.by_lease
            .table()
            .find(lease.bits(), |slot| self.cell(slot).is_of(lease))
    }

    #[inline]
    pub(crate) fn cell(&self, slot: u32) -> &Cell {
        let slot = slot as usize;
        &self.blocks[slot / BLOCK].get_or_init(|| (0..BLOCK).map(|_| Cell::default()).collect())[slot % BLOCK]
    }

    #[inline]
    fn touch(&self, slot: u32, now: Mono) -> Beat {
        let cell = self.cell(slot);
        if cell.touch(now) {
            Beat::Renewed
        } else {
            self.heard(cell, slot, now)
        }
    }

    /// A beat that is not like the others: of one that was not expected to beat, or not any more, or not so late.
    #[cold]
    #[inline(never)]
    fn heard(&self, cell: &Cell, slot: u32, now: Mono) -> Beat {
        let beating = cell.beating.load(Ordering::Relaxed);
        if beating >> INTERVAL_SHIFT == 0 {
            return Beat::NotBeating;
        }
        if let Some(gap) = cell.advance(now)
            && gap >= late_micros(beating >> INTERVAL_SHIFT << INTERVAL_SHIFT)
        {
            let late = LateBeat {
                at: now,
                gap: Duration::from_micros(gap),
            };
            self.late
                .note(slot, cell.identity.1.load(Ordering::Relaxed), late);
        }
        // Looked at only now: that the owner is to be told may have been said since.
        let flags = cell.beating.load(Ordering::Relaxed);
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

    /// How the instance in this cell beats.
    pub(crate) fn reading(&self, slot: u32) -> BeatReading {
        let cell = self.cell(slot);
        BeatReading {
            last_gap: cell.last_gap(),
            late: self.late.read(slot, cell.identity.1.load(Ordering::Acquire)),
        }
    }

    fn take_unconfirmed(&self, cell: &Cell) -> u32 {
        let flags = cell.beating.fetch_and(!UNCONFIRMED, Ordering::AcqRel);
        if flags & UNCONFIRMED != 0 {
            self.unconfirmed.fetch_sub(1, Ordering::AcqRel);
        }
        flags
    }

    /// Marks the cell: nothing was heard of its instance since the restart. Owner only.
    pub(crate) fn set_unconfirmed(&self, slot: u32) {
        let before = self.cell(slot).beating.fetch_or(UNCONFIRMED, Ordering::AcqRel);
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
        cell.begin_gaps(now);
        let interval_ms = interval.map_or(0, |interval| {
            let most = u128::from(u32::MAX >> INTERVAL_SHIFT);
            interval.as_millis().clamp(1, most) as u32
        });
        cell.beating
            .store(interval_ms << INTERVAL_SHIFT, Ordering::Relaxed);
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
        cell.beating.store(0, Ordering::Relaxed);
        let lease = cell.lease.swap(0, Ordering::AcqRel);
        let identity = cell.identity.0.swap(0, Ordering::AcqRel);
        cell.identity.1.store(0, Ordering::Release);
        self.by_lease.remove(lease, slot);
        self.by_identity.remove(identity, slot);
    }
}

impl Cell {
    /// The one thing that a beat does if it is like most: in time, later than the one before, and nobody waits for it.
    /// Says so; nothing is done about another.
    ///
    /// The store and the look at the flag are not ordered against the owner, who sets the flag and looks at the
    /// time: both may just miss each other. That would need a fence in every beat; instead the owner looks again one
    /// tick after it found an instance silent.
    #[inline]
    fn touch(&self, now: Mono) -> bool {
        let beating = self.beating.load(Ordering::Relaxed);
        let last = self.last_beat.load(Ordering::Relaxed);
        // A time before the last becomes a very long gap, and one that takes no beats has none that is short enough.
        let in_time = now.0.wrapping_sub(last) < late_micros(beating);
        if beating & (SILENT | UNCONFIRMED) != 0 || !in_time {
            return false;
        }
        self.store(last, now);
        true
    }

    /// Takes a beat that may be anything. Returns the gap before it in microseconds, or `None` if it came too late to
    /// count.
    ///
    /// Never back: beats of one instance may pass each other between reading the clock and arriving here.
    fn advance(&self, now: Mono) -> Option<u64> {
        let last = self.last_beat.load(Ordering::Relaxed);
        let gap = now.0.checked_sub(last).filter(|gap| *gap > 0)?;
        // Of a gap that does not fit the longest that does.
        self.store(last.max(now.0.saturating_sub(BEFORE_MAX)), now);
        Some(gap)
    }

    /// Two stores instead of one `fetch_max`: the cell is in the cache already, and of two beats that race one is as good
    /// as the other. Who reads the newer time finds what belongs to it.
    #[inline]
    fn store(&self, before: u64, now: Mono) {
        self.before
            .store((before >> BEFORE_SHIFT) as u32, Ordering::Relaxed);
        self.last_beat.store(now.0, Ordering::Release);
    }

    /// What comes next is the first gap.
    fn begin_gaps(&self, now: Mono) {
        self.before
            .store((now.0 >> BEFORE_SHIFT) as u32, Ordering::Relaxed);
    }

    /// The gap before the last beat; `None` if that was the first.
    fn last_gap(&self) -> Option<Duration> {
        let last = self.last_beat.load(Ordering::Acquire);
        let before = self.before.load(Ordering::Relaxed);
        let units = ((last >> BEFORE_SHIFT) as u32).wrapping_sub(before);
        let rest = last & ((1 << BEFORE_SHIFT) - 1);
        (units > 0).then(|| Duration::from_micros((u64::from(units) << BEFORE_SHIFT) + rest))
    }

    /// How often the instance means to beat; 0 of one that takes no beats.
    fn interval(&self) -> Duration {
        let beating = self.beating.load(Ordering::Relaxed);
        Duration::from_millis((beating >> INTERVAL_SHIFT).into())
    }

    pub(crate) fn is(&self, identity: Identity) -> bool {
        self.identity.0.load(Ordering::Acquire) == identity.0
            && self.identity.1.load(Ordering::Acquire) == identity.1
    }

    fn is_of(&self, lease: Lease) -> bool {
        self.lease.load(Ordering::Acquire) == lease.bits()
    }

    pub(crate) fn last_beat(&self) -> Mono {
        Mono(self.last_beat.load(Ordering::Acquire))
    }

    /// Starts its silence anew, without a beat.
    pub(crate) fn restart(&self, now: Mono) {
        if self.last_beat.fetch_max(now.0, Ordering::AcqRel) < now.0 {
            self.begin_gaps(now);
        }
    }

    pub(crate) fn lease(&self) -> Option<Lease> {
        Lease::from_bits(self.lease.load(Ordering::Acquire))
    }

    /// Whether nothing was heard of it since the restart.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        self.beating.load(Ordering::Acquire) & UNCONFIRMED != 0
    }

    /// Whether a beat must tell the owner.
    pub(crate) fn is_silent(&self) -> bool {
        self.beating.load(Ordering::Acquire) & SILENT != 0
    }

    /// Says whether the next beat must tell the owner.
    pub(crate) fn set_silent(&self, silent: bool) {
        if silent {
            self.beating.fetch_or(SILENT, Ordering::AcqRel);
        } else {
            self.beating.fetch_and(!SILENT, Ordering::AcqRel);
        }
    }
}

/// A gap that makes a beat late, in microseconds, of a cell whose flags are clear; [`late_from`](super::late_from) in
/// other words.
#[inline]
fn late_micros(beating: u32) -> u64 {
    u64::from(beating) * LATE
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

    /// A table with one instance in cell 9, registered at 1 s, and its lease.
    fn one(interval: Option<Duration>) -> (Beats, Identity, Lease) {
        let beats = Beats::default();
        let identity = Identity(1 << 40, 2 << 40);
        beats.occupy(9, identity, lease(5), interval, Mono(1_000_000));
        (beats, identity, lease(5))
    }

    /// What the beat of the one did.
    fn beat(beats: &Beats, lease: Lease, micros: u64) -> Beat {
        let mut outcome = Beat::Renewed;
        beats.renew(&[lease], Mono(micros), |_, other| outcome = other);
        outcome
    }

    fn late(beats: &Beats) -> Vec<(u64, u128)> {
        let late = beats.reading(9).late;
        late.iter()
            .map(|late| (late.at.0, late.gap.as_millis()))
            .collect()
    }

    #[test]
    fn a_beat_is_late_from_one_and_a_half_intervals_on() {
        for interval_ms in [1, 5_000, 86_400_000] {
            let interval = Duration::from_millis(interval_ms);
            let from = super::super::late_from(interval).as_micros() as u64;
            let (beats, _, lease) = one(Some(interval));
            assert_eq!(beats.reading(9), BeatReading::default());
            let in_time = 1_000_000 + from - 1;
            assert_eq!(beat(&beats, lease, in_time), Beat::Renewed);
            assert_eq!(beats.cell(9).last_beat(), Mono(in_time));
            assert_eq!(late(&beats), []);
            assert_eq!(beat(&beats, lease, in_time + from), Beat::Renewed);
            assert_eq!(late(&beats), [(in_time + from, u128::from(from / 1_000))]);
            let last_gap = beats.reading(9).last_gap.unwrap().as_micros() as u64;
            assert!((from..from + 256).contains(&last_gap), "{last_gap}");
        }
    }

    #[test]
    fn the_last_gap_is_told_of_any_length() {
        let (beats, _, lease) = one(Some(Duration::from_secs(5)));
        let mut now = 1_000_000;
        let day = 86_400_000_000;
        for gap in [1_000_001, 4_999_999, 77_000_123, day, 12 * day] {
            now += gap;
            assert_eq!(beat(&beats, lease, now), Beat::Renewed);
            let told = beats.reading(9).last_gap.unwrap().as_micros() as u64;
            assert!((gap..gap + 256).contains(&told), "{told} for {gap}");
        }
        // Longer than fits: the longest that does.
        assert_eq!(beat(&beats, lease, now + 100 * day), Beat::Renewed);
        assert!(beats.reading(9).last_gap.unwrap() > Duration::from_secs(12 * 86_400));
    }

    #[test]
    fn a_beat_from_before_the_last_changes_nothing() {
        let (beats, _, lease) = one(Some(Duration::from_secs(5)));
        assert_eq!(beat(&beats, lease, 3_000_000), Beat::Renewed);
        let before = beats.reading(9);
        assert_eq!(beat(&beats, lease, 2_000_000), Beat::Renewed);
        assert_eq!(beats.cell(9).last_beat(), Mono(3_000_000));
        assert_eq!(beats.reading(9), before);
        assert_eq!(before.late, []);
    }

    #[test]
    fn silence_that_counts_anew_makes_no_gap() {
        let (beats, _, lease) = one(Some(Duration::from_secs(5)));
        beat(&beats, lease, 3_000_000);
        beats.cell(9).restart(Mono(60_000_000));
        assert_eq!(beats.reading(9), BeatReading::default());
        beat(&beats, lease, 62_000_000);
        let gap = beats.reading(9).last_gap.unwrap();
        assert_eq!((gap.as_secs(), late(&beats)), (2, vec![]));
    }

    #[test]
    fn a_late_beat_of_a_silent_or_unconfirmed_instance_is_noted_and_told() {
        let (beats, _, lease) = one(Some(Duration::from_secs(5)));
        beats.cell(9).set_silent(true);
        beats.set_unconfirmed(9);
        assert_eq!(beat(&beats, lease, 21_000_000), Beat::Returned(9));
        assert_eq!(beats.unconfirmed(), 0);
        beats.cell(9).set_silent(false);
        beats.set_unconfirmed(9);
        assert_eq!(beat(&beats, lease, 31_000_000), Beat::Renewed);
        assert_eq!(beat(&beats, lease, 32_000_000), Beat::Renewed);
        assert_eq!(late(&beats), [(31_000_000, 10_000), (21_000_000, 20_000)]);
    }

    #[test]
    fn one_that_takes_no_beats_refuses_each() {
        let (beats, _, lease) = one(None);
        for flagged in [false, true] {
            beats.cell(9).set_silent(flagged);
            // Before, at and after the moment of its registration.
            for micros in [0, 1_000_000, 1_000_001, 90_000_000] {
                assert_eq!(beat(&beats, lease, micros), Beat::NotBeating);
            }
        }
        assert_eq!(beats.cell(9).last_beat(), Mono(1_000_000));
    }

    #[test]
    fn a_new_instance_in_a_cell_inherits_no_late_beats() {
        let (beats, identity, old) = one(Some(Duration::from_secs(5)));
        beat(&beats, old, 31_000_000);
        // The next registration of the same one does.
        beats.occupy(
            9,
            identity,
            lease(6),
            Some(Duration::from_secs(5)),
            Mono(32_000_000),
        );
        assert_eq!(beats.reading(9).last_gap, None);
        assert_eq!(late(&beats), [(31_000_000, 30_000)]);
        beats.vacate(9);
        beats.occupy(
            9,
            Identity(3 << 40, 4 << 40),
            lease(7),
            Some(Duration::from_secs(5)),
            Mono(33_000_000),
        );
        assert_eq!(beats.reading(9), BeatReading::default());
    }
}
