//! Who is to be probed next.
//!
//! Each instance that is probed has one entry, and a place in one queue by when it is due; no timer, no task. A first
//! probe comes within a second of the registration, at a moment that is the instance's own; the second spreads all over
//! their interval; from then on there is one each interval, give or take a tenth. So neither a mass registration nor a
//! start makes a burst. What "its own" means is a hash with a seed: with the same seed all of it happens again.
//!
//! - **Bounds.** At most so many probes are in flight, and at most so many at one address, so that an address that hangs
//!   keeps nobody else waiting. Who waits for its address stands in a line of that address, of which somebody always is
//!   in the queue or in flight.
//! - **Slow ones.** Probes that may take longer than two seconds have half of the places at most, and a line of their own:
//!   however many hang, the others have places.
//! - **Behind.** Who has been due longest is next. How late a probe begins is counted. Who missed a whole turn is not asked
//!   twice for it: the next probe is one interval after this one.
//! - **Generations.** Each entry has a number of its own. A result that began under another one (the instance was
//!   registered anew, another one has its slot, its cluster is checked otherwise) is dropped.
//! - **Stalls.** A probe that was in flight while this process stood still says nothing about the instance: its result is
//!   dropped, too, and it is asked again.
//!
//! Time is liveness time: what the process slept through makes nobody due.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use line::Line;

use super::{Lateness, ProbeResult};
use crate::model::{Mono, ProbeSpec, Wall};

mod line;

/// A first probe comes within this time, or within the interval if that is shorter.
const FIRST_WITHIN: Duration = Duration::from_secs(1);

/// Who may take longer than this to be answered is slow.
const SLOW_FROM: Duration = Duration::from_secs(2);

/// How probes are scheduled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeConfig {
    /// Whether anybody is probed at all. Default: yes.
    pub enabled: bool,
    /// How many probes may be in flight. Default 1,024: enough for 20,000 instances each 5 s even if each fifth of them
    /// takes its whole timeout of a second, and few enough sockets.
    pub in_flight_max: usize,
    /// How many of them may be at one address. Default 32.
    pub in_flight_per_address_max: usize,
    /// What the moments of instances are drawn from.
    pub seed: u64,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            in_flight_max: 1_024,
            in_flight_per_address_max: 32,
            seed: 0x51_7C_C1_B7_27_22_0A_95,
        }
    }
}

/// A probe that was begun. Its result comes back with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Whose it is.
    pub slot: u32,
    generation: u64,
    address: u64,
    slow: bool,
    /// All stalls before it began.
    stalled: Duration,
}

/// What the schedule keeps of the newest result of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastProbe {
    /// What came of it.
    pub result: ProbeResult,
    /// When.
    pub at: Wall,
    /// How many results in a row, with this one, were as good, or as bad.
    pub streak: u32,
}

/// Where an instance stands in the schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// What is asked.
    pub spec: Arc<ProbeSpec>,
    /// When it is due, or was; `None` while a probe is in flight.
    pub due: Option<Mono>,
    /// The newest result, of this registration.
    pub last: Option<LastProbe>,
}

/// What came of probes so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeCounts {
    /// How many instances are probed.
    pub instances: usize,
    /// How many probes are in flight.
    pub in_flight: usize,
    /// Results by their words.
    pub results: std::collections::BTreeMap<&'static str, u64>,
    /// How many results were good.
    pub passed: u64,
    /// How many were not.
    pub failed: u64,
    /// Results that were dropped, or counted for nothing: of another registration, from across a stall, or where nobody
    /// could be asked.
    pub dropped: u64,
    /// Turns that were missed because the schedule was behind.
    pub missed: u64,
    /// How late probes began.
    pub lateness: Lateness,
}

/// What became of a probe that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Its result counts.
    Counts,
    /// It says nothing about who is there now.
    Dropped,
}

/// The schedule. See the module.
#[derive(Debug)]
pub(crate) struct Schedule {
    config: ProbeConfig,
    entries: HashMap<u32, Entry, ahash::RandomState>,
    queue: BTreeSet<(Mono, u32)>,
    addresses: HashMap<u64, Line, ahash::RandomState>,
    slow: Line,
    in_flight: usize,
    generation: u64,
    /// Whether somebody is due sooner than anybody was when it was last asked.
    sooner: bool,
    counts: ProbeCounts,
}

#[derive(Debug)]
struct Entry {
    spec: Arc<ProbeSpec>,
    generation: u64,
    address: u64,
    /// When it is due; while it is in flight, when the next one is.
    due: Mono,
    place: Place,
    /// How many probes of this generation were begun.
    begun: u64,
    /// Asked to be probed at once while a probe was in flight that may have begun too early.
    again: bool,
    last: Option<LastProbe>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Queued,
    /// In the line of its address.
    Waiting,
    /// In that of the slow ones.
    Slow,
    InFlight,
}

