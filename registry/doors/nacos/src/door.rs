//! The door itself: the registry behind it, and the little that this door keeps besides.

use std::ops::Deref;
use std::sync::Arc;

use beatrix_engine::Registry;

use crate::switches::{Kept, Switches};
use crate::udp::Pusher;

/// What every handler gets. A clone is the same door.
#[derive(Debug, Clone)]
pub(crate) struct Nacos(Arc<Door>);

/// The parts of a [`Nacos`], which derefs to them.
#[derive(Debug)]
pub(crate) struct Door {
    /// Everything that is registered.
    pub(crate) registry: Registry,
    /// Who sends datagrams, if anybody does.
    pub(crate) pusher: Option<Pusher>,
    switches: Kept,
}

impl Nacos {
    /// A door to `registry`; who asks for it is pushed to by `pusher`.
    pub(crate) fn new(registry: Registry, pusher: Option<Pusher>) -> Self {
        Self(Arc::new(Door {
            registry,
            pusher,
            switches: Kept::default(),
        }))
    }
}

impl Door {
    /// The switches as they are set now.
    pub(crate) fn switches(&self) -> Arc<Switches> {
        self.switches.current(&self.registry)
    }

    /// The switches, if one of those is set that requests depend on. `None` nearly always, and then this is two loads
    /// of atomics: so it stands in the path of every beat.
    pub(crate) fn unusual(&self) -> Option<Arc<Switches>> {
        self.switches.unusual(&self.registry)
    }
}

impl Deref for Nacos {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.0
    }
}
