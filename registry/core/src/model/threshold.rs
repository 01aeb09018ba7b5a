//! Below which share of healthy instances a service protects its callers.

use super::Invalid;

/// A share of healthy instances, usually from 0 to 1. Nacos 2.x: at or below it a list shows all instances as
/// healthy, so that the few that are left are not run over; 0 is never. A negative one is kept, and means 0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Threshold(f64);

impl Threshold {
    /// Checks that it is a number.
    ///
    /// # Errors
    /// Names the rule for what is infinite or not a number.
    pub fn new(threshold: f64) -> Result<Self, Invalid> {
        if threshold.is_finite() {
            // −0 equals 0 but prints otherwise.
            Ok(Self(threshold + 0.0))
        } else {
            Err(Invalid::new(
                "protect_threshold",
                "must be a finite number",
                &threshold.to_string(),
            ))
        }
    }

    /// The threshold as it was set.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// NaN cannot be made, so that equality is total.
impl Eq for Threshold {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_finite_number_is_a_threshold() {
        for (threshold, ok) in [
            (0.0, true),
            (-0.0, true),
            (0.85, true),
            (-1.0, true),
            (f64::MAX, true),
            (f64::NAN, false),
            (f64::INFINITY, false),
            (f64::NEG_INFINITY, false),
        ] {
            assert_eq!(Threshold::new(threshold).is_ok(), ok, "{threshold}");
        }
        assert!(Threshold::new(-0.0).unwrap().get().is_sign_positive());
    }
}