impl Schedule {
    pub(crate) fn new(config: ProbeConfig) -> Self {
        Self {
            config,
            entries: HashMap::default(),
            queue: BTreeSet::new(),
            addresses: HashMap::default(),
            slow: Line::default(),
            in_flight: 0,
            generation: 0,
            sooner: false,
            counts: ProbeCounts::default(),
        }
    }

    /// Enters an instance, in the place of what had its slot before. `address` stands for where it is.
    pub(crate) fn enter(&mut self, slot: u32, spec: Arc<ProbeSpec>, address: u64, now: Mono) {
        self.leave(slot);
        self.generation += 1;
        let generation = self.generation;
        let within = spec.interval().min(FIRST_WITHIN);
        let due = now.after(self.part_of(within, slot, generation, 0));
        let entry = Entry {
            spec,
            generation,
            address,
            due,
            place: Place::Queued,
            begun: 0,
            again: false,
            last: None,
        };
        self.entries.insert(slot, entry);
        self.queue_up(slot, due);
    }

    /// Takes an instance out. Returns whether it was there.
    pub(crate) fn leave(&mut self, slot: u32) -> bool {
        let Some(entry) = self.entries.remove(&slot) else {
            return false;
        };
        match entry.place {
            Place::Queued => {
                self.queue.remove(&(entry.due, slot));
                // It may have been called up, and then nobody else was.
                self.call_up(entry.address);
                self.call_up_slow();
            }
            Place::Slow => self.slow.leave(entry.due, slot),
            Place::Waiting => {
                if let Some(line) = self.addresses.get_mut(&entry.address) {
                    line.leave(entry.due, slot);
                }
                self.close_if_idle(entry.address);
            }
            Place::InFlight => {}
        }
        true
    }

    /// Has an instance probed at once, before its turn. Returns whether it is one that is probed.
    pub(crate) fn order(&mut self, slot: u32, now: Mono) -> bool {
        let Some(entry) = self.entries.get_mut(&slot) else {
            return false;
        };
        match entry.place {
            Place::InFlight => entry.again = true,
            Place::Queued if entry.due > now => {
                self.queue.remove(&(entry.due, slot));
                entry.due = now;
                self.queue_up(slot, now);
            }
            Place::Queued | Place::Waiting | Place::Slow => {}
        }
        true
    }

    /// Begins the next probe that is due, if there is one and room for it. Nobody is late for the time before `since`.
    pub(crate) fn take(
        &mut self,
        now: Mono,
        since: Mono,
        stalled: Duration,
    ) -> Option<(Ticket, Arc<ProbeSpec>)> {
        let slow_max = self.slow_max();
        while self.in_flight < self.config.in_flight_max {
            let (due, slot) = *self.queue.first().filter(|(due, _)| *due <= now)?;
            self.queue.pop_first();
            let Some(entry) = self.entries.get_mut(&slot) else {
                continue;
            };
            let slow = entry.spec.timeout() > SLOW_FROM;
            let number = entry.address;
            if slow && !self.slow.has_room(slow_max) {
                entry.place = Place::Slow;
                self.slow.wait(due, slot);
                // It may have been called up by its address, and then nobody else was.
                self.call_up(number);
                continue;
            }
            let address = self.addresses.entry(number).or_default();
            if !address.has_room(self.config.in_flight_per_address_max) {
                entry.place = Place::Waiting;
                address.wait(due, slot);
                self.call_up_slow();
                continue;
            }
            address.in_flight += 1;
            self.slow.in_flight += usize::from(slow);
            self.in_flight += 1;
            self.counts.lateness.note(now.since(due.max(since)));
            entry.place = Place::InFlight;
            entry.again = false;
            entry.begun += 1;
            let (interval, begun, generation) = (entry.spec.interval(), entry.begun, entry.generation);
            let missed = now.since(due.max(since)) >= interval;
            self.counts.missed += u64::from(missed);
            let from = if missed { now } else { due };
            let gap = self.gap(interval, slot, generation, begun);
            let entry = self.entries.get_mut(&slot)?;
            entry.due = from.after(gap);
            let ticket = Ticket {
                slot,
                generation,
                address: entry.address,
                slow,
                stalled,
            };
            return Some((ticket, Arc::clone(&entry.spec)));
        }
        None
    }

