//! Health that changes too often: who flaps, and how long such a one must be well before it is called healthy.
//!
//! Each flip from healthy to unhealthy adds 1 to a score that halves with time. From the threshold on the instance
//! flaps: when it next proves well it is held down, and only when it has been well without interruption for a while it
//! is called healthy. That while doubles with each further flip. The score must fall well below the threshold before
//! the instance is called steady again, or it would flap between flapping and not.
//!
//! Only who flipped lately pays memory: an entry beside the slots, forgotten when its score has decayed. No entry has a
//! timer: those that flap stand in one queue by when they are to be looked at next, the others are forgotten as new ones
//! come. A value without a clock and without instances, like the guard.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::model::Mono;

/// When an instance flaps, and what that means for it.
#[derive(Debug, Clone, PartialEq)]
pub struct FlapConfig {
    /// Whether flaps are counted and damped at all.
    pub enabled: bool,
    /// In which time the score halves. Default 60 s.
    pub half_life: Duration,
    /// From this score on it flaps. Default 3. Not less than 2: the first flip of an instance is never damped.
    pub threshold: f64,
    /// Below this score it no longer does. Default 1.5.
    pub steady_below: f64,
    /// How long it must be well at first before it is called healthy. Default 10 s; doubled with each further flip.
    pub hold_min: Duration,
    /// How long at most. Default 5 min.
    pub hold_max: Duration,
    /// Of how many instances scores are kept. Beyond it the flips of those that flipped longest ago are forgotten, and
    /// if all of those flap, new ones are not counted. Default 100,000, of about 100 bytes each.
    pub tracked_max: usize,
}

impl Default for FlapConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            half_life: Duration::from_secs(60),
            threshold: 3.0,
            steady_below: 1.5,
            hold_min: Duration::from_secs(10),
            hold_max: Duration::from_secs(300),
            tracked_max: 100_000,
        }
    }
}

/// A score below this is none: whether the entry is still there or has been forgotten makes no difference.
const FORGOTTEN: f64 = 0.25;

/// How many entries are looked at, with each new one, for whether they can be forgotten.
const FORGET_STEP: usize = 2;

impl FlapConfig {
    fn decayed(&self, score: f64, elapsed: Duration) -> f64 {
        let half_life = self.half_life.as_secs_f64().max(1e-3);
        score * (-elapsed.as_secs_f64() / half_life).exp2()
    }

    /// How long it takes until `score` has fallen below `below`.
    fn falls_below(&self, score: f64, below: f64) -> Duration {
        let half_lives = (score / below.max(1e-6)).log2().max(0.0);
        // A microsecond more, so that at that time it is below and not just there.
        self.half_life.mul_f64(half_lives.min(64.0)) + Duration::from_micros(1)
    }

    /// How long the one must be well that flipped for the `level`th time since it flaps.
    fn hold(&self, level: u8) -> Duration {
        let doubled = 1_u32
            .checked_shl(u32::from(level.saturating_sub(1)))
            .unwrap_or(u32::MAX);
        self.hold_min.saturating_mul(doubled).min(self.hold_max)
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// As of the last flip.
    score: f64,
    at: Mono,
    /// Flips since it flaps; 0 if it never did.
    level: u8,
    /// Whether it is marked as flapping.
    marked: bool,
    /// It was held down, and has not been called healthy since.
    down: bool,
    /// Until when it is held down, while it is well.
    until: Option<Mono>,
    /// Its place in `ends`.
    next: Option<Mono>,
    /// Its place in `oldest`.
    queued: Mono,
}

/// How an instance flaps, for people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlapReading {
    /// Its score now.
    pub score: f64,
    /// Whether it flaps.
    pub flapping: bool,
    /// Until when it is held down, if it is well so far.
    pub held_until: Option<Mono>,
    /// How long it has to be well at a time.
    pub hold: Duration,
}

