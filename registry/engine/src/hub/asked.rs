//! One who is asked whether he knows something. It outlives his subscription: what he acknowledged before he left counts.

use std::sync::Arc;

use beatrix_core::model::{Revision, ServiceKey};
use tokio::time::Instant;

use super::Hub;
use super::subscriber::{BROKEN_GRACE, Parting, Subscriber};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Asked(Arc<Subscriber>);

impl Hub {
    /// Those who watch a service now.
    pub(crate) fn asked_of(&self, key: &ServiceKey) -> Vec<Asked> {
        let topic = self.topics.pin().get(&key.borrowed()).cloned();
        let subscribers = topic.map(|topic| topic.subscribers()).unwrap_or_default();
        subscribers.into_iter().map(Asked).collect()
    }
}

impl Asked {
    pub(crate) fn id(&self) -> u64 {
        self.0.id()
    }

    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    pub(crate) fn acks(&self) -> bool {
        self.0.acks()
    }

    pub(crate) fn has_left(&self) -> bool {
        self.0.left().is_some()
    }

    /// Whether he knows the state at `revision`, or is known to use none any more.
    pub(crate) fn knows(&self, revision: Revision) -> bool {
        // In this order: he acknowledges first and leaves then.
        let known = self.0.parting() == Parting::Known || self.0.is_dismissed();
        self.has_left() && known || self.0.acked() >= revision
    }

    /// When he is given up. `None`: never, or he has not left.
    pub(crate) fn given_up_at(&self) -> Option<Instant> {
        let left = self.0.left().filter(|_| self.0.parting() == Parting::Broken)?;
        Some(left.at + BROKEN_GRACE)
    }

    /// Whether he is who was lost, come back, and knows the state at `revision`. Who has no name cannot come back, and names
    /// of connections are not unique: he must have come after the other left.
    pub(crate) fn is_in_place_of(&self, lost: &Self, revision: Revision) -> bool {
        let Some(left) = lost.0.left().filter(|_| !lost.name().is_empty()) else {
            return false;
        };
        let same = self.name() == lost.name() && self.0.parting() == lost.0.parting();
        let later = match lost.0.parting() {
            Parting::Known => false,
            Parting::Lost => true,
            Parting::Broken => self.id() >= left.next,
        };
        same && later && self.0.acked() >= revision
    }
}