    /// A probe has ended, with a result or without. Returns whether that counts.
    pub(crate) fn end(
        &mut self,
        ticket: Ticket,
        result: Option<&ProbeResult>,
        now: Mono,
        at: Wall,
        stalled: Duration,
    ) -> Ended {
        self.in_flight -= 1;
        self.slow.in_flight -= usize::from(ticket.slow);
        self.leave_address(ticket.address);
        self.call_up_slow();
        let across_stall = ticket.stalled != stalled;
        let Some(entry) = self
            .entries
            .get_mut(&ticket.slot)
            .filter(|entry| entry.generation == ticket.generation)
        else {
            self.counts.dropped += 1;
            return Ended::Dropped;
        };
        entry.place = Place::Queued;
        if entry.again || across_stall {
            entry.due = now;
        }
        let due = entry.due.max(now);
        entry.due = due;
        let counts = result.filter(|result| !across_stall && result.finding != super::Finding::Unasked);
        if let Some(result) = counts {
            let good = |result: &ProbeResult| result.finding == super::Finding::Good;
            let before = entry
                .last
                .take()
                .filter(|last| good(&last.result) == good(result));
            entry.last = Some(LastProbe {
                result: result.clone(),
                at,
                streak: before.map_or(1, |last| last.streak.saturating_add(1)),
            });
            *self.counts.results.entry(result.word).or_default() += 1;
            if good(result) {
                self.counts.passed += 1;
            } else {
                self.counts.failed += 1;
            }
        } else {
            self.counts.dropped += 1;
        }
        self.queue_up(ticket.slot, due);
        if counts.is_some() {
            Ended::Counts
        } else {
            Ended::Dropped
        }
    }

    /// When to take next. `None` while there is nobody, or no room.
    pub(crate) fn next(&self) -> Option<Mono> {
        let room = self.in_flight < self.config.in_flight_max;
        self.queue.first().filter(|_| room).map(|(due, _)| *due)
    }

    /// Whether since it was last asked somebody came to be due sooner than all others.
    pub(crate) fn came_sooner(&mut self) -> bool {
        std::mem::take(&mut self.sooner)
    }

    pub(crate) fn spec(&self, slot: u32) -> Option<&Arc<ProbeSpec>> {
        self.entries.get(&slot).map(|entry| &entry.spec)
    }

    pub(crate) fn scheduled(&self, slot: u32) -> Option<Scheduled> {
        let entry = self.entries.get(&slot)?;
        Some(Scheduled {
            spec: Arc::clone(&entry.spec),
            due: (entry.place != Place::InFlight).then_some(entry.due),
            last: entry.last.clone(),
        })
    }

    pub(crate) fn counts(&self) -> ProbeCounts {
        ProbeCounts {
            instances: self.entries.len(),
            in_flight: self.in_flight,
            ..self.counts.clone()
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn queue_up(&mut self, slot: u32, due: Mono) {
        self.sooner |= self.queue.first().is_none_or(|(first, _)| due < *first);
        self.queue.insert((due, slot));
    }

    /// Room at an address.
    fn leave_address(&mut self, number: u64) {
        if let Some(address) = self.addresses.get_mut(&number) {
            address.in_flight = address.in_flight.saturating_sub(1);
        }
        self.call_up(number);
    }

    /// The first of the line of an address, if there is room for it, goes back into the queue, where it has been due for
    /// long.
    fn call_up(&mut self, number: u64) {
        let max = self.config.in_flight_per_address_max;
        let next = self.addresses.get_mut(&number).and_then(|line| line.call_up(max));
        self.close_if_idle(number);
        if let Some((due, slot)) = next
            && let Some(entry) = self.entries.get_mut(&slot)
        {
            entry.place = Place::Queued;
            self.queue_up(slot, due);
        }
    }

    /// The same for the line of the slow ones.
    fn call_up_slow(&mut self) {
        if let Some((due, slot)) = self.slow.call_up(self.slow_max())
            && let Some(entry) = self.entries.get_mut(&slot)
        {
            entry.place = Place::Queued;
            self.queue_up(slot, due);
        }
    }

    /// How many slow ones may be in flight.
    fn slow_max(&self) -> usize {
        (self.config.in_flight_max / 2).max(1)
    }

    fn close_if_idle(&mut self, number: u64) {
        if self.addresses.get(&number).is_some_and(Line::is_idle) {
            self.addresses.remove(&number);
        }
    }

    /// The time from the begin of one probe to that of the next.
    fn gap(&self, interval: Duration, slot: u32, generation: u64, begun: u64) -> Duration {
        if begun == 1 {
            // Half to one and a half: wherever in the first second it began, it now has a moment of the whole interval.
            interval / 2 + self.part_of(interval, slot, generation, begun)
        } else {
            interval - interval / 10 + self.part_of(interval / 5, slot, generation, begun)
        }
    }

    /// A part of `whole` that is this probe's own.
    fn part_of(&self, whole: Duration, slot: u32, generation: u64, begun: u64) -> Duration {
        let place = mixed(mixed(mixed(self.config.seed ^ u64::from(slot)) ^ generation) ^ begun);
        let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(place % micros.max(1))
    }
}

/// Finalizer of `SplitMix64`: spreads numbers that differ little.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests;
