//! A journal that keeps all in memory and offers it as history: what the embedded one does on a disk.

use std::sync::Arc;

use beatrix_core::catalog::{Committed, Keep, Piece, Proposed};
use beatrix_core::model::{Revision, ServiceKey, Wall};
use beatrix_engine::journal::{
    Bounds, BoxFuture, CommittedPage, CommittedQuery, History, Journal, JournalError, Known, Memory,
    Restored, Sink, is_about,
};
use parking_lot::Mutex;

#[derive(Debug, Default)]
pub(crate) struct State {
    committed: Vec<Committed>,
    checkpoint: Vec<Piece>,
    /// The newest revision when the checkpoint was whole.
    whole_at: Revision,
    /// What was committed up to here is no longer kept.
    cut: Revision,
    /// While set, whoever reads waits.
    pub(crate) held_up: Option<Arc<tokio::sync::Notify>>,
}

/// The test's side of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(pub(crate) Arc<Mutex<State>>);

impl Kept {
    /// Takes a checkpoint, and forgets what was before it.
    pub(crate) fn checkpoint(&self, registry: &beatrix_engine::Registry) {
        let mut export = registry.export().unwrap();
        let mut pieces = Vec::new();
        while let Some(some) = export.step() {
            pieces.extend(some);
        }
        let mut state = self.0.lock();
        state.whole_at = registry.version().revision;
        state.cut = state.whole_at;
        state.checkpoint = pieces;
    }

    pub(crate) fn journal(&self, epoch: beatrix_core::model::Epoch) -> KeptJournal {
        KeptJournal {
            kept: self.clone(),
            memory: Memory::new(epoch),
        }
    }
}

#[derive(Debug)]
pub(crate) struct KeptJournal {
    kept: Kept,
    memory: Memory,
}

impl Journal for KeptJournal {
    async fn restore(&mut self, into: Sink<'_>) -> Result<Restored, JournalError> {
        self.memory.restore(into).await
    }

    async fn commit(
        &mut self,
        group: Vec<Proposed>,
        at: Wall,
        keep: Keep,
    ) -> Result<Vec<Committed>, JournalError> {
        let committed = self.memory.commit(group, at, keep).await?;
        self.kept.0.lock().committed.extend(committed.iter().cloned());
        Ok(committed)
    }

    fn history(&self) -> Option<Arc<dyn History>> {
        Some(Arc::new(self.kept.clone()))
    }
}

impl History for Kept {
    fn bounds(&self) -> Bounds {
        let state = self.0.lock();
        Bounds {
            after: state.cut,
            after_at: Wall(0),
            states_from: state.whole_at,
            states_from_at: Wall(0),
            newest: state
                .committed
                .last()
                .map_or(Revision::ZERO, |last| last.revision),
        }
    }

    fn settle(&self, _: Revision) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn committed<'a>(
        &'a self,
        query: &'a CommittedQuery,
    ) -> BoxFuture<'a, Result<CommittedPage, JournalError>> {
        let state = self.0.lock();
        let kept = state.committed.iter().filter(|done| done.revision > state.cut);
        let mut found: Vec<_> = kept.filter(|done| query.wants(done)).cloned().collect();
        if query.newest_first {
            found.reverse();
        }
        let full = found.len() > query.limit;
        found.truncate(query.limit);
        let reached = found.last().filter(|_| full).map(|last| last.revision);
        Box::pin(std::future::ready(Ok(CommittedPage { found, reached })))
    }

    fn revision_at(&self, at: Wall) -> BoxFuture<'_, Result<Option<Revision>, JournalError>> {
        let state = self.0.lock();
        let found = state
            .committed
            .iter()
            .filter(|done| done.at <= at && done.revision > state.cut);
        let found = found.max_by_key(|done| done.revision).map(|done| done.revision);
        Box::pin(std::future::ready(Ok(found)))
    }

    fn past<'a>(
        &'a self,
        service: &'a ServiceKey,
        base: Revision,
        until: Revision,
        into: Sink<'a>,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        Box::pin(async move {
            let held_up = self.0.lock().held_up.clone();
            if let Some(held_up) = held_up {
                held_up.notified().await;
            }
            let state = self.0.lock();
            assert!(base >= state.whole_at, "asked for what is not known");
            let mut wanted = false;
            for piece in &state.checkpoint {
                if let Piece::Service(of) = piece {
                    wanted = of.key == *service;
                }
                if wanted {
                    into(vec![Known::Piece(piece.clone())]);
                }
            }
            let later = state.committed.iter().filter(|done| {
                done.revision > state.cut && done.revision <= until && is_about(&done.mutation, service)
            });
            into(later.cloned().map(Known::Committed).collect());
            Ok(())
        })
    }
}