/// The scores of all who flipped lately, by slot.
#[derive(Debug, Default)]
pub struct Flaps {
    entries: HashMap<u32, Entry, ahash::RandomState>,
    /// Those that flap, by when to look at them.
    ends: BTreeSet<(Mono, u32)>,
    /// All of them, roughly by their last flip. What is left of those that were forgotten otherwise is skipped.
    oldest: VecDeque<(Mono, u32)>,
    marked: usize,
}

impl Flaps {
    /// Whether nobody flipped lately.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Of how many a score is kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many are marked as flapping.
    #[must_use]
    pub fn marked(&self) -> usize {
        self.marked
    }

    /// Whether the instance flaps: it is marked, and is held down or has a score that keeps the mark.
    #[must_use]
    pub fn flaps(&self, slot: u32, now: Mono, config: &FlapConfig) -> bool {
        self.entries.get(&slot).is_some_and(|entry| {
            entry.marked && (entry.until.is_some() || entry.score_at(now, config) >= config.steady_below)
        })
    }

    /// Whether it would flap with one flip more.
    #[must_use]
    pub fn would_flap(&self, slot: u32, now: Mono, config: &FlapConfig) -> bool {
        config.enabled
            && self.entries.get(&slot).is_some_and(|entry| {
                entry.score_at(now, config) + 1.0 >= config.threshold || self.flaps(slot, now, config)
            })
    }

    /// Whether it is held down: it is well, but not called healthy yet.
    #[must_use]
    pub fn is_held(&self, slot: u32) -> bool {
        self.entries.get(&slot).is_some_and(|entry| entry.until.is_some())
    }

    /// Whether it was held down, and has not been called healthy since.
    #[must_use]
    pub fn is_down(&self, slot: u32) -> bool {
        self.entries.get(&slot).is_some_and(|entry| entry.down)
    }

    /// What there is to say about it; `None` if it did not flip lately.
    #[must_use]
    pub fn read(&self, slot: u32, now: Mono, config: &FlapConfig) -> Option<FlapReading> {
        let entry = self.entries.get(&slot)?;
        Some(FlapReading {
            score: entry.score_at(now, config),
            flapping: self.flaps(slot, now, config),
            held_until: entry.until,
            hold: config.hold(entry.level),
        })
    }

    /// It flipped from healthy to unhealthy, and flaps by that or not.
    pub fn flipped(&mut self, slot: u32, flaps: bool, now: Mono, config: &FlapConfig) {
        if !config.enabled || !self.makes_room(slot, now, config) {
            return;
        }
        let entry = self.entries.entry(slot).or_insert_with(|| {
            self.oldest.push_back((now, slot));
            Entry::new(now)
        });
        let score = entry.score_at(now, config);
        if score == 0.0 {
            entry.level = 0;
        }
        entry.score = score + 1.0;
        entry.at = now;
        if flaps {
            entry.level = entry.level.saturating_add(1);
        }
        self.mark(slot, flaps);
    }

