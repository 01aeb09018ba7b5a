//! The parsed switches, kept until a setting changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use beatrix_engine::Registry;

use super::Switches;

/// No version of the settings: nothing has been read yet.
const NEVER: u64 = u64::MAX;

/// The switches as of some version of the settings.
///
/// Two requests that find them outdated read them both, and store the same.
#[derive(Debug)]
pub(crate) struct Kept {
    current: ArcSwap<(u64, Arc<Switches>)>,
    /// The version of which it is known that no request has to look at a switch.
    usual: AtomicU64,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            current: ArcSwap::from_pointee((NEVER, Arc::default())),
            usual: AtomicU64::new(NEVER),
        }
    }
}

impl Kept {
    /// The switches as they are set now.
    pub(crate) fn current(&self, registry: &Registry) -> Arc<Switches> {
        let version = registry.settings_version();
        let kept = self.current.load();
        if kept.0 == version {
            return Arc::clone(&kept.1);
        }
        // The version comes first: what changes while this reads is read again by the next.
        let switches = Arc::new(Switches::read(|name| registry.setting(name)));
        self.current.store(Arc::new((version, Arc::clone(&switches))));
        if !switches.unusual() {
            self.usual.store(version, Ordering::Release);
        }
        switches
    }

    /// The switches, if a request has to look at any of them.
    #[inline]
    pub(crate) fn unusual(&self, registry: &Registry) -> Option<Arc<Switches>> {
        if registry.settings_version() == self.usual.load(Ordering::Acquire) {
            return None;
        }
        Some(self.current(registry)).filter(|switches| switches.unusual())
    }
}
