//! What is to be known about an instance's health besides the health itself.

use std::fmt;

/// A set of marks; a byte, since there may be a million.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Marks(u8);

impl Marks {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// It is silent, but the mass-expiry guard holds.
    pub const SUSPECT: Self = Self(1);
    /// It is known from before a restart, or from a backup, only: it has not proved yet that it still lives.
    pub const UNCONFIRMED: Self = Self(1 << 1);
    /// Its health changes so often that it is called healthy only after it has been well for a while.
    pub const FLAPPING: Self = Self(1 << 2);
    /// Enough consumers say that they cannot reach it.
    pub const REPORTED: Self = Self(1 << 3);

    const NAMES: [(Self, &'static str); 4] = [
        (Self::SUSPECT, "suspect"),
        (Self::UNCONFIRMED, "unconfirmed"),
        (Self::FLAPPING, "flapping"),
        (Self::REPORTED, "reported"),
    ];

    /// Whether all of `marks` are set.
    #[must_use]
    pub fn has(self, marks: Self) -> bool {
        self.0 & marks.0 == marks.0
    }

    /// These with `marks` set or taken away.
    #[must_use]
    pub fn with(self, marks: Self, set: bool) -> Self {
        Self(if set { self.0 | marks.0 } else { self.0 & !marks.0 })
    }

    /// These and `others`.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The name of each that is set; part of the native API.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let set = Self::NAMES.into_iter().filter(move |(mark, _)| self.has(*mark));
        set.map(|(_, name)| name)
    }

    /// As a number, for what stores them.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.0
    }

    /// The marks of this number; `None` if it holds unknown ones.
    #[must_use]
    pub fn from_bits(bits: u8) -> Option<Self> {
        let known = Self::NAMES.iter().fold(0, |known, (mark, _)| known | mark.0);
        (bits & !known == 0).then_some(Self(bits))
    }
}

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_set_and_taken_away_each_for_itself() {
        let both = Marks::NONE.with(Marks::SUSPECT, true).with(Marks::FLAPPING, true);
        assert!(both.has(Marks::SUSPECT) && both.has(Marks::FLAPPING) && !both.has(Marks::UNCONFIRMED));
        assert_eq!(both.with(Marks::SUSPECT, false), Marks::FLAPPING);
        assert_eq!(format!("{both:?}"), r#"{"suspect", "flapping"}"#);
        assert_eq!(Marks::from_bits(both.bits()), Some(both));
        assert_eq!(Marks::from_bits(0x80), None);
    }
}
