//! The newest changes of the registry, oldest first.

use std::collections::VecDeque;

use crate::catalog::{Committed, Mutation, Part};
use crate::model::{Endpoint, Origin, Reason, Revision, ServiceKey, Wall};

/// What happened to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is new.
    Registered,
    /// Its registration changed.
    Updated,
    /// An operator's layer changed.
    Operator,
    /// Its health, or what it says about itself, changed.
    Health,
    /// It is gone.
    Removed,
}

/// One membership or health change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its revision; no other change has it.
    pub revision: Revision,
    /// When it was proposed.
    pub at: Wall,
    /// Who asked for it.
    pub by: Origin,
    /// The service.
    pub service: ServiceKey,
    /// The instance.
    pub endpoint: Endpoint,
    /// What happened.
    pub kind: ChangeKind,
    /// Why.
    pub reason: Reason,
    /// The service's change before this one: the changes of a service are found without looking at those of others.
    pub(crate) previous: Option<Place>,
}

impl Change {
    /// The change that a mutation was, as far as it alone tells: that an instance was there before is not known, so that
    /// each of its registrations is its first. `None` for what is no change of membership.
    #[must_use]
    pub fn of(committed: &Committed) -> Option<Self> {
        let (kind, reason) = match &committed.mutation {
            Mutation::Registered { .. } => (ChangeKind::Registered, Reason::Registered),
            Mutation::Removed { reason, .. } => (ChangeKind::Removed, *reason),
            Mutation::Measured { reason, .. } => (ChangeKind::Health, *reason),
            Mutation::Declared { .. } => (ChangeKind::Health, Reason::Declared),
            Mutation::Operated { .. } => (ChangeKind::Operator, Reason::Operator),
            Mutation::Imported { part, .. } => match &**part {
                Part::Instance(_) => (ChangeKind::Registered, Reason::Registered),
                Part::Layer(_) => (ChangeKind::Operator, Reason::Operator),
            },
            _ => return None,
        };
        let (service, endpoint) = committed.mutation.subject().instance()?;
        Some(Self {
            revision: committed.revision,
            at: committed.at,
            by: committed.by,
            service: service.clone(),
            endpoint: endpoint.clone(),
            kind,
            reason,
            previous: None,
        })
    }
}

/// Where a change stands. It outlives the change: so it is known of a dropped one whether a reader has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) revision: Revision,
    number: u64,
}

/// The newest changes, up to a bound. Each has a number that stays its own when older ones are dropped.
#[derive(Debug)]
pub struct ChangeLog {
    changes: VecDeque<Change>,
    /// The number of the oldest change that is held.
    first: u64,
    /// The revision of the newest change that was dropped.
    dropped: Option<Revision>,
    max: usize,
}

/// For how many changes there is room from the start. It is but addresses until it is used; growing instead would copy
/// the whole log in the middle of a burst.
const RESERVED_MAX: usize = 1024 * 1024;

impl ChangeLog {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            changes: VecDeque::with_capacity(max.clamp(1, RESERVED_MAX)),
            first: 0,
            dropped: None,
            max: max.max(1),
        }
    }

    /// Appends a change; returns its place.
    pub(crate) fn push(&mut self, change: Change) -> Place {
        debug_assert!(
            self.changes
                .back()
                .is_none_or(|last| last.revision < change.revision)
        );
        if self.changes.len() == self.max {
            let dropped = self.changes.pop_front().map(|change| change.revision);
            self.dropped = self.dropped.max(dropped);
            self.first += 1;
        }
        let revision = change.revision;
        self.changes.push_back(change);
        Place {
            revision,
            number: self.first + self.changes.len() as u64 - 1,
        }
    }

    /// Says that changes up to `revision` may be missing: they were before what the journal still tells.
    pub(crate) fn lacks_until(&mut self, revision: Revision) {
        self.dropped = self.dropped.max(Some(revision));
    }

    /// The change at this place, if it is still held.
    pub(crate) fn get(&self, place: Place) -> Option<&Change> {
        self.changes
            .get(usize::try_from(place.number.checked_sub(self.first)?).ok()?)
    }

    /// The changes after `revision`, oldest first.
    pub fn after(&self, revision: Revision) -> impl DoubleEndedIterator<Item = &Change> {
        let start = self.changes.partition_point(|change| change.revision <= revision);
        self.changes.range(start..)
    }

    /// The changes that are held, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().rev()
    }

    /// The oldest change that is held.
    #[must_use]
    pub fn oldest(&self) -> Option<&Change> {
        self.changes.front()
    }

    /// Whether a change after `revision` has been dropped already.
    #[must_use]
    pub fn lost_after(&self, revision: Revision) -> bool {
        self.dropped.is_some_and(|dropped| dropped > revision)
    }

    /// How many changes are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether no change is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
