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
/// Two requests that find them outdated read them both. Whichever stores last, an outdated version is read again by the
/// next request.
#[derive(Debug)]
pub(crate) struct Kept {
    current: ArcSwap<Read>,
    /// The version of which it is known that no request has to look at a switch.
    usual: AtomicU64,
}

/// What was read.
#[derive(Debug, Clone)]
struct Read {
    version: u64,
    switches: Arc<Switches>,
    /// Whether a request has to look at any of them.
    unusual: bool,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            current: ArcSwap::from_pointee(Read {
                version: NEVER,
                switches: Arc::default(),
                unusual: false,
            }),
            usual: AtomicU64::new(NEVER),
        }
    }
}

impl Kept {
    /// The switches as they are set now.
    pub(crate) fn current(&self, registry: &Registry) -> Arc<Switches> {
        self.read(registry).switches
    }

    /// The switches, if a request has to look at any of them.
    #[inline]
    pub(crate) fn unusual(&self, registry: &Registry) -> Option<Arc<Switches>> {
        if registry.settings_version() == self.usual.load(Ordering::Acquire) {
            return None;
        }
        self.look(registry)
    }

    fn look(&self, registry: &Registry) -> Option<Arc<Switches>> {
        let read = self.read(registry);
        if read.unusual {
            return Some(read.switches);
        }
        // Each time it is found: of two that were late the one that knows less may have written last.
        self.usual.store(read.version, Ordering::Release);
        None
    }

    fn read(&self, registry: &Registry) -> Read {
        let version = registry.settings_version();
        let kept = self.current.load();
        if kept.version == version {
            return Read::clone(&kept);
        }
        // The version comes first: what changes while this reads is read again by the next.
        let switches = Switches::read(|name| registry.setting(name));
        let read = Read {
            version,
            unusual: switches.unusual(),
            switches: Arc::new(switches),
        };
        self.current.store(Arc::new(read.clone()));
        read
    }
}

#[cfg(test)]
mod tests {
    use beatrix_engine::journal::Memory;
    use beatrix_engine::random::Random;
    use beatrix_engine::{EngineConfig, RegistryBuilder};

    use super::*;

    async fn set(registry: &Registry, name: &str, value: Option<&str>) {
        let name = format!("nacos.switch.{name}").parse().unwrap();
        registry.set(name, value.map(Into::into)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_thread_does_not_keep_all_others_off_the_short_way() {
        let random = Random::from_seed(1);
        let journal = Memory::new(random.epoch());
        let builder = RegistryBuilder::new(EngineConfig::default(), random);
        let registry = builder.start(journal).await.unwrap();
        let kept = Kept::default();
        let outdated = registry.settings_version();
        set(&registry, "lightBeatEnabled", Some("false")).await;
        assert!(kept.unusual(&registry).is_some());
        set(&registry, "lightBeatEnabled", None).await;
        assert!(kept.unusual(&registry).is_none());
        // The late one, that had found the usual switches before all that.
        kept.usual.store(outdated, Ordering::Release);
        assert!(kept.unusual(&registry).is_none());
        assert_eq!(kept.usual.load(Ordering::Acquire), registry.settings_version());
    }
}
