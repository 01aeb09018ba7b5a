//! The journal that keeps nothing: revisions in memory, a new history with each start.

use beatrix_core::catalog::{Committed, Keep, Proposed};
use beatrix_core::model::{Epoch, Revision, Wall};

use super::{Journal, JournalError, Restored, Sink};

/// Gives revisions and forgets.
#[derive(Debug)]
pub struct Memory {
    epoch: Epoch,
    revision: Revision,
}

impl Memory {
    /// A new history.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self::going_on(epoch, Revision::ZERO)
    }

    /// One that goes on after `revision`, for journals that keep by other means what it forgets.
    #[must_use]
    pub fn going_on(epoch: Epoch, revision: Revision) -> Self {
        Self { epoch, revision }
    }
}

impl Journal for Memory {
    async fn restore(&mut self, _into: Sink<'_>) -> Result<Restored, JournalError> {
        Ok(Restored {
            epoch: self.epoch,
            revision: self.revision,
            gaps: Vec::new(),
        })
    }

    async fn commit(
        &mut self,
        group: Vec<Proposed>,
        at: Wall,
        _keep: Keep,
    ) -> Result<Vec<Committed>, JournalError> {
        let committed = group.into_iter().map(|Proposed { mutation, by }| {
            self.revision = self.revision.next();
            Committed {
                revision: self.revision,
                at,
                by,
                mutation,
            }
        });
        Ok(committed.collect())
    }
}
