//! What a subscriber is told about one service: the whole, or the difference since an earlier revision.

use std::sync::Arc;

use beatrix_core::catalog::{Renders, View};
use beatrix_core::changes::Delta;
use beatrix_core::model::{Revision, ServiceKey, Version};

/// One thing to tell, shared by all who are to be told it.
#[derive(Debug)]
pub struct Update {
    /// The service.
    pub key: ServiceKey,
    /// The state that it leads to.
    pub to: Version,
    /// False while the registry may not know all instances yet.
    pub complete: bool,
    /// Whole or difference.
    pub kind: UpdateKind,
    renders: Renders,
}

/// Whole or difference.
#[derive(Debug)]
pub enum UpdateKind {
    /// The whole service.
    Snapshot(Arc<View>),
    /// The difference. It applies to the state at `from` and to any between it and the one it leads to, since it
    /// says how each touched instance is now, not what happened to it.
    Delta {
        /// The state that it starts from.
        from: Revision,
        /// What changed.
        delta: Delta,
    },
}

impl Update {
    pub(super) fn snapshot(view: Arc<View>) -> Self {
        Self {
            key: view.key.clone(),
            to: view.version(),
            complete: view.complete,
            kind: UpdateKind::Snapshot(view),
            renders: Renders::default(),
        }
    }

    pub(super) fn delta(key: ServiceKey, from: Revision, to: Version, complete: bool, delta: Delta) -> Self {
        Self {
            key,
            to,
            complete,
            kind: UpdateKind::Delta { from, delta },
            renders: Renders::default(),
        }
    }

    pub(super) fn is_snapshot(&self) -> bool {
        matches!(self.kind, UpdateKind::Snapshot(_))
    }

    pub(super) fn is_snapshot_of(&self, view: &View) -> bool {
        self.is_snapshot() && self.to == view.version() && self.complete == view.complete
    }

    /// Whether somebody whose state is `at` may be told this.
    pub(super) fn applies_to(&self, at: Revision) -> bool {
        match &self.kind {
            UpdateKind::Snapshot(_) => true,
            UpdateKind::Delta { from, .. } => at >= *from,
        }
    }

    /// What was rendered of it.
    #[must_use]
    pub fn renders(&self) -> &Renders {
        &self.renders
    }
}
