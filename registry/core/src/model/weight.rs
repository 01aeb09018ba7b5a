//! The share of traffic that an instance wants.

use super::Invalid;

/// A weight from 0 to 10000. Nacos 2.x: the same range; 0 is legal and means no traffic.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Weight(f64);

impl Weight {
    /// The weight of those who name none.
    pub const DEFAULT: Self = Self(1.0);

    /// Checks the range.
    ///
    /// # Errors
    /// Names the rule for what is out of range or not a number.
    pub fn new(weight: f64) -> Result<Self, Invalid> {
        if (0.0..=10_000.0).contains(&weight) {
            // −0 equals 0 but prints otherwise.
            Ok(Self(weight + 0.0))
        } else {
            Err(Invalid::new(
                "weight",
                "must be a number from 0 to 10000",
                &weight.to_string(),
            ))
        }
    }

    /// The weight as a number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// NaN cannot be made, so that equality is total.
impl Eq for Weight {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_is_a_weight() {
        for (weight, ok) in [
            (0.0, true),
            (-0.0, true),
            (10_000.0, true),
            (10_000.1, false),
            (-1.0, false),
            (f64::NAN, false),
            (f64::INFINITY, false),
        ] {
            assert_eq!(Weight::new(weight).is_ok(), ok, "{weight}");
        }
        assert!(Weight::new(-0.0).unwrap().get().is_sign_positive());
    }
}
