//! When a shorter list is not believed.
//!
//! 1. A list that the registry does not vouch for (`complete: false`, just after its start) takes nothing away: it
//!    adds and updates, and what it leaves out stays. Only an instance that is named as removed, for another
//!    reason than silence, goes.
//! 2. A list that became empty because the last instance fell silent (`expired`), or for a reason that nobody
//!    knows any more, leaves the last list that was not empty. All of a service falling silent at once is more
//!    often a fault between it and the registry than the end of the service; and if it is the end, calling a dead
//!    address fails just as calling none does. A list that was emptied in an orderly way is believed.
//!
//! Both last until the registry vouches for a list that is not empty, or empties it in an orderly way.

use std::collections::BTreeMap;
use std::sync::Arc;

use beatrix_wire::{Instance, Removal};

use super::mirror::Place;

/// Why a view shows more than the registry says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stale {
    /// The registry has just started and may not know all instances yet; what it does not know is kept.
    Incomplete,
    /// All instances fell silent, so the last ones known are kept.
    FellSilent,
    /// The registry cannot be reached; this is what it said last. Only one-shot reads are marked so.
    Unreachable,
}

/// The word for a removal because of silence.
const EXPIRED: &str = "expired";

/// How the registry told of the list.
pub(super) enum Told<'a> {
    /// As a whole, with the reason for which the last instance left.
    Whole { emptied_by: Option<&'a str> },
    /// As a difference.
    Difference { removed: &'a [Removal] },
}

impl Told<'_> {
    /// Whether an empty list came about by silence, as far as anybody knows.
    fn is_silence(&self) -> bool {
        let reason = match self {
            Self::Whole { emptied_by } => *emptied_by,
            Self::Difference { removed } => removed
                .iter()
                .max_by_key(|removal| removal.revision)
                .map(|removal| &*removal.reason),
        };
        reason.is_none_or(|reason| reason == EXPIRED)
    }

    /// The instances that went for another reason than silence.
    fn orderly(&self) -> impl Iterator<Item = Place> {
        let removed = match self {
            Self::Whole { .. } => &[],
            Self::Difference { removed } => *removed,
        };
        removed
            .iter()
            .filter(|removal| removal.reason != EXPIRED)
            .map(Place::of_removal)
    }
}

/// What to show, given what was shown before and what the registry says now.
pub(super) fn shown(
    before: &[Arc<Instance>],
    told: &BTreeMap<Place, Arc<Instance>>,
    complete: bool,
    how: &Told<'_>,
) -> (Vec<Arc<Instance>>, Option<Stale>) {
    let mark = if !complete {
        Stale::Incomplete
    } else if told.is_empty() && how.is_silence() {
        Stale::FellSilent
    } else {
        return (told.values().cloned().collect(), None);
    };
    let mut all: BTreeMap<Place, Arc<Instance>> = before
        .iter()
        .map(|instance| (Place::of(instance), Arc::clone(instance)))
        .collect();
    for place in how.orderly() {
        all.remove(&place);
    }
    all.extend(
        told.iter()
            .map(|(place, instance)| (place.clone(), Arc::clone(instance))),
    );
    let stale = (all.len() > told.len()).then_some(mark);
    (all.into_values().collect(), stale)
}
