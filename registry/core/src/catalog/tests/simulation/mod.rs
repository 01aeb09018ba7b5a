//! A registry, its clients and their faults on one seeded clock.
//!
//! Clients beat with jitter over a network that delays and loses; they crash, are cut off in bursts, come back as
//! another incarnation, say goodbye. The registry stalls and restarts. Operators meddle. After each turn of the
//! driver the invariants of the design are checked by name, against an oracle that is told of each beat.
//!
//! A few seeds run with the other tests; `BEATRIX_SIM_SEED=n` plays one, `BEATRIX_SIM_RUNS=n` plays that many from it
//! on (from 1 if no seed is given). A failure prints its seed.

mod faults;
mod invariants;
mod machine;
mod oracle;

use machine::Machine;

use crate::catalog::{Committed, GuardEvent};

/// What happened in a run, counted, so that a test can tell that it tested something.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Seen {
    beats: u64,
    flips: u64,
    suspects: u64,
    returns: u64,
    expiries: u64,
    stalls: u64,
    restarts: u64,
    /// Those of them that began with a checkpoint.
    checkpoints: u64,
    turned: u64,
    resumed: u64,
    snapshots: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.beats += other.beats;
        self.flips += other.flips;
        self.suspects += other.suspects;
        self.returns += other.returns;
        self.expiries += other.expiries;
        self.stalls += other.stalls;
        self.restarts += other.restarts;
        self.checkpoints += other.checkpoints;
        self.turned += other.turned;
        self.resumed += other.resumed;
        self.snapshots += other.snapshots;
    }
}

struct Outcome {
    history: Vec<Committed>,
    events: Vec<GuardEvent>,
    beats: u64,
    seen: Seen,
}

/// Prints the seed if the run fails.
struct Seeded(u64);

impl Drop for Seeded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("simulation failed: BEATRIX_SIM_SEED={} plays it again", self.0);
        }
    }
}

fn play(seed: u64) -> Outcome {
    let _seeded = Seeded(seed);
    Machine::new(seed).run()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} must be a number, but is {text}")),
    )
}

#[test]
fn one_seed_is_one_history() {
    for seed in [1, 2] {
        let (first, second) = (play(seed), play(seed));
        assert!(!first.history.is_empty());
        assert_eq!(first.history.len(), second.history.len(), "seed {seed}");
        assert!(first.history == second.history, "seed {seed}");
        assert_eq!(first.events, second.events, "seed {seed}");
        assert_eq!(first.beats, second.beats, "seed {seed}");
    }
}

#[test]
fn the_invariants_hold_whatever_happens() {
    let seed = number("BEATRIX_SIM_SEED");
    let runs = number("BEATRIX_SIM_RUNS").unwrap_or(if seed.is_some() { 1 } else { 6 });
    let first = seed.unwrap_or(1);
    let mut all = Seen::default();
    for seed in first..first + runs {
        all.add(&play(seed).seen);
    }
    eprintln!("{runs} runs from seed {first}: {all:?}");
    // Otherwise it would not be a test of much.
    if seed.is_none() {
        assert!(
            all.beats > 1_000 && all.flips > 0 && all.expiries > 0 && all.returns > 0,
            "{all:?}"
        );
        assert!(
            all.suspects > 0
                && all.turned > 0
                && all.stalls > 0
                && all.restarts > all.checkpoints
                && all.checkpoints > 0
                && all.resumed > 0,
            "{all:?}"
        );
    }
}
