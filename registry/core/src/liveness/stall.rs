//! Time as instances live it: monotonic time without what this process slept through.
//!
//! When the process is stopped, paused or starved, beats pile up unread and deadlines pass unheard. Whoever then
//! looked at the clock would find everyone silent. So the owner shows this clock the time at least every
//! [`LOOK_INTERVAL`](LivenessClock::LOOK_INTERVAL); a gap of [`STALL_MIN`] or more is a stall and is taken out of
//! liveness time, which extends every deadline by it. Beats read the clock as well and find a stall as soon as the
//! owner would, whoever wakes first: a beat may not be stamped with time that is then taken away.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::Mono;

/// A gap from here on is a stall.
pub const STALL_MIN: Duration = Duration::from_secs(1);

/// Turns monotonic time into liveness time.
#[derive(Debug)]
pub struct LivenessClock {
    /// When the owner last looked, monotonic microseconds.
    seen: AtomicU64,
    /// All stalls together, in microseconds. Stored before `seen`, read after it.
    stalled: AtomicU64,
    /// Held only to account for a stall, once for each.
    accounting: Mutex<()>,
}

impl LivenessClock {
    /// How often the owner must look at least, so that its idleness is not taken for a stall.
    pub const LOOK_INTERVAL: Duration = Duration::from_millis(200);

    /// A clock without stalls so far.
    #[must_use]
    pub fn new(now: Mono) -> Self {
        Self {
            seen: AtomicU64::new(now.0),
            stalled: AtomicU64::new(0),
            accounting: Mutex::new(()),
        }
    }

    /// The liveness time at `now`. Takes a lock only right after a stall.
    #[inline]
    pub fn at(&self, now: Mono) -> Mono {
        let seen = self.seen.load(Ordering::Acquire);
        if now.0.saturating_sub(seen) >= STALL_MIN.as_micros() as u64 {
            self.account(now);
        }
        Mono(now.0.saturating_sub(self.stalled.load(Ordering::Acquire)))
    }

    /// The owner's look. Returns the stall that it found, if any.
    pub fn look(&self, now: Mono) -> (Mono, Option<Duration>) {
        let before = self.stalled();
        let live = self.at(now);
        self.seen.fetch_max(now.0, Ordering::AcqRel);
        let stall = self.stalled() - before;
        (live, (!stall.is_zero()).then_some(stall))
    }

    /// All stalls together.
    #[must_use]
    pub fn stalled(&self) -> Duration {
        Duration::from_micros(self.stalled.load(Ordering::Acquire))
    }

    #[cold]
    fn account(&self, now: Mono) {
        // Nothing that could panic runs under this lock, so poison means nothing.
        let _held = self
            .accounting
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let gap = now.0.saturating_sub(self.seen.load(Ordering::Acquire));
        if gap >= STALL_MIN.as_micros() as u64 {
            self.stalled.fetch_add(gap, Ordering::AcqRel);
            self.seen.store(now.0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Mono {
        Mono(ms * 1_000)
    }

    #[test]
    fn a_stall_is_taken_out_of_liveness_time_once() {
        let clock = LivenessClock::new(at_ms(0));
        assert_eq!(clock.look(at_ms(200)), (at_ms(200), None));
        // Stopped for 40 s; a beat comes before the owner wakes.
        assert_eq!(clock.at(at_ms(40_200)), at_ms(200));
        assert_eq!(clock.look(at_ms(40_210)), (at_ms(210), None));
        assert_eq!(clock.stalled(), Duration::from_secs(40));
        // Stopped again; the owner wakes first.
        assert_eq!(
            clock.look(at_ms(50_210)),
            (at_ms(210), Some(Duration::from_secs(10)))
        );
        assert_eq!(clock.at(at_ms(50_220)), at_ms(220));
    }

    #[test]
    fn liveness_time_never_runs_backwards() {
        let clock = LivenessClock::new(at_ms(0));
        let mut last = at_ms(0);
        for now in [0, 150, 300, 1_200, 2_400, 2_500, 60_000, 60_001, 60_900] {
            let (live, _) = clock.look(at_ms(now));
            assert!(live >= last, "{now}");
            last = live;
        }
    }

    #[test]
    fn a_short_gap_is_no_stall() {
        let clock = LivenessClock::new(at_ms(0));
        assert_eq!(clock.look(at_ms(999)), (at_ms(999), None));
    }
}
