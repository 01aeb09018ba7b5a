//! A journal that fails or is slow when it is told to, and remembers what it was given.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{Committed, Keep, Proposed};
use beatrix_core::model::Wall;
use beatrix_engine::Registry;
use beatrix_engine::journal::{Journal, JournalError, Known, Memory, Restored, Sink};
use parking_lot::Mutex;

use super::{EPOCH, fixed, ms, nth, settle, start, try_register, unguarded};

#[derive(Debug, Default)]
struct State {
    fails: bool,
    takes: Duration,
    groups: Vec<usize>,
    committed: Vec<Committed>,
}

/// The test's side of a [`Scripted`] journal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(Arc<Mutex<State>>);

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
        let mut restored = self.memory.restore(into).await?;
        let committed = self.script.committed();
        restored.revision = committed.last().map_or(restored.revision, |last| last.revision);
        into(committed.into_iter().map(Known::Committed).collect());
        Ok(restored)
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
