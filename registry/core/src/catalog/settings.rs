//! Settings of the whole registry: texts by name, which doors keep and understand. The core understands one of them,
//! [`EXPIRY`].
//!
//! Readers take no lock: they see the newest map, and a version that tells whether what they made of it is still good.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::model::{Invalid, SettingName};

use super::refusal::Refusal;

/// How many settings there may be.
pub const SETTINGS_MAX: usize = 256;
/// How many bytes the value of a setting may have.
pub const SETTING_BYTES_MAX: usize = 16 * 1024;

/// The setting that says whether silence has consequences: `on` or `off`, and `on` where it is not set. While it is off,
/// silence flips and removes nobody.
pub const EXPIRY: &str = "expiry";

/// The settings, as readers share them.
#[derive(Debug, Default)]
pub struct Settings {
    version: AtomicU64,
    texts: ArcSwap<BTreeMap<SettingName, Arc<str>>>,
}

impl Settings {
    /// The value of a setting.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<str>> {
        self.texts.load().get(name).cloned()
    }

    /// All of them.
    pub(super) fn all(&self) -> Arc<BTreeMap<SettingName, Arc<str>>> {
        self.texts.load_full()
    }

    /// A number that grows with each change of any setting. Whoever reads it, then settings, and finds it unchanged
    /// later, has read what still is.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Checks a change before it is decided. Returns whether it would change anything.
    pub(super) fn check(&self, name: &SettingName, value: Option<&str>) -> Result<bool, Refusal> {
        let texts = self.texts.load();
        let known = texts.get(name);
        if let Some(value) = value {
            if value.len() > SETTING_BYTES_MAX {
                let found = format!("{} bytes", value.len());
                return Err(Invalid::new("value", "must have at most 16384 bytes", &found).into());
            }
            if name.as_str() == EXPIRY && !matches!(value, "on" | "off") {
                return Err(Invalid::new("expiry", "must be on or off", value).into());
            }
            if known.is_none() && texts.len() >= SETTINGS_MAX {
                return Err(Refusal::Limit {
                    limit: "settings_max",
                    max: SETTINGS_MAX,
                });
            }
        }
        Ok(known.map(|known| &**known) != value)
    }

    /// Changes a setting. Owner only.
    pub(super) fn set(&self, name: SettingName, value: Option<Arc<str>>) {
        let mut texts = BTreeMap::clone(&self.texts.load());
        match value {
            Some(value) => texts.insert(name, value),
            None => texts.remove(&name),
        };
        self.texts.store(Arc::new(texts));
        // After the texts: whoever sees the version sees them.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Whether silence has consequences.
    pub(super) fn expiry(&self) -> bool {
        self.get(EXPIRY).as_deref() != Some("off")
    }
}
