//! How regularly an instance beats: the gap before its last beat, and the late ones before that. For people; nothing is
//! decided by it.
//!
//! A beat in time leaves nothing here: what it writes lies in its cell. Only one that is late comes by, and notes its gap
//! in a table of fixed size, which takes no lock and allocates nothing either. All instances share it: each set of
//! [`LATE_KEPT`] places is that of a few instances, in a very large registry of hundreds, and the newest push out the oldest.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use std::time::Duration;

use crate::model::Mono;

/// How many late beats are kept of one instance at most.
pub const LATE_KEPT: usize = 8;

/// Below so many instances, none shares its places with another.
const SETS: usize = 4096;

/// How an instance beat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BeatReading {
    /// The gap before its newest beat, at most a quarter of a millisecond too long. What comes before the
    /// first is its registration, or the moment from which its silence was counted anew. `None` before the first, and of
    /// two that came at once.
    pub last_gap: Option<Duration>,
    /// The newest of its late beats, newest first, at most [`LATE_KEPT`], also those before it registered again.
    /// Fewer where more than 4,096 instances share the places.
    pub late: Vec<LateBeat>,
}

/// A beat that came late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateBeat {
    /// When it came.
    pub at: Mono,
    /// How long the silence before it was, in whole milliseconds; at most 49 days.
    pub gap: Duration,
}

/// A gap as long as this, or longer, makes a beat late: one and a half intervals.
#[must_use]
pub fn late_from(interval: Duration) -> Duration {
    interval * 3 / 2
}

/// The late beats of all instances.
#[derive(Debug)]
pub(super) struct LateGaps {
    sets: Box<[Set]>,
}

#[derive(Debug, Default)]
struct Set {
    /// Where the next one goes, counted on without end.
    next: AtomicU8,
    places: [Place; LATE_KEPT],
}

#[derive(Debug, Default)]
struct Place {
    /// Liveness time in microseconds.
    at: AtomicU64,
    /// Whose it is, in the upper half, and the gap in milliseconds. 0 while nothing is there.
    what: AtomicU64,
}

impl Default for LateGaps {
    fn default() -> Self {
        Self {
            sets: (0..SETS).map(|_| Set::default()).collect(),
        }
    }
}

impl LateGaps {
    /// Notes a late beat. `whose` tells apart those who share a set: of its bits only the upper half is kept.
    ///
    /// Waits for nobody. Should the places of a set go round once while somebody is in the midst of noting, two late
    /// beats may become one that never was; that takes eight of them within nanoseconds.
    pub(super) fn note(&self, slot: u32, whose: u64, late: LateBeat) {
        let set = &self.sets[slot as usize % SETS];
        let next = set.next.fetch_add(1, Ordering::Relaxed);
        let place = &set.places[usize::from(next) % LATE_KEPT];
        let gap = u32::try_from(late.gap.as_millis()).unwrap_or(u32::MAX);
        // Emptied while it changes: a reader takes a place only if it is the same before and after.
        place.what.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        place.at.store(late.at.0, Ordering::Relaxed);
        place
            .what
            .store(owner(whose) | u64::from(gap.max(1)), Ordering::Release);
    }

    /// The late beats of one instance, newest first.
    pub(super) fn read(&self, slot: u32, whose: u64) -> Vec<LateBeat> {
        let places = &self.sets[slot as usize % SETS].places;
        let mut late: Vec<LateBeat> = places
            .iter()
            .filter_map(Place::read)
            .filter_map(|(what, at)| {
                let gap = Duration::from_millis(what & u64::from(u32::MAX));
                (owner(what) == owner(whose)).then_some(LateBeat { at, gap })
            })
            .collect();
        late.sort_unstable_by_key(|late| std::cmp::Reverse(late.at));
        late
    }
}

impl Place {
    fn read(&self) -> Option<(u64, Mono)> {
        let what = self.what.load(Ordering::Acquire);
        let at = self.at.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let same = self.what.load(Ordering::Relaxed) == what;
        (what != 0 && same).then_some((what, Mono(at)))
    }
}

fn owner(bits: u64) -> u64 {
    bits & !u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u64 = 7 << 32;
    const OTHER: u64 = 8 << 32;

    fn late(second: u64) -> LateBeat {
        LateBeat {
            at: Mono(second * 1_000_000),
            gap: Duration::from_secs(second),
        }
    }

    #[test]
    fn the_last_eight_late_beats_are_kept_newest_first() {
        let gaps = LateGaps::default();
        assert_eq!(gaps.read(5, ME), []);
        // More than a count of places goes round.
        for second in 1..=600 {
            gaps.note(5, ME, late(second));
            let expected: Vec<_> = (1..=second).rev().take(LATE_KEPT).map(late).collect();
            assert_eq!(gaps.read(5, ME), expected);
        }
        assert_eq!(gaps.read(6, ME), [], "that is somebody else's set");
    }

    #[test]
    fn who_shares_a_set_is_told_apart() {
        let gaps = LateGaps::default();
        gaps.note(5, ME | 1, late(1));
        gaps.note(5 + SETS as u32, OTHER, late(2));
        assert_eq!(gaps.read(5, ME | 2), [late(1)]);
        assert_eq!(gaps.read(5 + SETS as u32, OTHER), [late(2)]);
        for second in 3..=10 {
            gaps.note(5 + SETS as u32, OTHER, late(second));
        }
        assert_eq!(gaps.read(5, ME), [], "pushed out");
    }

    #[test]
    fn gaps_beyond_what_fits_are_the_longest_that_does() {
        let gaps = LateGaps::default();
        let year = Duration::from_secs(365 * 24 * 3_600);
        gaps.note(
            0,
            ME,
            LateBeat {
                at: Mono(1),
                gap: year,
            },
        );
        assert_eq!(gaps.read(0, ME)[0].gap, Duration::from_millis(u32::MAX.into()));
    }

    #[test]
    fn a_reader_beside_writers_sees_only_whole_entries() {
        let gaps = LateGaps::default();
        std::thread::scope(|scope| {
            for writer in 1..=2 {
                let gaps = &gaps;
                scope.spawn(move || {
                    // Each gap is told by its time, and nobody is lapped: the other writes another set.
                    for second in 1..100_000 {
                        gaps.note(writer, ME, late(second));
                    }
                });
            }
            for _ in 0..20_000 {
                for seen in gaps.read(1, ME) {
                    assert_eq!(seen.at.0, seen.gap.as_micros() as u64);
                }
            }
        });
    }
}