    /// Its last flip was not its own fault.
    pub fn taken_back(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.score = (entry.score - 1.0).max(0.0);
            entry.level = entry.level.saturating_sub(u8::from(entry.marked));
        }
    }

    /// It is well, and held down for a whole time from now on, unless it is already.
    pub fn hold(&mut self, slot: u32, now: Mono, config: &FlapConfig) {
        self.restore(slot, now, config);
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        entry.down = true;
        let until = *entry.until.get_or_insert(now.after(config.hold(entry.level)));
        self.look_at(slot, Some(until));
    }

    /// It is not well: what it had been well for counts no more.
    pub fn interrupt(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.until = None;
            self.look_at(slot, None);
        }
    }

    /// It is called healthy, and flaps still or not.
    pub fn healthy(&mut self, slot: u32, flaps: bool, config: &FlapConfig) {
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        (entry.until, entry.down) = (None, false);
        let steady = entry
            .at
            .after(config.falls_below(entry.score, config.steady_below));
        self.mark(slot, flaps);
        self.look_at(slot, flaps.then_some(steady));
    }

    /// It is known from before a restart to flap. What score it had is not known: it has the least with which one
    /// begins to flap.
    pub fn restore(&mut self, slot: u32, now: Mono, config: &FlapConfig) {
        if !config.enabled || self.entries.get(&slot).is_some_and(|entry| entry.level > 0) {
            return;
        }
        self.flipped(slot, true, now, config);
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.score = entry.score.max(config.threshold);
        }
    }

    /// The instance is gone, or another one.
    pub fn forget(&mut self, slot: u32) {
        if self.entries.is_empty() {
            return;
        }
        self.mark(slot, false);
        self.look_at(slot, None);
        self.entries.remove(&slot);
        if self.entries.is_empty() {
            // Nothing of it is anybody's any more: after a mass flip that is a lot of memory.
            *self = Self::default();
        }
    }

    /// When the next of those that flap is to be looked at.
    #[must_use]
    pub fn next(&self) -> Option<Mono> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// The next of those that are to be looked at by now. It comes up again after `again`, unless what is decided about
    /// it is applied.
    pub fn take_due(&mut self, now: Mono, again: Duration) -> Option<u32> {
        let (_, slot) = *self.ends.first().filter(|(at, _)| *at <= now)?;
        self.look_at(slot, Some(now.after(again)));
        Some(slot)
    }

    fn mark(&mut self, slot: u32, flaps: bool) {
        if let Some(entry) = self.entries.get_mut(&slot) {
            self.marked = self.marked + usize::from(flaps) - usize::from(entry.marked);
            entry.marked = flaps;
        }
    }

    fn look_at(&mut self, slot: u32, at: Option<Mono>) {
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        if let Some(before) = std::mem::replace(&mut entry.next, at) {
            self.ends.remove(&(before, slot));
        }
        if let Some(at) = at {
            self.ends.insert((at, slot));
        }
    }

    /// Forgets some whose score has decayed. Returns whether there is room for this one.
    fn makes_room(&mut self, slot: u32, now: Mono, config: &FlapConfig) -> bool {
        for _ in 0..FORGET_STEP {
            let Some((queued, oldest)) = self.oldest.front().copied() else {
                break;
            };
            let full = self.oldest.len() >= config.tracked_max;
            match self.entries.get_mut(&oldest) {
                Some(entry) if entry.queued == queued => {
                    let decayed = entry.score_at(now, config) == 0.0;
                    if !entry.marked && (decayed || full) && oldest != slot {
                        self.oldest.pop_front();
                        self.look_at(oldest, None);
                        self.entries.remove(&oldest);
                    } else if full || entry.at > queued {
                        // It stays, and others are looked at before it is again.
                        entry.queued = entry.at.max(queued);
                        let queued = entry.queued;
                        self.oldest.pop_front();
                        self.oldest.push_back((queued, oldest));
                    } else {
                        break;
                    }
                }
                // Left over from one that was forgotten.
                _ => {
                    self.oldest.pop_front();
                }
            }
        }
        self.entries.contains_key(&slot) || self.oldest.len() < config.tracked_max
    }
}

impl Entry {
    fn new(now: Mono) -> Self {
        Self {
            score: 0.0,
            at: now,
            level: 0,
            marked: false,
            down: false,
            until: None,
            next: None,
            queued: now,
        }
    }

