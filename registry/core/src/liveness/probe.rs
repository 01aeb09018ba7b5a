//! Counting probe results: health flips after so many equal results in a row that contradict it.

use crate::model::Health;

/// How many results in a row contradicted the health that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streak(u8);

impl Streak {
    /// How many.
    #[must_use]
    pub fn against(self) -> u8 {
        self.0
    }
}

/// Takes one probe result into account. Returns the health to flip to, if it is time.
///
/// A result that agrees with `health` ends the streak; `rise` good results make an unhealthy instance healthy,
/// `fall` bad ones a healthy one unhealthy. 0 counts as 1.
pub fn observe(streak: &mut Streak, health: Health, good: bool, rise: u8, fall: u8) -> Option<Health> {
    let (contradicts, needed, flipped) = match health {
        Health::Healthy => (!good, fall, Health::Unhealthy),
        Health::Unhealthy => (good, rise, Health::Healthy),
    };
    if !contradicts {
        *streak = Streak::default();
        return None;
    }
    streak.0 = streak.0.saturating_add(1);
    if streak.0 < needed {
        return None;
    }
    *streak = Streak::default();
    Some(flipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_flips_after_the_streak_and_an_opposite_result_ends_it() {
        // Results (good is +), rise, fall, and the health after each.
        for (results, rise, fall, expected) in [
            ("---", 2, 3, "hhu"),
            ("--+--", 2, 3, "hhhhh"),
            ("---+++", 2, 3, "hhuuhh"),
            ("---+-+", 2, 3, "hhuuuu"),
            ("-+", 1, 1, "uh"),
            ("-", 0, 0, "u"),
        ] {
            let (mut streak, mut health) = (Streak::default(), Health::Healthy);
            let mut seen = String::new();
            for result in results.chars() {
                if let Some(flipped) = observe(&mut streak, health, result == '+', rise, fall) {
                    health = flipped;
                }
                seen.push(if health == Health::Healthy { 'h' } else { 'u' });
            }
            assert_eq!(seen, expected, "{results} rise {rise} fall {fall}");
        }
    }
}
