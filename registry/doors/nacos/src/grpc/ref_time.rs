//! `lastRefTime`: when a list was told, in milliseconds, and always later than the one before.
//!
//! Go's and Python's clients take no list whose time is not later than that of the list they have, and Java's and Rust's
//! none whose is earlier. Two lists of one service may be told to one client within a millisecond; so each client is told
//! times that grow, by at least one. Kept for each connection, not for all of them: a service that is asked for ten
//! thousand times a second would soon be told times of tomorrow.

use beatrix_core::model::{ServiceRef, Wall};
use parking_lot::Mutex;

/// Services share a number when their names come to the same place: that does no harm but to the time.
const PLACES: usize = 16;

/// The last times that one client was told.
#[derive(Debug, Default)]
pub(super) struct RefTimes(Mutex<Option<Box<[u64; PLACES]>>>);

impl RefTimes {
    /// Reads a service, and gives the time of that. Both at once, so that of two lists the one with the later time never
    /// has the earlier state: a client would keep that until the next change. `read` only takes a view.
    pub(super) fn reading<T>(
        &self,
        service: ServiceRef<'_>,
        now: Wall,
        read: impl FnOnce() -> T,
    ) -> (T, Wall) {
        let mut times = self.0.lock();
        let last = &mut times.get_or_insert_default()[place(service)];
        *last = now.0.max(*last + 1);
        (read(), Wall(*last))
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
        let told = [1_000, 1_000, 1_000, 500, 2_000].map(|now| times.reading(service, Wall(now), || ()).1.0);
        assert_eq!(told, [1_000, 1_001, 1_002, 1_003, 2_000]);
    }
}
