//! An instance as it is kept: the record that writers share, and its place in a service.

use std::sync::Arc;

use super::{
    Begun, Cluster, Declared, DeclaredStatus, Endpoint, Health, Metadata, OperatorLayer, Registration, Share,
    State, Wall, Weight,
};

/// Both layers of an instance. Immutable and shared by the catalog and every view; a write makes a new one.
///
/// There may be a million: what few instances have stands behind a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What the client registered.
    pub registration: Registration,
    /// What an operator set over it.
    operator: Option<Arc<Overlay>>,
    /// What the client says about itself.
    pub declared: Option<Arc<Declared>>,
}

/// An operator's layer, with the metadata that results from it.
#[derive(Debug, PartialEq, Eq)]
struct Overlay {
    layer: OperatorLayer,
    metadata: Metadata,
}

impl Record {
    /// Puts `operator` over `registration`.
    #[must_use]
    pub fn new(
        registration: Registration,
        operator: Option<&OperatorLayer>,
        declared: Option<Arc<Declared>>,
    ) -> Self {
        let operator = operator.map(|layer| {
            let metadata = registration.metadata.overlaid(&layer.metadata);
            Arc::new(Overlay {
                layer: layer.clone(),
                metadata,
            })
        });
        Self {
            registration,
            operator,
            declared,
        }
    }

    /// The operator's layer.
    #[must_use]
    pub fn operator(&self) -> Option<&OperatorLayer> {
        self.operator.as_ref().map(|overlay| &overlay.layer)
    }

    /// Whether it is switched on.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.operator()
            .and_then(|layer| layer.enabled)
            .unwrap_or(self.registration.enabled)
    }

    /// The share of traffic it gets.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.operator()
            .and_then(|layer| layer.weight)
            .unwrap_or(self.registration.weight)
    }

    /// The labels, the operator's over the client's.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.operator
            .as_ref()
            .map_or(&self.registration.metadata, |overlay| &overlay.metadata)
    }

    /// The label inside the service.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.registration.cluster
    }

    /// Whether it says itself that it is not well.
    #[must_use]
    pub fn unwell(&self) -> bool {
        self.declared
            .as_ref()
            .is_some_and(|declared| declared.status == DeclaredStatus::Unhealthy)
    }

    /// Whether it is being emptied of traffic, by an operator or by its own wish.
    #[must_use]
    pub fn draining(&self) -> bool {
        self.operator().is_some_and(|layer| layer.draining)
            || self
                .declared
                .as_ref()
                .is_some_and(|declared| declared.status == DeclaredStatus::Draining)
    }
}

/// Since when an instance serves, and how much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serving {
    since: Wall,
    share: Share,
}

/// An instance at its place in a service.
#[derive(Debug, Clone)]
pub struct Member {
    /// What names it inside the service.
    pub endpoint: Endpoint,
    /// Index of what the catalog keeps about it besides.
    pub(crate) slot: u32,
    /// What was measured.
    pub state: State,
    /// Both layers.
    pub record: Arc<Record>,
}

impl Member {
    /// Whether callers should use it now: switched on, not draining, and healthy as far as can be told. An
    /// instance that the guard protects keeps its health and so keeps serving.
    #[must_use]
    pub fn serving(&self) -> bool {
        self.state.health == Health::Healthy && self.record.enabled() && !self.record.draining()
    }

    /// Whether it was measured healthy.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.state.health == Health::Healthy
    }

    /// The weight that callers balance by: what was set, or the share of it that an instance gets that is new. Every
    /// door tells this one.
    #[must_use]
    pub fn effective_weight(&self) -> f64 {
        let weight = self.record.weight().get();
        match self.state.share.percent() {
            100 => weight,
            percent => weight * f64::from(percent) / 100.0,
        }
    }

    /// How it serves, to be asked for before a change.
    pub(crate) fn service(&self) -> Option<Serving> {
        let since = self.state.serving_since()?;
        let share = self.state.share;
        self.serving().then_some(Serving { since, share })
    }

    /// Notes after a change whether it serves: on and on if it did `before`, or from `at` on, with the share `begin`.
    /// Returns whether it begins now.
    pub(crate) fn note_service(&mut self, before: Option<Serving>, begin: Share, at: Wall) -> bool {
        if !self.serving() {
            self.state.share = Share::FULL;
            self.state.begun = Begun::NEVER;
            return false;
        }
        let serving = before.unwrap_or(Serving {
            since: at,
            share: begin,
        });
        self.state.share = serving.share;
        self.state.begun = Begun::at(serving.since, self.state.since);
        before.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_stay_small() {
        // A million instances at 600 bytes each: these two are the largest parts.
        assert!(size_of::<Record>() <= 112, "{}", size_of::<Record>());
        assert!(size_of::<Member>() <= 64, "{}", size_of::<Member>());
    }
}
