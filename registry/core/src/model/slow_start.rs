//! Slow start: whoever begins to serve gets little traffic first, and more from step to step.

use std::time::Duration;

use super::{Invalid, Wall};

/// The longest that a ramp may last, in milliseconds.
pub const SLOW_START_MS_MAX: u32 = 3_600_000;

/// How many steps a ramp has at most: each is a change of the view, which is rendered and pushed.
const STEPS_MAX: u32 = 10;

/// The shortest that a step lasts.
const STEP_MIN: Duration = Duration::from_secs(1);

/// How the share of traffic grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Curve {
    /// By the same in the same time.
    #[default]
    Linear,
    /// Slowly first, then faster: with the square of the time.
    Quadratic,
}

impl Curve {
    /// The curve as one word; part of the native API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Quadratic => "quadratic",
        }
    }
}

/// How the instances of a service begin to serve. Whole numbers throughout: it comes to the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowStart {
    duration_ms: u32,
    curve: Curve,
    min_percent: u8,
}

impl SlowStart {
    /// The share to begin with, in percent, where none is named.
    pub const MIN_PERCENT_DEFAULT: u8 = 10;

    /// Checks the bounds. A `duration_ms` of 0 is no ramp.
    ///
    /// # Errors
    /// If the duration is over [`SLOW_START_MS_MAX`], or `min_percent` not from 1 to 100.
    pub fn new(duration_ms: u64, curve: Curve, min_percent: u64) -> Result<Self, Invalid> {
        let duration = u32::try_from(duration_ms).ok();
        let Some(duration_ms) = duration.filter(|ms| *ms <= SLOW_START_MS_MAX) else {
            let rule = format!("must be from 0 to {SLOW_START_MS_MAX}");
            return Err(Invalid::new(
                "slow_start.duration_ms",
                rule,
                &duration_ms.to_string(),
            ));
        };
        match u8::try_from(min_percent) {
            Ok(percent @ 1..=100) => Ok(Self {
                duration_ms,
                curve,
                min_percent: percent,
            }),
            _ => Err(Invalid::new(
                "slow_start.min_percent",
                "must be from 1 to 100",
                &min_percent.to_string(),
            )),
        }
    }

    /// How long it lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms.into())
    }

    /// How the share grows.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The share to begin with, in percent.
    #[must_use]
    pub fn min_percent(&self) -> u8 {
        self.min_percent
    }

    /// How long a step lasts: a tenth of the whole, and a second at least.
    #[must_use]
    pub fn step(&self) -> Duration {
        (self.duration() / STEPS_MAX).max(STEP_MIN)
    }

    /// The share of one that has served for so long: from the least one to all of it, along the curve.
    #[must_use]
    pub fn share_at(&self, elapsed: Duration) -> Share {
        let (duration, min) = (u64::from(self.duration_ms), u64::from(self.min_percent));
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if elapsed >= duration {
            return Share::FULL;
        }
        let rest = 100 - min;
        // Up to 99 × 3,600,000²: far from the end of 64 bits.
        let more = match self.curve {
            Curve::Linear => rest * elapsed / duration,
            Curve::Quadratic => rest * elapsed * elapsed / (duration * duration),
        };
        match u8::try_from(min + more) {
            Ok(percent @ ..100) => Share(percent),
            _ => Share::EARLY,
        }
    }
}

/// The share of its weight that an instance gets, in percent. A byte, since there may be a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Share(u8);

impl Share {
    /// All of it.
    pub const FULL: Self = Self(100);
    /// All of it too, though it has not served for as long as the ramp lasts: when it began nobody had.
    pub const EARLY: Self = Self(101);

    /// The share, 1 to 100.
    #[must_use]
    pub fn percent(self) -> u8 {
        self.0.min(100)
    }

    /// Whether its ramp is over, or it never had one.
    #[must_use]
    pub fn is_full(self) -> bool {
        self == Self::FULL
    }

    /// As a number, for what stores it.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The share of this number; `None` if there is none.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        matches!(bits, 1..=101).then_some(Self(bits))
    }
}

/// Who is not on a ramp gets all.
impl Default for Share {
    fn default() -> Self {
        Self::FULL
    }
}

/// When an instance began to serve, as the time from the last change of its health to then: one that serves has been
/// healthy since then or before. So it takes four bytes: exact for 24 days, and to the second for 68 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Begun(u32);

impl Begun {
    /// It does not serve.
    pub const NEVER: Self = Self(u32::MAX);

    /// The rest is in seconds.
    const SECONDS: u32 = 1 << 31;

