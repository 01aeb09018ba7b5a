//! The difference between a service's state at an earlier revision and now.

use crate::catalog::Roster;
use crate::model::{Endpoint, Member, Reason, Revision};

use super::log::{Change, ChangeKind, ChangeLog, Place};

/// From which share of touched instances on, one in so many, the whole roster is looked at.
const SCAN_FROM: usize = 8;

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
    /// What changed in the service of `roster` after `since`, given the place of its last change. `stepped`: shares of
    /// new instances changed as well, of which the log knows nothing; the instances do.
    pub(crate) fn missed(
        &self,
        roster: &Roster,
        last: Option<Place>,
        stepped: bool,
        since: Revision,
    ) -> Missed {
        let mut touched: Vec<&Change> = Vec::new();
        let mut next = last;
        // A change that the reader has seen need not be held any more: a quiet service stays resumable however busy
        // the others are.
        while let Some(place) = next.filter(|place| place.revision > since) {
            let Some(change) = self.get(place) else {
                return Missed::TooOld;
            };
            touched.push(change);
            next = change.previous;
        }
        if touched.is_empty() && !stepped {
            return Missed::Nothing;
        }
        // Of each instance its last change counts; in the order of the roster.
        touched.sort_unstable_by(|a, b| a.endpoint.cmp(&b.endpoint).then(b.revision.cmp(&a.revision)));
        touched.dedup_by(|later, kept| later.endpoint == kept.endpoint);
        let mut delta = Delta::default();
        if stepped || touched.len() * SCAN_FROM > roster.len() {
            // So many that it is cheaper to look at all, side by side, than to search for each.
            delta.upserted.extend(
                roster
                    .iter()
                    .filter(|member| member.state.revision > since)
                    .cloned(),
            );
        } else {
            delta.upserted.extend(
                touched
                    .iter()
                    .filter_map(|change| roster.get(&change.endpoint))
                    .cloned(),
            );
        }
        // One whose last change was its removal is gone.
        let gone = touched.iter().filter(|change| change.kind == ChangeKind::Removed);
        delta.removed.extend(gone.map(|change| Removed {
            endpoint: change.endpoint.clone(),
            reason: change.reason,
            revision: change.revision,
        }));
        Missed::Delta(delta)
    }
}
