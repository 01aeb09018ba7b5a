//! How regularly an instance beats: the last gaps between its beats, for people.
//!
//! Written by every beat, and so as cheap as can be: 24 bytes beside what a beat writes anyway, no lock, nothing that is
//! ordered. Two beats of one instance that race may lose one gap; nothing is decided by it.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// How many gaps are kept.
pub const GAPS_KEPT: usize = 8;

/// Microseconds in what gaps are counted in.
const UNIT: u64 = 10_000;

/// The gaps before the last beats of one instance.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    /// Four gaps each in 16 bits, in hundredths of a second; the newest lowest.
    newer: AtomicU64,
    older: AtomicU64,
    count: AtomicU32,
    /// In hundredths of a second.
    longest: AtomicU32,
}

/// How an instance beat since it was registered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BeatReading {
    /// How many beats came.
    pub beats: u32,
    /// The gaps before the newest of them, newest first, at most [`GAPS_KEPT`]; to a hundredth of a second, and at most
    /// 655.35 s. What came before the first of all beats is its registration.
    pub gaps: Vec<Duration>,
    /// The longest of all gaps, to a hundredth of a second.
    pub longest: Duration,
}

impl Gaps {
    #[inline]
    pub(super) fn push(&self, micros: u64) {
        let gap = (micros / UNIT).min(u64::from(u32::MAX));
        let newer = self.newer.load(Ordering::Relaxed);
        let older = self.older.load(Ordering::Relaxed);
        self.older.store(older << 16 | newer >> 48, Ordering::Relaxed);
        self.newer
            .store(newer << 16 | gap.min(u64::from(u16::MAX)), Ordering::Relaxed);
        let count = self.count.load(Ordering::Relaxed);
        self.count.store(count.saturating_add(1), Ordering::Relaxed);
        if gap > u64::from(self.longest.load(Ordering::Relaxed)) {
            self.longest.store(gap as u32, Ordering::Relaxed);
        }
    }

    pub(super) fn clear(&self) {
        self.count.store(0, Ordering::Relaxed);
        self.longest.store(0, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> BeatReading {
        let beats = self.count.load(Ordering::Relaxed);
        let (newer, older) = (
            self.newer.load(Ordering::Relaxed),
            self.older.load(Ordering::Relaxed),
        );
        let gap = |place: usize| {
            let four = if place < 4 { newer } else { older };
            four >> (place % 4 * 16) & u64::from(u16::MAX)
        };
        let of = |units: u64| Duration::from_micros(units * UNIT);
        BeatReading {
            beats,
            gaps: (0..GAPS_KEPT.min(beats as usize))
                .map(|place| of(gap(place)))
                .collect(),
            longest: of(self.longest.load(Ordering::Relaxed).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_eight_gaps_are_kept_newest_first() {
        let gaps = Gaps::default();
        assert_eq!(gaps.read(), BeatReading::default());
        for second in 1..=11 {
            gaps.push(second * 1_000_000 + 4_999);
            let expected: Vec<_> = (1..=second).rev().take(8).map(Duration::from_secs).collect();
            assert_eq!(gaps.read().gaps, expected);
        }
        let reading = gaps.read();
        assert_eq!((reading.beats, reading.longest), (11, Duration::from_secs(11)));
        gaps.push(3_600_000_000);
        let reading = gaps.read();
        assert_eq!(reading.gaps[0], Duration::from_millis(655_350));
        assert_eq!(reading.longest, Duration::from_secs(3_600));
        gaps.clear();
        assert_eq!(gaps.read(), BeatReading::default());
    }
}
