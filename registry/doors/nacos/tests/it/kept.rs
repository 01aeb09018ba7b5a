//! A journal that keeps everything in memory over restarts, and loses what it is told to.

use std::sync::{Arc, Mutex, PoisonError};

use beatrix_core::catalog::{Committed, Keep, Proposed};
use beatrix_core::model::{Epoch, Revision, Wall};
use beatrix_engine::journal::{Gap, Journal, JournalError, Known, Memory, Restored, Sink};

const EPOCH: Epoch = Epoch(0xE);

/// What outlives a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<(Vec<Committed>, Vec<Gap>)>>);

#[derive(Debug)]
pub(crate) struct Opened {
    kept: Kept,
    memory: Memory,
}

impl Kept {
    pub(crate) fn open(&self) -> Opened {
        Opened {
            kept: self.clone(),
            memory: Memory::new(EPOCH),
        }
    }

    /// Loses what was committed after `kept`; revisions up to `until` may have been given out.
    pub(crate) fn lose(&self, kept: u64, until: u64) {
        let gap = Gap {
            after: Revision(kept),
            until: Revision(until),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.retain(|committed| committed.revision <= gap.after);
        all.1.push(gap);
    }
}

impl Journal for Opened {
    async fn restore(&mut self, into: Sink<'_>) -> Result<Restored, JournalError> {
        let all = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (committed, gaps) = all;
        let newest = committed.last().map(|last| last.revision);
        let revision = newest.max(gaps.last().map(|gap| gap.until)).unwrap_or_default();
        self.memory = Memory::going_on(EPOCH, revision);
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
        let committed = self.memory.commit(group, at, keep).await?;
        let mut all = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0.extend(committed.iter().cloned());
        Ok(committed)
    }
}
