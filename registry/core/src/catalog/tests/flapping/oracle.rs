//! Random lives against a naive model of the rule: it keeps every flip, and sums the score from scratch.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::catalog::Mutation;
use crate::catalog::testing::{World, beat_with, declared, endpoint};
use crate::catalog::tests::beats::check_tables;
use crate::model::{DeclaredStatus, Health, Lease, Marks, Reason};

const COUNT: usize = 8;
/// Revisions are dated in ms.
const ROUNDING: u64 = 2;
const TICK: u64 = 5;

/// What the rule says about one instance, in milliseconds.
#[derive(Debug, Default)]
struct Naive {
    unhealthy: bool,
    unwell: bool,
    flips: Vec<u64>,
    marked: bool,
    level: u32,
    well_since: Option<u64>,
}

impl Naive {
    fn score(&self, now: u64) -> f64 {
        let halved = |at: &u64| 0.5_f64.powf((now - at) as f64 / 60_000.0);
        self.flips.iter().map(halved).sum()
    }

    fn hold(&self) -> u64 {
        (10_000 << (self.level - 1)).min(300_000)
    }

    fn flaps(&self, now: u64) -> bool {
        self.marked && (self.well_since.is_some() || self.score(now) >= 1.5)
    }

    fn flips(&mut self, now: u64) {
        // Long ago is never.
        if self.score(now) < 0.25 {
            self.flips.clear();
            self.level = 0;
        }
        let flaps = self.flaps(now) || self.score(now) + 1.0 >= 3.0;
        self.flips.push(now);
        self.level += u32::from(flaps);
        (self.unhealthy, self.marked, self.well_since) = (true, flaps, None);
    }

    fn is_measured(&mut self, now: u64, health: Health, marks: Marks, reason: Reason) {
        let marked = marks.has(Marks::FLAPPING);
        let about = format!("{health:?} {marks:?} {reason:?} at {now} of {self:?}");
        match (self.unhealthy, health, reason) {
            (false, Health::Unhealthy, _) => {
                self.flips(now);
                assert_eq!(self.marked, marked, "{about}");
            }
            (true, Health::Unhealthy, Reason::Flapping) => {
                // It comes before the words that end an unwell time.
                assert!(self.flaps(now) && marked, "{about}");
                self.well_since.get_or_insert(now);
            }
            (true, Health::Unhealthy, _) => self.well_since = None,
            (true, Health::Healthy, _) => {
                assert!(!self.unwell, "{about}");
                match self.well_since {
                    Some(since) => {
                        let (well, hold) = (now - since, self.hold());
                        assert!(
                            well + ROUNDING >= hold && well <= hold + ROUNDING + TICK,
                            "{well} {about}"
                        );
                        assert_eq!(reason, Reason::Steady, "{about}");
                        self.marked = self.score(now) >= 1.5;
                    }
                    None => {
                        assert!(!self.flaps(now) && reason == Reason::Beat, "{about}");
                        self.marked = false;
                    }
                }
                assert_eq!(self.marked, marked, "{about}");
                (self.unhealthy, self.well_since) = (false, None);
            }
            (false, Health::Healthy, _) => {
                assert!(self.marked && !marked && reason == Reason::Steady, "{about}");
                assert!(self.score(now + ROUNDING) < 1.5, "{about}");
                self.marked = false;
            }
        }
    }

    fn is_declared(&mut self, now: u64, unwell: bool) {
        self.unwell = unwell;
        if unwell && !self.unhealthy {
            self.flips(now);
        }
    }
}

/// One life: it beats for a while, is silent for a while, and says now and then that it is not well.
struct Life {
    lease: Lease,
    naive: Naive,
    beats: bool,
    turns_at: u64,
    last_beat: u64,
    /// How long it beats or is silent at a time, at most.
    restless: u64,
}

