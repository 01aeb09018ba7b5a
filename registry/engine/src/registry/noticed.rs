//! What the owner noticed besides changes: what guards came to, and that the process stood still. Bounded, in memory,
//! since this start: none of it changes what is there.

use std::collections::VecDeque;
use std::time::Duration;

use beatrix_core::catalog::{GuardEvent, GuardTurn};
use beatrix_core::model::{Mono, Origin, Revision, ServiceKey, Wall};

/// How many turns of guards are kept.
pub const GUARD_EVENTS_MAX: usize = 1_024;

/// What a guard came to, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardEntry {
    /// Counts them; each has one of its own.
    pub number: u64,
    /// The newest revision of the registry when it happened. It has none of its own.
    pub revision: Revision,
    /// When, by the wall clock.
    pub at: Wall,
    /// Who asked for it.
    pub asked: Origin,
    /// What it came to.
    pub turn: GuardTurn,
    /// When it ends at the latest, by the wall clock; of one that ended, when it would have.
    pub until: Option<Wall>,
}

/// How often, and how long, this process stood still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stalls {
    /// How often.
    pub count: u64,
    /// For how long in all.
    pub total: Duration,
    /// For how long the last time.
    pub last: Duration,
    /// When that was over; `None` if it never stood still.
    pub last_at: Option<Wall>,
}

/// How often guards came to what, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardCounts {
    /// They began to hold by themselves.
    pub tripped: u64,
    /// An operator forced them.
    pub forced: u64,
    /// They ended.
    pub ended: u64,
}

/// Liveness time as it is shown: what the wall clock says now, less or more the time in between.
pub(super) fn shown(at: Mono, now: Mono, wall: Wall) -> Wall {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (ago, ahead) = (ms(now.since(at)), ms(at.since(now)));
    Wall(wall.0.saturating_add(ahead).saturating_sub(ago))
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    guards: VecDeque<GuardEntry>,
    counts: GuardCounts,
    stalls: Stalls,
}

impl Noticed {
    /// `now` and `at` are the same moment, in liveness time and by the wall clock.
    pub(super) fn guard(
        &mut self,
        turn: GuardTurn,
        asked: Origin,
        revision: Revision,
        (now, at): (Mono, Wall),
    ) {
        let count = match turn.event {
            GuardEvent::Holds(_) => &mut self.counts.tripped,
            GuardEvent::Forced(_) => &mut self.counts.forced,
            GuardEvent::Ended(_) => &mut self.counts.ended,
        };
        *count += 1;
        if self.guards.len() == GUARD_EVENTS_MAX {
            self.guards.pop_front();
        }
        self.guards.push_back(GuardEntry {
            number: self.counts.tripped + self.counts.forced + self.counts.ended,
            revision,
            at,
            asked,
            until: turn.reading.until.map(|until| shown(until, now, at)),
            turn,
        });
    }

    pub(super) fn stall(&mut self, lasted: Duration, total: Duration, at: Wall) {
        self.stalls = Stalls {
            count: self.stalls.count + 1,
            total,
            last: lasted,
            last_at: Some(at),
        };
    }

    pub(super) fn guards_held(&self) -> usize {
        self.guards.len()
    }

    pub(super) fn stalls(&self) -> Stalls {
        self.stalls
    }

    pub(super) fn counts(&self) -> GuardCounts {
        self.counts
    }

    /// What guards came to from `from` on and before `before`, oldest first: in this service, which the registry's
    /// guard concerns as well, or anywhere.
    pub(super) fn guards(
        &self,
        from: Revision,
        before: Option<Revision>,
        service: Option<&ServiceKey>,
    ) -> Vec<GuardEntry> {
        let start = self.guards.partition_point(|entry| entry.revision < from);
        let until = self
            .guards
            .partition_point(|entry| before.is_none_or(|before| entry.revision < before));
        let within = self.guards.range(start..until.max(start));
        let concerns = |entry: &&GuardEntry| {
            let scope = entry.turn.event.scope();
            service.is_none() || scope.is_none() || scope == service
        };
        within.filter(concerns).cloned().collect()
    }
}
