//! Names of states of the registry.

use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// A counter that only grows. Every change has exactly one; 0 is the state before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// The state before the first change.
    pub const ZERO: Self = Self(0);

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names the history that revisions count in. Two registries, or one that lost its history, have different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// One state of one registry, `epoch.revision` as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// The history.
    pub epoch: Epoch,
    /// The state in it.
    pub revision: Revision,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.revision)
    }
}

impl FromStr for Version {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parse = || {
            let (epoch, revision) = text.split_once('.')?;
            let digits = |text: &str, hex: bool| {
                text.bytes()
                    .all(|b| b.is_ascii_digit() || hex && (b'a'..=b'f').contains(&b))
            };
            if epoch.len() != 16 || !digits(epoch, true) || revision.is_empty() || !digits(revision, false) {
                return None;
            }
            let epoch = Epoch(u64::from_str_radix(epoch, 16).ok()?);
            Some(Self {
                epoch,
                revision: Revision(revision.parse().ok()?),
            })
        };
        parse().ok_or_else(|| Invalid::new("version", "must be epoch.revision as the registry gave it", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back_and_garbage_does_not() {
        let version = Version {
            epoch: Epoch(0xAB),
            revision: Revision(7),
        };
        assert_eq!(version.to_string(), "00000000000000ab.7");
        assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        for text in [
            "",
            ".",
            "7",
            "ab.7",
            "00000000000000ab.",
            "00000000000000ab.-1",
            "00000000000000ab.+1",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
        assert!(
            "00000000000000ab.99999999999999999999"
                .parse::<Version>()
                .is_err()
        );
    }
}
