//! One who is asked whether he knows something. It outlives his subscription: what he acknowledged before he left counts.

use std::sync::Arc;

use beatrix_core::model::{Revision, ServiceKey};

use super::Hub;
use super::subscriber::{Parting, Subscriber};

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
        self.0.has_left()
    }

    /// Whether he knows the state at `revision`, or is known to use none any more.
    pub(crate) fn knows(&self, revision: Revision) -> bool {
        // In this order: he acknowledges first and leaves then.
        let left = self.0.has_left() && self.0.parting() == Parting::Known;
        left || self.0.acked() >= revision
    }

    /// Whether he is who was lost, come back, and knows the state at `revision`.
    pub(crate) fn is_in_place_of(&self, lost: &Self, revision: Revision) -> bool {
        let same = self.0.parting() == Parting::Lost && lost.has_left() && self.name() == lost.name();
        same && self.0.acked() >= revision
    }
}
