//! How the journal is: for readiness, metrics and people. Written by the writer, read by anybody.

use std::time::Duration;

use beatrix_core::model::{Revision, Wall};
use parking_lot::Mutex;

use crate::journal::Bounds;

/// What is wrong while not everything can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What, for people.
    pub error: String,
    /// Since when, by the wall clock.
    pub since: Wall,
    /// Whether changes by beats are still written. If not they are in memory only, and a restart does not find them.
    pub writes_behind: bool,
}

/// Numbers about the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageFigures {
    /// What is wrong; `None` if all is well.
    pub trouble: Option<Trouble>,
    /// Bytes of log that are kept, the history's as well.
    pub log_bytes: u64,
    /// Bytes of log after the newest checkpoint, which a restart has to read.
    pub log_bytes_since_checkpoint: u64,
    /// Bytes of the newest checkpoint.
    pub checkpoint_bytes: u64,
    /// The log is needed after this revision.
    pub checkpoint_revision: Revision,
    /// The newest checkpoint has everything up to this revision.
    pub checkpoint_until: Revision,
    /// When the newest checkpoint was finished; `None` if there is none.
    pub checkpoint_at: Option<Wall>,
    /// The newest revision that is durable.
    pub durable: Revision,
    /// How long the last write with its sync took.
    pub sync_last: Duration,
    /// The longest.
    pub sync_max: Duration,
    /// How many writes there were.
    pub syncs: u64,
    /// Bytes that wait to be written.
    pub pending_bytes: u64,
    /// Mutations that wait to be written.
    pub pending: u64,
    /// Mutations that were acknowledged and could not be kept: they are in memory only, until the next checkpoint.
    pub not_kept: u64,
    /// How often the disk failed.
    pub failures: u64,
    /// The oldest revision in the log.
    pub history_from: Option<Revision>,
    /// When that was proposed.
    pub history_since: Option<Wall>,
    /// How far back what is kept reaches; the newest is told by [`StorageFigures::durable`].
    pub reach: Bounds,
    /// Free bytes, as of the last look.
    pub free_bytes: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct StorageState {
    figures: Mutex<StorageFigures>,
}

impl StorageState {
    /// The numbers of this moment.
    #[must_use]
    pub fn figures(&self) -> StorageFigures {
        self.figures.lock().clone()
    }

    /// What is wrong; `None` if all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.figures.lock().trouble.clone()
    }

    /// Changes the numbers.
    pub(super) fn update(&self, change: impl FnOnce(&mut StorageFigures)) {
        change(&mut self.figures.lock());
    }
}
