//! `lastRefTime`: when a list was told, in milliseconds, and always later than the one before.
//!
//! Go's and Python's clients take no list whose time is not later than that of the list they have, and Java's and Rust's
//! none whose is earlier. Two lists of one service may be told to one client within a millisecond; so each client is told
//! times that grow, by at least one. Kept for each connection, not for all of them: a service that is asked for ten
//! thousand times a second would soon be told times of tomorrow.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use beatrix_core::model::{ServiceRef, Wall};

/// Services share a number when their names come to the same place: that does no harm but to the time.
const PLACES: usize = 16;

/// The last times that one client was told.
#[derive(Debug, Default)]
pub(super) struct RefTimes(OnceLock<Box<[AtomicU64; PLACES]>>);

impl RefTimes {
    /// The next time for a list of this service.
    pub(super) fn next(&self, service: ServiceRef<'_>, now: Wall) -> Wall {
        let times = self.0.get_or_init(Box::default);
        let last = &times[place(service)];
        let later = |last: u64| Some(now.0.max(last + 1));
        match last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later) {
            Ok(last) | Err(last) => Wall(now.0.max(last + 1)),
        }
    }
}

/// FNV-1a of the name.
fn place(service: ServiceRef<'_>) -> usize {
    let hash = service
        .name
        .bytes()
        .chain(service.group.bytes())
        .fold(0x811C_9DC5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    hash as usize % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_service_grow_though_the_clock_stands_or_goes_back() {
        let service = ServiceRef {
            namespace: "public",
            group: "g",
            name: "s",
        };
        let times = RefTimes::default();
        let told = [1_000, 1_000, 1_000, 500, 2_000].map(|now| times.next(service, Wall(now)).0);
        assert_eq!(told, [1_000, 1_001, 1_002, 1_003, 2_000]);
    }
}