    /// It began at `at`; its health last changed at `since`.
    #[must_use]
    pub fn at(at: Wall, since: Wall) -> Self {
        // A wall clock that went back shows the change of health.
        let after = at.0.saturating_sub(since.0);
        match u32::try_from(after) {
            Ok(ms) if ms < Self::SECONDS => Self(ms),
            _ => {
                let seconds = u32::try_from(after / 1_000).unwrap_or(u32::MAX);
                Self(Self::SECONDS | seconds.min(Self::SECONDS - 2))
            }
        }
    }

    /// When that was, given when its health last changed. `None` if it does not serve.
    #[must_use]
    pub fn since(self, since: Wall) -> Option<Wall> {
        let after = match self {
            Self::NEVER => return None,
            Self(seconds) if seconds >= Self::SECONDS => u64::from(seconds - Self::SECONDS) * 1_000,
            Self(ms) => ms.into(),
        };
        Some(Wall(since.0.saturating_add(after)))
    }

    /// As a number, for what stores it.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The moment of this number.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow_start(duration_ms: u64, curve: Curve, min_percent: u64) -> SlowStart {
        SlowStart::new(duration_ms, curve, min_percent).unwrap()
    }

    #[test]
    fn the_share_follows_the_curve_from_its_least_to_all() {
        for (curve, min, shares) in [
            (Curve::Linear, 10, [10, 32, 55, 77, 99, 100]),
            (Curve::Linear, 1, [1, 25, 50, 75, 99, 100]),
            (Curve::Linear, 100, [100, 100, 100, 100, 100, 100]),
            (Curve::Quadratic, 10, [10, 15, 32, 60, 99, 100]),
            (Curve::Quadratic, 1, [1, 7, 25, 56, 99, 100]),
        ] {
            let ramp = slow_start(60_000, curve, min);
            let at = [0, 15_000, 30_000, 45_000, 59_999, 60_000];
            let found = at.map(|ms| ramp.share_at(Duration::from_millis(ms)).percent());
            assert_eq!(found, shares, "{curve:?} from {min}");
        }
        assert_eq!(
            slow_start(0, Curve::Linear, 10).share_at(Duration::ZERO),
            Share::FULL
        );
    }

    #[test]
    fn the_longest_ramp_does_not_overflow_and_never_falls() {
        for curve in [Curve::Linear, Curve::Quadratic] {
            let ramp = slow_start(SLOW_START_MS_MAX.into(), curve, 1);
            let shares = (0..=3_600).map(|second| ramp.share_at(Duration::from_secs(second)).percent());
            assert!(shares.is_sorted());
        }
    }

    #[test]
    fn a_ramp_has_at_most_ten_steps_and_none_is_shorter_than_a_second() {
        for (duration_ms, step_ms) in [
            (500, 1_000),
            (5_000, 1_000),
            (60_000, 6_000),
            (3_600_000, 360_000),
        ] {
            let ramp = slow_start(duration_ms, Curve::Linear, 10);
            assert_eq!(ramp.step(), Duration::from_millis(step_ms));
        }
    }

    #[test]
    fn only_the_bounds_are_a_ramp() {
        for (duration_ms, min_percent, field) in [
            (3_600_001, 10, "slow_start.duration_ms"),
            (u64::MAX, 10, "slow_start.duration_ms"),
            (1, 0, "slow_start.min_percent"),
            (1, 101, "slow_start.min_percent"),
            (1, u64::MAX, "slow_start.min_percent"),
        ] {
            let refused = SlowStart::new(duration_ms, Curve::Linear, min_percent).unwrap_err();
            assert_eq!(refused.field, field);
        }
    }

    #[test]
    fn when_it_began_is_exact_for_days_and_to_the_second_for_years() {
        let since = Wall(1_700_000_000_123);
        for (after, found) in [
            (0, 0),
            (1, 1),
            (2_147_483_647, 2_147_483_647),
            (2_147_483_648, 2_147_483_000),
            (1_000_000_000_001, 1_000_000_000_000),
        ] {
            let begun = Begun::at(Wall(since.0 + after), since);
            assert_eq!(begun.since(since), Some(Wall(since.0 + found)), "{after}");
            assert_eq!(Begun::from_bits(begun.bits()), begun);
        }
        assert_eq!(Begun::NEVER.since(since), None);
        assert_eq!(Begun::at(Wall(5), Wall(9)).since(Wall(9)), Some(Wall(9)));
        assert_ne!(Begun::at(Wall(u64::MAX), Wall(0)), Begun::NEVER);
    }

    #[test]
    fn a_share_is_kept_as_a_number() {
        for share in [Share::FULL, Share::EARLY, Share(1), Share(99)] {
            assert_eq!(Share::from_bits(share.bits()), Some(share));
        }
        assert_eq!((Share::from_bits(0), Share::from_bits(102)), (None, None));
        assert_eq!(Share::EARLY.percent(), 100);
    }
}
