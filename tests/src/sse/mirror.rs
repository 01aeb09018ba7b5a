//! What a subscriber of one service knows.

use std::collections::BTreeMap;

use beatrix_wire::{Instance, Removal, ServiceDelta, ServiceView};

use super::Event;

/// One service as built from the events of a stream.
#[derive(Debug, Clone, Default)]
pub struct Mirror {
    /// The revision that this is the state at.
    pub revision: u64,
    /// The instances by `address:port`.
    pub instances: BTreeMap<String, Instance>,
    /// Why instances left, oldest first.
    pub removals: Vec<Removal>,
    /// How many snapshots came.
    pub snapshots: usize,
    /// How many deltas came.
    pub deltas: usize,
}

impl Mirror {
    /// Applies an event; those that carry no service change nothing.
    ///
    /// # Panics
    ///
    /// When the event breaks the contract: a delta that does not apply to the state so far, or a revision that goes
    /// back.
    pub fn apply(&mut self, event: &Event) {
        if let Some(view) = event.snapshot() {
            self.replace(view);
        } else if let Some(delta) = event.delta() {
            self.advance(delta);
        }
    }

    fn replace(&mut self, view: ServiceView) {
        assert!(
            view.revision >= self.revision,
            "a snapshot goes back: {} to {}",
            self.revision,
            view.revision
        );
        self.snapshots += 1;
        self.revision = view.revision;
        self.instances = view
            .instances
            .into_iter()
            .map(|it| (it.authority(), it))
            .collect();
    }

    fn advance(&mut self, delta: ServiceDelta) {
        assert!(
            (delta.from_revision..=delta.revision).contains(&self.revision),
            "the delta from {} to {} does not apply at {}",
            delta.from_revision,
            delta.revision,
            self.revision,
        );
        self.deltas += 1;
        self.revision = delta.revision;
        for removal in delta.removed {
            self.instances
                .retain(|_, it| (&it.address, it.port) != (&removal.address, removal.port));
            self.removals.push(removal);
        }
        for instance in delta.upserted {
            self.instances.insert(instance.authority(), instance);
        }
    }
}
