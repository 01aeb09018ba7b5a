//! Which instances to look at when.
//!
//! Buckets of slots, one bucket for each tick of 5 ms. A slot is armed once and stays where it is while beats move
//! its deadline; when its bucket fires, its owner looks at the last beat and arms it anew if it is not due. So a
//! beat costs the wheel nothing, and an instance that beats is looked at once in each of its timeouts.
//!
//! A deadline beyond the horizon (about 82 s) is armed at the horizon and looked at once on its way. The classical
//! alternative, a hierarchy of wheels, moves such entries between levels instead; with lazy re-arming one level does.
//!
//! The wheel never asks what time it is, and holds 4 bytes an entry.

use std::time::Duration;

use crate::model::Mono;

/// The granularity: a deadline fires at the end of the tick that it falls into, never before its time.
pub const TICK: Duration = Duration::from_millis(5);

const TICK_MICROS: u64 = 5_000;
const BUCKETS: usize = 16 * 1024;
/// How many emptied buckets keep their memory for the next.
const SPARES_MAX: usize = 64;

/// Slots by the tick at which to look at them.
#[derive(Debug)]
pub struct Wheel {
    buckets: Box<[Vec<u32>]>,
    /// One bit for each bucket that is not empty, so that the next deadline is found without touching them.
    occupied: [u64; BUCKETS / 64],
    /// The next tick to fire. All armed ticks lie in `tick..tick + BUCKETS`.
    tick: u64,
    spares: Vec<Vec<u32>>,
}

impl Wheel {
    /// An empty wheel that starts at `now`.
    #[must_use]
    pub fn new(now: Mono) -> Self {
        Self {
            buckets: vec![Vec::new(); BUCKETS].into_boxed_slice(),
            occupied: [0; BUCKETS / 64],
            tick: now.0 / TICK_MICROS,
            spares: Vec::new(),
        }
    }

    /// The tick at which a slot with this deadline is to be looked at: the first that ends at or after it, within
    /// the horizon.
    #[must_use]
    pub fn tick_for(&self, at: Mono) -> u64 {
        at.0.div_ceil(TICK_MICROS)
            .clamp(self.tick, self.tick + BUCKETS as u64 - 1)
    }

    /// Arms `slot` at a tick that [`Wheel::tick_for`] gave.
    pub fn arm(&mut self, slot: u32, tick: u64) {
        debug_assert!(
            (self.tick..self.tick + BUCKETS as u64).contains(&tick),
            "armed within the horizon"
        );
        let place = bucket(tick);
        let bucket = &mut self.buckets[place];
        if bucket.capacity() == 0
            && let Some(spare) = self.spares.pop()
        {
            *bucket = spare;
        }
        bucket.push(slot);
        self.occupied[place / 64] |= 1 << (place % 64);
    }

    /// When the next bucket fires.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Mono> {
        let start = bucket(self.tick);
        // From the bucket of the current tick to the end, then from the start: bits before it in its word belong to
        // the next turn, so its word is looked at twice.
        let words = BUCKETS / 64;
        (0..=words).find_map(|step| {
            let word = (start / 64 + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (start % 64);
            }
            let place = word * 64 + bits.trailing_zeros() as usize;
            (bits != 0).then(|| {
                let ahead = (place + BUCKETS - start) % BUCKETS;
                Mono((self.tick + ahead as u64) * TICK_MICROS)
            })
        })
    }

    /// The next bucket whose time has come, with its tick. Hand the emptied bucket back with [`Wheel::recycle`].
    pub fn take_due(&mut self, now: Mono) -> Option<(u64, Vec<u32>)> {
        let deadline = self.next_deadline().filter(|deadline| *deadline <= now);
        let Some(deadline) = deadline else {
            // Nothing is armed up to now: skip the empty ticks, or the horizon would lag behind.
            self.tick = self.tick.max(now.0 / TICK_MICROS);
            return None;
        };
        let tick = deadline.0 / TICK_MICROS;
        let place = bucket(tick);
        self.tick = tick + 1;
        self.occupied[place / 64] &= !(1 << (place % 64));
        Some((tick, std::mem::take(&mut self.buckets[place])))
    }

    /// Keeps the memory of an emptied bucket for the next one, up to a bound.
    pub fn recycle(&mut self, mut emptied: Vec<u32>) {
        if self.spares.len() < SPARES_MAX {
            emptied.clear();
            self.spares.push(emptied);
        }
    }
}

fn bucket(tick: u64) -> usize {
    (tick % BUCKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at_ms(ms: u64) -> Mono {
        Mono(ms * 1_000)
    }

    #[test]
    fn a_deadline_never_fires_early_and_at_most_one_tick_late() {
        for deadline in [1, 4_999, 5_000, 5_001, 9_999, 15_000_000] {
            let mut wheel = Wheel::new(Mono(0));
            let tick = wheel.tick_for(Mono(deadline));
            wheel.arm(1, tick);
            let fires = wheel.next_deadline().unwrap();
            assert!(
                fires.0 >= deadline && fires.0 - deadline < TICK_MICROS,
                "{deadline}: {fires:?}"
            );
            assert!(wheel.take_due(Mono(fires.0 - 1)).is_none());
            assert_eq!(wheel.take_due(fires).unwrap().1, [1]);
            assert!(wheel.take_due(fires).is_none());
        }
    }

    #[test]
    fn a_far_deadline_is_looked_at_at_the_horizon() {
        let mut wheel = Wheel::new(Mono(0));
        wheel.arm(1, wheel.tick_for(at_ms(3_600_000)));
        assert_eq!(wheel.next_deadline(), Some(at_ms((BUCKETS as u64 - 1) * 5)));
    }

    #[test]
    fn what_is_due_already_fires_at_the_next_tick() {
        let mut wheel = Wheel::new(at_ms(1_000));
        wheel.arm(1, wheel.tick_for(Mono(0)));
        assert_eq!(wheel.next_deadline(), Some(at_ms(1_000)));
    }

    proptest! {
        /// Against a sorted list, with time that stands, crawls and leaps.
        #[test]
        fn it_agrees_with_a_sorted_list(
            ops in prop::collection::vec((0_u64..100_000, prop_oneof![0_u64..50, 0_u64..200_000]), 0..300)
        ) {
            let mut wheel = Wheel::new(Mono(0));
            let mut model: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
            let mut now = 0;
            for (slot, (after, step)) in ops.into_iter().enumerate() {
                let tick = wheel.tick_for(at_ms(now + after));
                wheel.arm(slot as u32, tick);
                model.entry(tick).or_default().push(slot as u32);
                now += step;
                prop_assert_eq!(
                    wheel.next_deadline(),
                    model.keys().next().map(|tick| Mono(tick * TICK_MICROS))
                );
                while let Some((tick, slots)) = wheel.take_due(at_ms(now)) {
                    prop_assert_eq!(Some((tick, slots.clone())), model.pop_first());
                    wheel.recycle(slots);
                }
                prop_assert!(model.keys().next().is_none_or(|tick| tick * 5 > now));
            }
        }
    }
}
