//! How late probes begin, in a bounded number of counts.

use std::time::Duration;

/// Counts by powers of two of a millisecond: below 1 ms, below 2 ms, and so on; the last one is open.
const BUCKETS: usize = 18;

/// How late things were, by and large.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lateness {
    counts: [u64; BUCKETS],
    max: Duration,
}

impl Lateness {
    /// One more was so late.
    pub fn note(&mut self, late: Duration) {
        let ms = u64::try_from(late.as_millis()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - ms.leading_zeros()) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.max = self.max.max(late);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The latest of all.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Each count with its upper bound in milliseconds, from the shortest; `None` for the open one.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        self.counts.iter().enumerate().map(|(bucket, count)| {
            let bound = (bucket < BUCKETS - 1).then(|| 1 << bucket);
            (bound, *count)
        })
    }

    /// A time below which this share, in thousandths, of all lie: the bound of a count, or the latest of all if that is
    /// less.
    #[must_use]
    pub fn percentile(&self, thousandths: u64) -> Duration {
        let wanted = (self.count() * thousandths).div_ceil(1_000);
        let mut seen = 0;
        for (bound, count) in self.buckets() {
            seen += count;
            if seen >= wanted {
                return bound.map_or(self.max, |ms| self.max.min(Duration::from_millis(ms)));
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_bounds_that_are_never_too_small_and_at_most_twice_too_large() {
        let mut lateness = Lateness::default();
        assert_eq!(lateness.percentile(990), Duration::ZERO);
        for ms in 0..1_000 {
            lateness.note(Duration::from_millis(ms));
        }
        assert_eq!(lateness.count(), 1_000);
        for thousandths in [1, 100, 500, 900, 990, 1_000] {
            let (exact, told) = (
                thousandths - 1,
                lateness.percentile(thousandths).as_millis() as u64,
            );
            assert!(
                told >= exact && told <= (exact * 2).max(1),
                "{thousandths}: {told}"
            );
        }
        assert_eq!(lateness.max(), Duration::from_millis(999));
        lateness.note(Duration::from_secs(100_000));
        assert_eq!(lateness.percentile(1_000), Duration::from_secs(100_000));
    }
}
