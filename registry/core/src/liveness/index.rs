//! From 64 random bits to a slot, without a lock: the table behind leases and beat addresses.
//!
//! Open addressing with linear probing over two arrays of atomics. One writer, any number of readers. A reader that
//! runs beside the writer may see a stale slot; it is harmless, because every hit is verified against the slot
//! itself, whose owner bits change first when it is given away.
//!
//! Growing makes a new pair of arrays and swaps it in. A reader that still holds the old pair may miss an entry that
//! was inserted after it began, which nobody can expect it to find.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// Marks a place that was never used: a probe ends here.
const EMPTY: u64 = 0;
/// Marks a place whose entry is gone: a probe goes on.
const GONE: u64 = u64::MAX;

const CAPACITY_MIN: usize = 64;

#[derive(Debug)]
pub(super) struct Table {
    keys: Box<[AtomicU64]>,
    slots: Box<[AtomicU32]>,
}

/// The reader's and writer's side in one; only the catalog's owner may call `insert` and `remove`.
#[derive(Debug)]
pub(super) struct Index {
    table: ArcSwap<Table>,
    /// Places that are not [`EMPTY`], and those that hold an entry. Written by the owner alone.
    used: AtomicU64,
    live: AtomicU64,
}

impl Table {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            keys: (0..capacity).map(|_| AtomicU64::new(EMPTY)).collect(),
            slots: (0..capacity).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// The places to look at for `key`, in order. The bits are random, so they are their own hash.
    #[inline]
    fn places(&self, key: u64) -> impl Iterator<Item = usize> {
        let mask = self.keys.len() - 1;
        let start = key as usize & mask;
        (0..=mask).map(move |step| (start + step) & mask)
    }

    /// The slot of `key` that `verify` accepts. Different owners may share a key.
    #[inline]
    pub(super) fn find(&self, key: u64, verify: impl Fn(u32) -> bool) -> Option<u32> {
        let key = usable(key);
        for place in self.places(key) {
            match self.keys[place].load(Ordering::Acquire) {
                EMPTY => return None,
                found if found == key => {
                    let slot = self.slots[place].load(Ordering::Relaxed);
                    if verify(slot) {
                        return Some(slot);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// What stands at the first place of `key`.
    #[inline]
    pub(super) fn home(&self, key: u64) -> (u64, u32) {
        let place = usable(key) as usize & (self.keys.len() - 1);
        (
            self.keys[place].load(Ordering::Acquire),
            self.slots[place].load(Ordering::Relaxed),
        )
    }

    /// The first slot under `key`, not verified. `home` is what stands at its first place.
    #[inline]
    pub(super) fn candidate(&self, key: u64, home: (u64, u32)) -> Option<u32> {
        if home.0 == usable(key) {
            Some(home.1)
        } else {
            self.find(key, |_| true)
        }
    }

    /// Puts an entry into the first free place. There always is one: the table is never full.
    fn put(&self, key: u64, slot: u32) -> bool {
        for place in self.places(key) {
            let found = self.keys[place].load(Ordering::Relaxed);
            if found == EMPTY || found == GONE {
                self.slots[place].store(slot, Ordering::Relaxed);
                self.keys[place].store(key, Ordering::Release);
                return found == EMPTY;
            }
        }
        unreachable!("an index keeps free places");
    }
}

/// The two marks are no keys; whatever comes as one of them is looked up as its neighbour. Hits are verified anyway.
#[inline]
fn usable(key: u64) -> u64 {
    match key {
        EMPTY => 1,
        GONE => GONE - 1,
        _ => key,
    }
}

impl Index {
    pub(super) fn new() -> Self {
        Self {
            table: ArcSwap::from_pointee(Table::with_capacity(CAPACITY_MIN)),
            used: AtomicU64::new(0),
            live: AtomicU64::new(0),
        }
    }

    /// The table as it is now; one load serves a whole batch of look-ups.
    #[inline]
    pub(super) fn table(&self) -> arc_swap::Guard<Arc<Table>> {
        self.table.load()
    }

    pub(super) fn insert(&self, key: u64, slot: u32) {
        let key = usable(key);
        let mut table = self.table.load_full();
        let used = self.used.load(Ordering::Relaxed) as usize;
        if (used + 1) * 4 > table.keys.len() * 3 {
            table = self.rebuilt(&table);
        }
        let fresh = table.put(key, slot);
        self.used.fetch_add(u64::from(fresh), Ordering::Relaxed);
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, key: u64, slot: u32) {
        let key = usable(key);
        let table = self.table.load_full();
        for place in table.places(key) {
            let found = table.keys[place].load(Ordering::Relaxed);
            if found == key && table.slots[place].load(Ordering::Relaxed) == slot {
                table.keys[place].store(GONE, Ordering::Release);
                self.live.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            if found == EMPTY {
                debug_assert!(false, "an entry is removed once");
                return;
            }
        }
    }

    /// A table of the live entries with room to grow, in place of the old one. At most half full, so that the cost
    /// of copying is spread over as many insertions as there are entries.
    fn rebuilt(&self, old: &Table) -> Arc<Table> {
        let live = self.live.load(Ordering::Relaxed) as usize;
        let table = Arc::new(Table::with_capacity(
            ((live + 1) * 2).next_power_of_two().max(CAPACITY_MIN),
        ));
        for (key, slot) in old.keys.iter().zip(&old.slots) {
            let key = key.load(Ordering::Relaxed);
            if key != EMPTY && key != GONE {
                table.put(key, slot.load(Ordering::Relaxed));
            }
        }
        self.used.store(live as u64, Ordering::Relaxed);
        self.table.store(Arc::clone(&table));
        table
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_map(ops in prop::collection::vec((any::<bool>(), 0_u64..64), 0..2_000)) {
            let index = Index::new();
            let mut model: HashMap<u64, u32> = HashMap::new();
            let mut next = 0;
            // Few keys, so that places are reused, and the marks themselves among them.
            let bits = |key: u64| match key % 7 {
                0 => key.wrapping_sub(7),
                _ => key.wrapping_mul(0x9E37_79B9_7F4A_7C15),
            };
            for (insert, key) in ops {
                let key = bits(key);
                if insert && !model.contains_key(&key) {
                    next += 1;
                    index.insert(key, next);
                    model.insert(key, next);
                } else if let Some(slot) = model.remove(&key) {
                    index.remove(key, slot);
                }
            }
            for key in (0..64).map(bits) {
                let expected = model.get(&key).copied();
                prop_assert_eq!(index.table().find(key, |slot| Some(slot) == expected), expected);
            }
        }
    }

    #[test]
    fn churn_does_not_grow_the_table() {
        let index = Index::new();
        for round in 0..100_000_u64 {
            let key = round.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            index.insert(key, 7);
            index.remove(key, 7);
        }
        assert_eq!(index.table().keys.len(), CAPACITY_MIN);
    }

    #[test]
    fn owners_that_share_a_key_are_told_apart() {
        let index = Index::new();
        index.insert(5, 1);
        index.insert(5, 2);
        assert_eq!(index.table().find(5, |slot| slot == 2), Some(2));
        index.remove(5, 1);
        assert_eq!(index.table().find(5, |_| true), Some(2));
    }
}
