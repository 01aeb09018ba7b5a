//! A journal that fails or is slow when it is told to, and remembers what it was given.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{Committed, Keep, Piece, Proposed};
use beatrix_core::model::{Revision, Wall};
use beatrix_engine::Registry;
use beatrix_engine::journal::{
    BoxFuture, Checkpoints, Gap, Journal, JournalError, Known, Memory, Restored, Sink,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{EPOCH, fixed, ms, nth, settle, start, try_register, unguarded};

#[derive(Debug, Default)]
struct State {
    fails: bool,
    takes: Duration,
    groups: Vec<usize>,
    committed: Vec<Committed>,
    /// The newest checkpoint that is whole, the one that is being made, and how often it was handed pieces.
    checkpoint: Vec<Piece>,
    pieces: Vec<Piece>,
    handed: usize,
    /// Whether checkpoints cannot be kept.
    full: bool,
    /// Revisions that were lost, as the next start tells.
    gaps: Vec<Gap>,
    closed: usize,
}

/// The test's side of a [`Scripted`] journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>, Arc<Notify>);

impl Script {
    pub(crate) fn journal(&self) -> Scripted {
        Scripted {
            script: self.clone(),
            memory: Memory::new(EPOCH),
        }
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.0.lock().fails = fails;
    }

    /// How long each commit takes from now on.
    pub(crate) fn take(&self, takes: Duration) {
        self.0.lock().takes = takes;
    }

    /// The sizes of the groups that were to be committed, failed ones as well.
    pub(crate) fn groups(&self) -> Vec<usize> {
        self.0.lock().groups.clone()
    }

    pub(crate) fn committed(&self) -> Vec<Committed> {
        self.0.lock().committed.clone()
    }

    /// Asks for a checkpoint.
    pub(crate) fn want(&self) {
        self.1.notify_one();
    }

    /// Whether checkpoints can be kept from now on.
    pub(crate) fn fill(&self, full: bool) {
        self.0.lock().full = full;
    }

    /// The newest checkpoint that is whole.
    pub(crate) fn checkpoint(&self) -> Vec<Piece> {
        self.0.lock().checkpoint.clone()
    }

    /// How often it was handed pieces.
    pub(crate) fn handed(&self) -> usize {
        self.0.lock().handed
    }

    /// How often it was closed in order.
    pub(crate) fn closed(&self) -> usize {
        self.0.lock().closed
    }

    /// Loses what was committed after `kept`; revisions up to `until` may have been given out.
    pub(crate) fn lose(&self, kept: Revision, until: Revision) {
        let mut state = self.0.lock();
        state.committed.retain(|committed| committed.revision <= kept);
        state.gaps.push(Gap { after: kept, until });
    }

    /// Whether a journal of it still lives.
    pub(crate) fn is_held(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

#[derive(Debug)]
pub(crate) struct Scripted {
    script: Script,
    memory: Memory,
}

impl Journal for Scripted {
    async fn restore(&mut self, into: Sink<'_>) -> Result<Restored, JournalError> {
        let (committed, checkpoint, gaps) = {
            let state = self.script.0.lock();
            (
                state.committed.clone(),
                state.checkpoint.clone(),
                state.gaps.clone(),
            )
        };
        let newest = committed.last().map_or(Revision::ZERO, |last| last.revision);
        let revision = gaps.last().map_or(newest, |gap| gap.until.max(newest));
        self.memory = Memory::going_on(EPOCH, revision);
        into(checkpoint.into_iter().map(Known::Piece).collect());
        into(committed.into_iter().map(Known::Committed).collect());
        Ok(Restored {
            epoch: EPOCH,
            revision,
            gaps,
        })
    }

    async fn commit(
        &mut self,
        group: Vec<Proposed>,
        at: Wall,
        keep: Keep,
    ) -> Result<Vec<Committed>, JournalError> {
        let takes = self.script.0.lock().takes;
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let fails = {
            let mut state = self.script.0.lock();
            state.groups.push(group.len());
            state.fails
        };
        if fails {
            return Err(JournalError("the disk is full".into()));
        }
        let committed = self.memory.commit(group, at, keep).await?;
        self.script.0.lock().committed.extend(committed.iter().cloned());
        Ok(committed)
    }

    fn checkpoints(&self) -> Option<Box<dyn Checkpoints>> {
        Some(Box::new(self.script.clone()))
    }

    async fn close(&mut self) {
        self.script.0.lock().closed += 1;
    }
}

impl Checkpoints for Script {
    fn wanted(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.1.notified())
    }

    fn pieces(&self, pieces: Vec<Piece>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            // A disk takes its time.
            tokio::time::sleep(ms(1)).await;
            let mut state = self.0.lock();
            state.handed += 1;
            if matches!(pieces.first(), Some(Piece::Begin { .. })) {
                state.pieces.clear();
            }
            state.pieces.extend(pieces);
            match state.full {
                true => Err(JournalError("the disk is full".into())),
                false => Ok(()),
            }
        })
    }

    fn finish(&self) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            let mut state = self.0.lock();
            state.checkpoint = std::mem::take(&mut state.pieces);
            // What is in it need not be told again.
            if let Some(Piece::Begin { as_of }) = state.checkpoint.first() {
                let as_of = *as_of;
                state.committed.retain(|committed| committed.revision > as_of);
            }
            Ok(())
        })
    }
}

/// A registry whose owner is busy with a commit of 100 ms, so that what comes next waits together.
pub(crate) async fn busy() -> (Registry, Script) {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    script.take(ms(100));
    let first = registry.clone();
    tokio::spawn(async move { try_register(&first, "first", nth(0), fixed()).await });
    settle().await;
    (registry, script)
}
