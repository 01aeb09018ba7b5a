//! The short id that a registration returns and a beat carries.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::Invalid;

/// 64 random bits. They are drawn by whoever proposes a registration and are part of what is committed, so that a
/// lease means the same on every node; being random, they are their own hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(NonZeroU64);

impl Lease {
    /// A lease of these bits, which must come from a generator that cannot be guessed. `None` for the one value
    /// that tables use as a mark of absence.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        NonZeroU64::new(bits).map(Self)
    }

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0.get()
    }

    /// Reads 16 hexadecimal digits, lower case. On the path of every native beat, hence by hand: no allocation,
    /// no `char`, one table look-up a digit.
    #[must_use]
    pub fn parse_bytes(text: &[u8]) -> Option<Self> {
        let digits: &[u8; 16] = text.try_into().ok()?;
        let mut bits = 0_u64;
        let mut bad = 0_u8;
        for digit in digits {
            let value = HEX[usize::from(*digit)];
            bad |= value & 0xF0;
            bits = bits << 4 | u64::from(value & 0x0F);
        }
        if bad == 0 { Self::from_bits(bits) } else { None }
    }
}

/// The value of each lower-case hexadecimal digit; high bits set for all other bytes.
const HEX: [u8; 256] = {
    let mut table = [0xF0; 256];
    let mut i = 0;
    while i < 16 {
        table[b"0123456789abcdef"[i] as usize] = i as u8;
        i += 1;
    }
    table
};

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A lease lets whoever holds it keep an instance alive: logs show its start only.
impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({:04x}…)", self.0.get() >> 48)
    }
}

impl FromStr for Lease {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse_bytes(text.as_bytes())
            .ok_or_else(|| Invalid::new("lease", "must be one that a registration returned", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_reads_back_and_nothing_else_is_read() {
        let lease = Lease::from_bits(0x0123_4567_89ab_cdef).unwrap();
        assert_eq!(lease.to_string(), "0123456789abcdef");
        assert_eq!(lease.to_string().parse::<Lease>().unwrap(), lease);
        for text in [
            "",
            "0",
            "0123456789ABCDEF",
            "0123456789abcdeg",
            "0123456789abcdef0",
            "0000000000000000",
        ] {
            assert!(text.parse::<Lease>().is_err(), "{text:?}");
        }
        assert!(Lease::parse_bytes("0123456789abcdé".as_bytes()).is_none());
        assert!(!format!("{lease:?}").contains("cdef"));
    }
}
