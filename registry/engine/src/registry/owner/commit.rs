//! Groups on their way to the journal, into the catalog and back to their proposers.

use std::sync::Arc;

use beatrix_core::catalog::{Committed, Keep, Mutation, Proposed, Shared};
use beatrix_core::liveness::LivenessClock;
use tokio::time::Instant;

use super::Owner;
use super::group::{Decided, Group, Told, written};
use crate::hub::Topic;
use crate::journal::{Journal, JournalError};
use crate::registry::write::WriteError;

/// How many mutations are applied before readers get the lock in between.
const APPLY_MAX: usize = 4096;

impl<J: Journal> Owner<J> {
    /// Commits a group, applies it and answers.
    pub(super) async fn finish(&mut self, group: &mut Group) {
        let mut decided = std::mem::take(group).into_decided();
        if decided.is_empty() {
            return;
        }
        let strictest = decided.iter().map(|decided| decided.keep).max();
        let keep = strictest.unwrap_or_default();
        // What may be written behind is taken while the disk is bad, too, whatever stood beside it.
        let mut spare: Vec<Proposed> = Vec::new();
        if keep == Keep::Durable {
            for decided in decided.iter().filter(|decided| decided.keep == Keep::Behind) {
                let by = decided.by;
                let mutations = decided.mutations.iter().cloned();
                spare.extend(mutations.map(|mutation| Proposed { mutation, by }));
            }
        }
        let outcome = self.commit(proposed(&mut decided), keep).await;
        if outcome.is_err() && !spare.is_empty() {
            let is_behind = |decided: &Decided| decided.keep == Keep::Behind;
            let (behind, durable) = decided.into_iter().partition::<Vec<_>, _>(is_behind);
            self.tell(self.answers(durable, outcome));
            let outcome = self.commit(spare, Keep::Behind).await;
            self.schedule();
            self.tell(self.answers(behind, outcome));
            return;
        }
        self.schedule();
        self.tell(self.answers(decided, outcome));
    }

    /// What to tell the proposers of a group, all as of one moment.
    fn answers(&self, decided: Vec<Decided>, outcome: Result<(), String>) -> Vec<Told> {
        let asked = decided.into_iter().filter_map(|decided| {
            let reply = decided.reply?;
            Some((reply, decided.registered))
        });
        match outcome {
            Ok(()) => {
                let catalog = self.catalog.lock();
                asked
                    .map(|(reply, registered)| Told::Answer(reply, Ok(written(&catalog, true, registered))))
                    .collect()
            }
            Err(error) => asked
                .map(|(reply, _)| Told::Answer(reply, Err(WriteError::Unavailable(error.clone()))))
                .collect(),
        }
    }

    /// Commit, apply, publish.
    pub(super) async fn commit(&mut self, proposed: Vec<Proposed>, keep: Keep) -> Result<(), String> {
        let committed = self
            .committed(proposed, keep)
            .await
            .map_err(|error| error.to_string())?;
        let mut committed = committed.into_iter().peekable();
        while committed.peek().is_some() {
            self.apply(committed.by_ref().take(APPLY_MAX));
            self.look();
        }
        Ok(())
    }

    /// Has the journal commit. The owner goes on looking at the clock meanwhile: a slow journal is no stall, or under
    /// a steady load on a slow one nobody would ever expire.
    async fn committed(
        &mut self,
        proposed: Vec<Proposed>,
        keep: Keep,
    ) -> Result<Vec<Committed>, JournalError> {
        let (clock, liveness) = (Arc::clone(&self.clock), Arc::clone(&self.liveness));
        let commit = self.journal.commit(proposed, self.clock.wall(), keep);
        tokio::pin!(commit);
        loop {
            tokio::select! {
                biased;
                committed = &mut commit => return committed,
                () = tokio::time::sleep(LivenessClock::LOOK_INTERVAL) => {
                    liveness.look(clock.mono());
                }
            }
        }
    }

    pub(super) fn apply(&mut self, committed: impl Iterator<Item = Committed>) {
        let live = self.live();
        let mut topics = Vec::new();
        // Noted once for a run of changes of one service: 100,000 instances that fall together are one.
        let mut last: Option<Arc<Shared>> = None;
        let mut newest = None;
        let mut warmed = None;
        let mut catalog = self.catalog.lock();
        for committed in committed {
            let revision = committed.revision;
            newest = Some(revision);
            if committed.mutation == Mutation::Warmed {
                warmed = Some(revision);
            }
            if let Some(shared) = catalog.apply(committed, live)
                && last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &shared))
            {
                topics.extend(self.hub.note(&shared, revision));
                last = Some(shared);
            }
        }
        match (newest, warmed) {
            (Some(newest), None) => self.hub.noted(newest),
            // All who watch are to be told anew; nobody shall wait for the catalog meanwhile. Until they are noted what was
            // applied here counts as not noted.
            (Some(newest), Some(warmed)) => {
                let sooner = catalog.probe_sooner();
                drop(catalog);
                if sooner {
                    self.sooner.notify_one();
                }
                topics.extend(self.hub.note_all(warmed));
                self.hub.noted(newest);
                tracing::info!(
                    revision = warmed.0,
                    "all that was restored has been looked at: lists are complete again"
                );
                self.drains.applied();
                self.applied.notify_waiters();
                self.keep_unscheduled(topics);
                return;
            }
            (None, _) => {}
        }
        let sooner = catalog.probe_sooner();
        drop(catalog);
        if sooner {
            self.sooner.notify_one();
        }
        self.drains.applied();
        self.applied.notify_waiters();
        self.keep_unscheduled(topics);
    }

    fn keep_unscheduled(&mut self, mut topics: Vec<Arc<Topic>>) {
        if !topics.is_empty() {
            self.unscheduled_since.get_or_insert_with(Instant::now);
            self.unscheduled.append(&mut topics);
        }
    }
}

/// Takes the mutations out of what was decided.
fn proposed(decided: &mut [Decided]) -> Vec<Proposed> {
    let each = decided.iter_mut().flat_map(|decided| {
        let by = decided.by;
        let mutations = std::mem::take(&mut decided.mutations).into_iter();
        mutations.map(move |mutation| Proposed { mutation, by })
    });
    each.collect()
}