fn play(seed: u64) -> (usize, usize, usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::without_guard();
    let name = |number: usize| format!("10.0.0.{number}:80");
    let mut lives: Vec<Life> = (0..COUNT)
        .map(|number| Life {
            lease: world.register("s", &name(number), beat_with(1_000, 3_000, 3_600_000)),
            naive: Naive::default(),
            beats: true,
            turns_at: 0,
            last_beat: 0,
            restless: [6_000, 12_000, 40_000, 120_000][number % 4],
        })
        .collect();
    let mut seen = world.history.len();
    let (mut held, mut steady, mut dropped) = (0, 0, 0);
    while world.now.0 < 1_200_000_000 {
        world.advance(Duration::from_millis(rng.random_range(20..300)));
        let now = world.now.0 / 1_000;
        for life in &mut lives {
            if now >= life.turns_at {
                life.beats = !life.beats;
                life.turns_at = now + rng.random_range(1_000..life.restless);
            }
            if life.beats && now >= life.last_beat + 900 {
                world.beat(life.lease);
                life.last_beat = now;
            }
            if rng.random_bool(0.002) {
                let says = (!life.naive.unwell)
                    .then_some(())
                    .and_then(|()| declared(DeclaredStatus::Unhealthy));
                // A status comes with a beat.
                world.beat_unheard(life.lease);
                life.last_beat = now;
                world.declare(life.lease, says).unwrap();
            }
        }
        for committed in &world.history[seen..] {
            let (_, of) = committed.mutation.subject().instance().unwrap();
            let number = (0..COUNT).find(|number| endpoint(&name(*number)) == *of).unwrap();
            let naive = &mut lives[number].naive;
            match &committed.mutation {
                Mutation::Measured {
                    health,
                    marks,
                    reason,
                    ..
                } => {
                    held += usize::from(*reason == Reason::Flapping);
                    steady += usize::from(*reason == Reason::Steady && *health == Health::Healthy);
                    naive.is_measured(committed.at.0, *health, *marks, *reason);
                }
                Mutation::Declared { declared, .. } => naive.is_declared(committed.at.0, declared.is_some()),
                other => panic!("nobody asked for {other:?}"),
            }
        }
        seen = world.history.len();
        for (number, life) in lives.iter().enumerate() {
            let (naive, state) = (&life.naive, world.member("s", &name(number)).unwrap().state);
            let healthy = state.health == Health::Healthy;
            // A declaration that is taken back makes healthy without being measured.
            if healthy && naive.unhealthy {
                assert!(
                    !naive.unwell && !naive.flaps(now) && state.reason == Reason::Declared,
                    "{now} {} {state:?} {naive:?}",
                    naive.score(now)
                );
            }
            // Nobody is held down for longer than his time, and nobody is called flapping who has been steady.
            if let Some(since) = naive.well_since {
                assert!(
                    !healthy && now <= since + naive.hold() + ROUNDING + TICK,
                    "{now} {naive:?}"
                );
            }
            // One that has just taken back what it said is looked at in the next turn.
            if healthy && !naive.unhealthy && state.marks.has(Marks::FLAPPING) {
                assert!(
                    naive.score(now.saturating_sub(ROUNDING + TICK)) >= 1.5,
                    "{now} {naive:?}"
                );
            }
            // Who beats, and says nothing else, is healthy or held down.
            if life.last_beat == now && !naive.unwell {
                assert!(healthy || naive.well_since.is_some(), "{now} {state:?} {naive:?}");
            }
        }
        for life in &mut lives {
            let at = world.catalog.holder(life.lease).unwrap().1;
            let state = world.member("s", &at.to_string()).unwrap().state;
            if state.health == Health::Healthy {
                dropped += usize::from(life.naive.unhealthy);
                life.naive.unhealthy = false;
                life.naive.marked = state.marks.has(Marks::FLAPPING);
            }
        }
        check_tables(&world);
    }
    (held, steady, dropped)
}

#[test]
fn whatever_lives_they_lead_the_rule_is_kept_to_the_millisecond() {
    let (mut held, mut steady) = (0, 0);
    for seed in 1..=6 {
        let seen = play(seed);
        held += seen.0;
        steady += seen.1;
    }
    // Otherwise it would not be a test of much.
    assert!(held > 50 && steady > 20, "{held} {steady}");
}
