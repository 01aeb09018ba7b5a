//! How many requests instances have in flight, as they say themselves.
//!
//! Few say it, and mostly while they drain: so it stands beside the instances, by lease.

use std::collections::HashMap;

use beatrix_core::model::{Lease, Wall};

/// From so many on, those of leases that are gone are looked for.
const LOOK_FROM: usize = 64;

/// How many requests an instance has in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// How many.
    pub count: u64,
    /// When it said so.
    pub at: Wall,
}

/// What was said last, by lease. Each report has a number, so that it is known which of two things came first whatever
/// the clocks do.
#[derive(Debug, Default)]
pub(super) struct Reports {
    by_lease: HashMap<Lease, (u64, InFlight)>,
    newest: u64,
    look_at: usize,
}

impl Reports {
    /// Takes a report.
    pub(super) fn take(&mut self, lease: Lease, in_flight: InFlight, is_known: impl Fn(Lease) -> bool) {
        self.newest += 1;
        self.by_lease.insert(lease, (self.newest, in_flight));
        if self.by_lease.len() > self.look_at.max(LOOK_FROM) {
            self.by_lease.retain(|lease, _| is_known(*lease));
            // Each is looked at twice at most, however many there are.
            self.look_at = 2 * self.by_lease.len();
        }
    }

    /// What this one said last, and the number of that.
    pub(super) fn of(&self, lease: Lease) -> Option<(u64, InFlight)> {
        self.by_lease.get(&lease).copied()
    }

    /// The number of the newest report.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gone_instances_said_is_forgotten() {
        let mut reports = Reports::default();
        let lease = |bits| Lease::from_bits(bits).unwrap();
        for number in 1..=10_000 {
            let said = InFlight {
                count: number,
                at: Wall(0),
            };
            // All but the newest ten have gone.
            reports.take(lease(number), said, |known| {
                (number - 9..=number).any(|it| lease(it) == known)
            });
            assert!(reports.by_lease.len() <= LOOK_FROM + 1);
        }
        assert_eq!(
            reports.of(lease(10_000)).map(|(_, said)| said.count),
            Some(10_000)
        );
        assert_eq!((reports.newest(), reports.of(lease(1))), (10_000, None));
    }
}
