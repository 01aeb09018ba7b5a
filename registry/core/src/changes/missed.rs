//! The difference between a service's state at an earlier revision and now.

use std::collections::BTreeMap;

use crate::catalog::Roster;
use crate::model::{Endpoint, Member, Reason, Revision};

use super::log::{Change, ChangeKind, ChangeLog, Place};

/// What a reader missed.
#[derive(Debug, Clone)]
pub enum Missed {
    /// Nothing: its state is the newest.
    Nothing,
    /// Just this.
    Delta(Delta),
    /// More than the log still holds: only a snapshot can tell.
    TooOld,
}

/// What changed in a service since a revision. Applied to the state at that revision it gives the newest state.
#[derive(Debug, Clone, Default)]
pub struct Delta {
    /// Instances that are new or changed, as they are now.
    pub upserted: Vec<Member>,
    /// Instances that are gone.
    pub removed: Vec<Removed>,
}

/// An instance that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// What named it.
    pub endpoint: Endpoint,
    /// Why it left.
    pub reason: Reason,
    /// The revision at which it left.
    pub revision: Revision,
}

impl ChangeLog {
    /// What changed in the service of `roster` after `since`, given the place of its last change.
    pub(crate) fn missed(&self, roster: &Roster, last: Option<Place>, since: Revision) -> Missed {
        // From the newest back: the first change that is met of an instance is its last.
        let mut newest: BTreeMap<&Endpoint, &Change> = BTreeMap::new();
        let mut next = last;
        // A change that the reader has seen need not be held any more: a quiet service stays resumable however busy
        // the others are.
        while let Some(place) = next.filter(|place| place.revision > since) {
            let Some(change) = self.get(place) else {
                return Missed::TooOld;
            };
            newest.entry(&change.endpoint).or_insert(change);
            next = change.previous;
        }
        if newest.is_empty() {
            return Missed::Nothing;
        }
        let mut delta = Delta::default();
        for (endpoint, change) in newest {
            match roster.get(endpoint) {
                Some(member) => delta.upserted.push(member.clone()),
                None => {
                    debug_assert_eq!(change.kind, ChangeKind::Removed);
                    let Change { reason, revision, .. } = *change;
                    delta.removed.push(Removed {
                        endpoint: endpoint.clone(),
                        reason,
                        revision,
                    });
                }
            }
        }
        Missed::Delta(delta)
    }
}
