//! Randomness: for jitter from a generator that a test can seed, for picks from one per thread.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rand::rngs::{SmallRng, SysRng};
use rand::{RngExt, SeedableRng, TryRng};

/// A source of jitter, shared by all tasks of a client.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Arc<Mutex<SmallRng>>);

impl Dice {
    /// Rolls the same for the same seed.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(SmallRng::seed_from_u64(seed))))
    }

    /// Rolls differently in each process.
    pub(crate) fn from_entropy() -> Self {
        Self::from_seed(entropy())
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn unit(&self) -> f64 {
        self.0.lock().random()
    }

    /// A factor in `1.0 - share..1.0 + share`.
    pub(crate) fn around_one(&self, share: f64) -> f64 {
        1.0 + share * (2.0 * self.unit() - 1.0)
    }
}

/// A number in `0.0..1.0` from the generator of this thread, so that picks in many threads share no lock.
pub(crate) fn thread_unit() -> f64 {
    thread_local! {
        static PICKS: RefCell<SmallRng> = RefCell::new(SmallRng::seed_from_u64(entropy()));
    }
    PICKS.with_borrow_mut(RngExt::random)
}

/// Names this run of this process: the same for all clients in it, another one after a restart.
pub(crate) fn process_incarnation() -> &'static str {
    static INCARNATION: OnceLock<String> = OnceLock::new();
    INCARNATION.get_or_init(|| format!("{:016x}{:016x}", entropy(), entropy()))
}

/// The system's randomness; where it fails (early boot, a strict sandbox), that of the standard library's hash
/// maps, since a weaker jitter is better than a panic.
fn entropy() -> u64 {
    SysRng
        .try_next_u64()
        .unwrap_or_else(|_| RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same() {
        let (a, b) = (Dice::from_seed(7), Dice::from_seed(7));
        for _ in 0..100 {
            assert_eq!(a.unit().to_bits(), b.unit().to_bits());
        }
    }

    #[test]
    fn jitter_stays_within_its_share() {
        let dice = Dice::from_seed(3);
        for _ in 0..10_000 {
            let factor = dice.around_one(0.1);
            assert!((0.9..1.1).contains(&factor), "{factor}");
        }
    }

    #[test]
    fn an_incarnation_stays_the_same_within_a_process() {
        assert_eq!(process_incarnation(), process_incarnation());
        assert_eq!(process_incarnation().len(), 32);
    }
}
