//! How often somebody may do something: so many at once, and then so many a second.
//!
//! The generic cell rate algorithm: of each key is kept when it would have used up what it may, and nothing else. Keys
//! that are idle leave by themselves, and there are no more of them than a bound: `moka` keeps both.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use beatrix_core::model::Mono;
use moka::sync::Cache;

/// A pace for each key.
pub(crate) struct Pace<K> {
    /// When a key is even again, in microseconds.
    even: Cache<K, Arc<AtomicU64>, ahash::RandomState>,
    /// The time between two, in microseconds.
    every: u64,
    /// How far ahead of its time a key may be.
    ahead: u64,
}

impl<K> fmt::Debug for Pace<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace")
            .field("every", &self.every)
            .field("ahead", &self.ahead)
            .finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Pace<K> {
    /// `burst` at once, and then `per_second`; for `keys_max` keys at most. Beyond that the one that is used least is
    /// forgotten, and may begin anew.
    pub(crate) fn new(per_second: u32, burst: u32, keys_max: u64) -> Self {
        let every = 1_000_000 / u64::from(per_second.max(1));
        let ahead = every * u64::from(burst.max(1));
        Self {
            even: Cache::builder()
                .max_capacity(keys_max)
                .time_to_idle(Duration::from_micros(ahead).max(Duration::from_secs(1)) * 2)
                .build_with_hasher(ahash::RandomState::new()),
            every,
            ahead,
        }
    }

    /// Whether `key` may do it now, and counts it if so.
    ///
    /// # Errors
    /// How long it has to wait.
    pub(crate) fn take(&self, key: K, now: Mono) -> Result<(), Duration> {
        let even = self.even.get_with(key, Arc::default);
        let taken = even.fetch_update(Ordering::AcqRel, Ordering::Acquire, |even| {
            let after = even.max(now.0) + self.every;
            (after - now.0 <= self.ahead).then_some(after)
        });
        taken.map(drop).map_err(|even| {
            let after = even.max(now.0) + self.every;
            Duration::from_micros(after.saturating_sub(now.0 + self.ahead))
        })
    }

    /// Of how many keys something is kept, or about.
    pub(crate) fn keys(&self) -> u64 {
        self.even.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_ms(ms: u64) -> Mono {
        Mono(ms * 1_000)
    }

    #[test]
    fn a_burst_and_then_so_many_a_second_each_key_for_itself() {
        let pace = Pace::new(2, 3, 100);
        let took = |key, ms| pace.take(key, at_ms(ms)).is_ok();
        assert_eq!([0, 0, 0, 0].map(|ms| took("a", ms)), [true, true, true, false]);
        assert!(took("b", 0));
        assert_eq!(pace.take("a", at_ms(100)), Err(Duration::from_millis(400)));
        assert_eq!(
            [499, 500, 501, 1_000].map(|ms| took("a", ms)),
            [false, true, false, true]
        );
        // Who was idle for long has a burst again, and no more than that.
        assert_eq!([60_000; 4].map(|ms| took("a", ms)), [true, true, true, false]);
    }

    #[test]
    fn there_are_no_more_keys_than_the_bound() {
        let pace = Pace::new(1, 1, 10);
        for key in 0..1_000 {
            let _refused_if_known = pace.take(key, at_ms(0));
        }
        pace.even.run_pending_tasks();
        assert!(pace.keys() <= 10, "{}", pace.keys());
    }
}
