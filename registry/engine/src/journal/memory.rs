//! The journal that keeps nothing: revisions in memory, a new history with each start.

use beatrix_core::catalog::{Committed, Mutation};
use beatrix_core::model::{Epoch, Revision, Wall};

use super::{Journal, JournalError, Restored};

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
        Self {
            epoch,
            revision: Revision::ZERO,
        }
    }
}

impl Journal for Memory {
    async fn restore(&mut self) -> Result<Restored, JournalError> {
        Ok(Restored {
            epoch: self.epoch,
            committed: Vec::new(),
        })
    }

    async fn commit(&mut self, group: Vec<Mutation>, at: Wall) -> Result<Vec<Committed>, JournalError> {
        let committed = group.into_iter().map(|mutation| {
            self.revision = self.revision.next();
            Committed {
                revision: self.revision,
                at,
                mutation,
            }
        });
        Ok(committed.collect())
    }
}
