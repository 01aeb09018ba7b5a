//! Free labels of an instance, packed into one allocation.
//!
//! A map of strings costs several hundred bytes for two entries; there may be a million instances. Here the entries
//! stand one after another in one block, ordered by key: two lengths of four bytes, the key, the value.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Invalid;

/// How many entries metadata may have.
pub const METADATA_ENTRIES_MAX: usize = 128;
/// How many bytes the keys and values may have together.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the two lengths before each entry.
const HEADER: usize = 8;

/// An ordered, immutable map from text to text. A clone shares it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// `None` when empty, so that an instance without metadata has no allocation for it.
    packed: Option<Arc<[u8]>>,
}

impl Metadata {
    /// Packs `entries`. Of two entries with one key the later stands.
    ///
    /// # Errors
    /// Names the limit if there are too many entries, or too long ones; and the rule if a key is empty.
    pub fn new<K, V>(entries: impl IntoIterator<Item = (K, V)>) -> Result<Self, Invalid>
    where
        K: AsRef<str> + Ord,
        V: AsRef<str>,
    {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            map.insert(key, value);
            if map.len() > METADATA_ENTRIES_MAX {
                return Err(Invalid::new("metadata", "must have at most 128 entries", "more"));
            }
        }
        let text: usize = map.iter().map(|(k, v)| k.as_ref().len() + v.as_ref().len()).sum();
        if text > METADATA_BYTES_MAX {
            let found = format!("{text} bytes");
            return Err(Invalid::new(
                "metadata",
                "must have at most 16384 bytes of keys and values",
                &found,
            ));
        }
        if map.keys().any(|key| key.as_ref().is_empty()) {
            return Err(Invalid::new("metadata", "must not have an empty key", ""));
        }
        Ok(Self::pack(&map, text))
    }

    /// These entries with those of `over` put over them, key by key. The sum of two legal maps is kept even where
    /// it passes the limits: neither layer may be lost because of the other.
    #[must_use]
    pub fn overlaid(&self, over: &Self) -> Self {
        let map: BTreeMap<&str, &str> = self.iter().chain(over.iter()).collect();
        let text = map.iter().map(|(key, value)| key.len() + value.len()).sum();
        Self::pack(&map, text)
    }

    fn pack<K: AsRef<str>, V: AsRef<str>>(map: &BTreeMap<K, V>, text: usize) -> Self {
        if map.is_empty() {
            return Self::default();
        }
        let mut packed = Vec::with_capacity(text + HEADER * map.len());
        for (key, value) in map {
            for part in [key.as_ref(), value.as_ref()] {
                // The sum is bounded above, so that no length can exceed 32 bits.
                packed.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            }
            packed.extend_from_slice(key.as_ref().as_bytes());
            packed.extend_from_slice(value.as_ref().as_bytes());
        }
        Self {
            packed: Some(packed.into()),
        }
    }

    /// The entries, ordered by key.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            rest: self.packed.as_deref().unwrap_or_default(),
        }
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packed.is_none()
    }
}

/// The entries of [`Metadata`].
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iter<'a> {
    fn length(&mut self) -> Option<usize> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        usize::try_from(u32::from_le_bytes(*length)).ok()
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        // Packed from text by `new` alone, so this always succeeds.
        std::str::from_utf8(text).ok()
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.length()?;
        let value = self.length()?;
        Some((self.text(key)?, self.text(value)?))
    }
}

impl<'a> IntoIterator for &'a Metadata {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_ordered_and_the_later_of_two_stands() {
        let metadata = Metadata::new([("b", "2"), ("a", ""), ("b", "3"), ("ü", "é")]).unwrap();
        assert_eq!(
            metadata.iter().collect::<Vec<_>>(),
            [("a", ""), ("b", "3"), ("ü", "é")]
        );
        assert_eq!(metadata.get("b"), Some("3"));
        assert_eq!(metadata.get("c"), None);
        assert!(Metadata::new::<&str, &str>([]).unwrap().is_empty());
    }

    #[test]
    fn limits_are_exact() {
        assert!(Metadata::new([("k", "v".repeat(METADATA_BYTES_MAX - 1))]).is_ok());
        assert!(Metadata::new([("k", "v".repeat(METADATA_BYTES_MAX))]).is_err());
        let entries = |n: usize| (0..n).map(|i| (format!("k{i}"), "")).collect::<Vec<_>>();
        assert!(Metadata::new(entries(METADATA_ENTRIES_MAX)).is_ok());
        assert!(Metadata::new(entries(METADATA_ENTRIES_MAX + 1)).is_err());
        assert!(Metadata::new([("", "v")]).is_err());
    }
}