    fn score_at(&self, now: Mono, config: &FlapConfig) -> f64 {
        let score = config.decayed(self.score, now.since(self.at));
        if score < FORGOTTEN { 0.0 } else { score }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_s(s: u64) -> Mono {
        Mono(s * 1_000_000)
    }

    /// One that flips at these seconds, and may flap.
    fn flipping(flaps: &mut Flaps, slot: u32, at: &[u64]) {
        let config = FlapConfig::default();
        for second in at {
            let now = at_s(*second);
            let flapping = flaps.would_flap(slot, now, &config);
            flaps.flipped(slot, flapping, now, &config);
        }
    }

    #[test]
    fn it_flaps_by_the_third_flip_within_a_short_time_and_not_by_three_in_a_long_one() {
        let config = FlapConfig::default();
        // When it flips, when it is looked at, and whether it then flaps.
        for (flips, seconds, expected) in [
            (&[0][..], 0, false),
            (&[0, 0], 0, false),
            (&[0, 0, 0], 0, true),
            // 3 within seconds are a little less than 3, and the fourth is more.
            (&[0, 5, 10], 10, false),
            (&[0, 5, 10, 15], 15, true),
            (&[0, 60, 120, 180, 240, 300], 300, false),
            // The mark outlives the threshold, and ends.
            (&[0, 0, 0], 59, true),
            (&[0, 0, 0], 61, false),
        ] {
            let mut flaps = Flaps::default();
            flipping(&mut flaps, 7, flips);
            let flapping = flaps.flaps(7, at_s(seconds), &config);
            assert_eq!(flapping, expected, "{flips:?} at {seconds}");
        }
    }

    #[test]
    fn the_hold_doubles_with_each_flip_up_to_its_maximum() {
        let config = FlapConfig::default();
        let mut flaps = Flaps::default();
        flipping(&mut flaps, 7, &[0, 0]);
        for seconds in [10, 20, 40, 80, 160, 300, 300, 300] {
            flipping(&mut flaps, 7, &[0]);
            flaps.hold(7, at_s(0), &config);
            let held = flaps.read(7, at_s(0), &config).unwrap();
            assert_eq!(held.held_until, Some(at_s(seconds)));
            assert_eq!(flaps.next(), Some(at_s(seconds)));
            // That it goes on being well does not begin the time again.
            flaps.hold(7, at_s(5), &config);
            assert_eq!(flaps.next(), Some(at_s(seconds)));
            flaps.interrupt(7);
            assert!(!flaps.is_held(7) && flaps.is_down(7) && flaps.next().is_none());
        }
    }

    #[test]
    fn the_mark_ends_when_the_score_has_fallen_below_half_the_threshold() {
        let config = FlapConfig::default();
        let mut flaps = Flaps::default();
        flipping(&mut flaps, 7, &[0, 0, 0]);
        flaps.hold(7, at_s(1), &config);
        assert_eq!(flaps.take_due(at_s(10), Duration::from_secs(1)), None);
        assert_eq!(flaps.take_due(at_s(11), Duration::from_secs(1)), Some(7));
        assert_eq!(flaps.next(), Some(at_s(12)), "should it not be committed");
        flaps.healthy(7, true, &config);
        let ends = flaps.next().unwrap();
        assert!(ends > at_s(60) && ends < at_s(61), "{ends:?}");
        assert!(!flaps.flaps(7, ends, &config));
        flaps.healthy(7, false, &config);
        assert_eq!((flaps.next(), flaps.marked(), flaps.len()), (None, 0, 1));
    }

    #[test]
    fn who_was_steady_for_long_is_forgotten_as_others_come() {
        let mut flaps = Flaps::default();
        for slot in 0..1_000 {
            flipping(&mut flaps, slot, &[u64::from(slot)]);
        }
        // Forgotten after two minutes, of one flip a second.
        assert!(flaps.len() < 130, "{}", flaps.len());
        assert!(flaps.oldest.len() < 130);
        for slot in 0..1_000 {
            flaps.forget(slot);
        }
        assert!(flaps.is_empty() && flaps.oldest.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_those_that_flap_are_not_forgotten_for_it() {
        let config = FlapConfig {
            tracked_max: 100,
            ..FlapConfig::default()
        };
        let mut flaps = Flaps::default();
        for slot in 0..50 {
            for _ in 0..3 {
                let flapping = flaps.would_flap(slot, at_s(0), &config);
                flaps.flipped(slot, flapping, at_s(0), &config);
            }
        }
        assert_eq!(flaps.marked(), 50);
        for slot in 50..10_000 {
            flaps.flipped(slot, false, at_s(1), &config);
            assert!(flaps.len() <= 100 && flaps.oldest.len() <= 101, "{}", flaps.len());
        }
        assert_eq!(flaps.marked(), 50);
    }

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 72, "{}", size_of::<Entry>());
    }
}
