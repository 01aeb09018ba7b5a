//! How long to wait before the next attempt.

use std::time::Duration;

use crate::random::Dice;

/// Waits that double from `min` to `max`, each shortened by up to half at random, so that clients that failed
/// together do not come back together. The iterator never ends: it is the caller who gives up, or does not.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    /// The next wait before it is shortened; always within `min..=max`.
    next: Duration,
    dice: Dice,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration, dice: Dice) -> Self {
        debug_assert!(
            Duration::ZERO < min && min <= max,
            "a backoff grows from something to something"
        );
        Self {
            min,
            max,
            next: min,
            dice,
        }
    }

    /// Starts again at `min`: what was tried succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }

    /// Goes to `max` at once: trying again soon cannot help.
    pub(crate) fn exhaust(&mut self) {
        self.next = self.max;
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = self.next.mul_f64(0.5 + self.dice.unit() / 2.0);
        self.next = self.next.saturating_mul(2).min(self.max);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(min_ms: u64, max_ms: u64) -> Backoff {
        Backoff::new(
            Duration::from_millis(min_ms),
            Duration::from_millis(max_ms),
            Dice::from_seed(1),
        )
    }

    #[test]
    fn each_wait_lies_between_half_of_its_step_and_all_of_it() {
        let steps = [100, 200, 400, 800, 1000, 1000, 1000];
        for (wait, step) in backoff(100, 1000).zip(steps) {
            assert!(wait >= Duration::from_millis(step / 2), "{wait:?} in step {step}");
            assert!(wait <= Duration::from_millis(step), "{wait:?} in step {step}");
        }
    }

    #[test]
    fn a_reset_starts_at_the_minimum_and_exhaust_jumps_to_the_maximum() {
        let mut backoff = backoff(100, 100_000);
        backoff.exhaust();
        assert!(backoff.next() >= Some(Duration::from_secs(50)));
        backoff.reset();
        assert!(backoff.next() <= Some(Duration::from_millis(100)));
    }
}
