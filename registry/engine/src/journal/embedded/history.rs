//! What happened, and what was: the log and the checkpoints, read back while the journal goes on.
//!
//! A reader sees the store as it is at one moment and holds up nobody. Reading takes as long as there is to read: call it
//! where blocking is allowed.

use std::ops::ControlFlow;
use std::sync::Arc;

use beatrix_core::catalog::Committed;
use beatrix_core::model::{Revision, Wall};

use crate::journal::{Gap, Known};

use super::codec::frame::Header;
use super::disk::Disk;
use super::meta::{Checkpoint, Meta, is_spanned};
use super::recovery::{Damage, Reading, read_checkpoint};
use super::state::StorageState;
use super::store::{Store, StoreError};
use super::{Open, OpenError};

/// Why history could not be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The disk has failed.
    #[error("the journal's disk has failed")]
    Closed,
    /// It is not known any more, or never was.
    #[error(
        "what was at revision {asked} is not known; the oldest state that is known is that of revision {oldest}"
    )]
    TooOld {
        /// What was asked for.
        asked: Revision,
        /// What could be.
        oldest: Revision,
    },
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] OpenError),
}

impl From<StoreError> for HistoryError {
    fn from(error: StoreError) -> Self {
        Self::Unreadable(error.into())
    }
}

/// Reads what happened. See the module.
#[derive(Debug, Clone)]
pub struct History {
    open: Arc<Open>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) state: Arc<StorageState>,
}

impl History {
    /// Of this journal.
    #[must_use]
    pub(super) fn new(open: Arc<Open>, disk: Arc<dyn Disk>, state: Arc<StorageState>) -> Self {
        Self { open, disk, state }
    }

    pub(super) fn store(&self) -> Result<Arc<Store>, HistoryError> {
        self.open.get().ok_or(HistoryError::Closed)
    }

    pub(super) fn meta(&self, store: &Store) -> Result<Meta, HistoryError> {
        let damage = Damage { disk: &self.disk };
        let bytes = store.meta()?.ok_or(HistoryError::Closed)?;
        Ok(Meta::decode(&bytes).map_err(|error| damage.at("what the journal knows about itself", &error))?)
    }

    /// What was committed after `after`, oldest first, as far back as it is kept, until `each` says that it is enough.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn committed(
        &self,
        after: Revision,
        mut each: impl FnMut(Committed) -> ControlFlow<()>,
    ) -> Result<(), HistoryError> {
        let damage = Damage { disk: &self.disk };
        let store = self.store()?;
        let log = store.log()?;
        for block in log.from(log.start_after(after)?)? {
            let (first, bytes) = block?;
            // Whether something is missing before it is for who asks for a state.
            let mut reading = Reading::new(Revision(first.0.saturating_sub(1)).max(after), &[], &damage);
            let mut enough = false;
            reading.block(first, &bytes, &mut |committed| {
                enough = enough || each(committed).is_break();
                Ok(())
            })?;
            if enough {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The newest revision that was committed at or before `at`; `None` if that is not known any more. Times are those
    /// that proposers told: where a clock was set back, it is the newest revision before the first that is later.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn revision_at(&self, at: Wall) -> Result<Option<Revision>, HistoryError> {
        let damage = Damage { disk: &self.disk };
        let store = self.store()?;
        let log = store.log()?;
        let (Some((oldest, _)), Some((newest, _))) = (log.first()?, log.last()?) else {
            return Ok(None);
        };
        // The first block whose last record is later, by halving the range of revisions that it may begin with.
        let (mut low, mut high) = (oldest.0, newest.0);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some((first, bytes)) = log.at(Revision(middle))? else {
                return Ok(None);
            };
            let header = Header::read(&bytes).map_err(|error| damage.in_log(first, &error))?;
            if header.at > at {
                high = first.0.max(low);
            } else {
                low = middle + 1;
            }
        }
        let mut found = None;
        let before = log.at(Revision(low.saturating_sub(1)))?;
        let start = before.map_or(oldest, |(first, _)| first);
        for block in log.from(start)? {
            let (first, bytes) = block?;
            let mut reading = Reading::new(Revision(first.0.saturating_sub(1)), &[], &damage);
            let mut later = false;
            reading.block(first, &bytes, &mut |committed| {
                later = later || committed.at > at;
                if !later {
                    found = Some(committed.revision);
                }
                Ok(())
            })?;
            if later {
                break;
            }
        }
        Ok(found)
    }

    /// The oldest revision whose state can be told.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn oldest_state(&self) -> Result<Revision, HistoryError> {
        let store = self.store()?;
        let meta = self.meta(&store)?;
        let first = store.log()?.first()?.map(|(first, _)| first);
        Ok(oldest_state(&meta, first).map_or(Revision::ZERO, |one| one.until))
    }

    /// All that led to the state at `revision`: pieces of the checkpoint before it, and what was committed after that, to
    /// be restored into an empty catalog.
    ///
    /// # Errors
    /// If it is not known any more, or cannot be read.
    pub fn state_at(&self, revision: Revision, each: impl FnMut(Known)) -> Result<(), HistoryError> {
        self.states_between(revision, revision, each)
    }

    /// The same for all states from `revision` up to `until`.
    ///
    /// # Errors
    /// If one of them is not known any more, or cannot be read.
    pub fn states_between(
        &self,
        revision: Revision,
        until: Revision,
        mut each: impl FnMut(Known),
    ) -> Result<(), HistoryError> {
        let damage = Damage { disk: &self.disk };
        let store = self.store()?;
        // The log first: a checkpoint that is not there any more when it is read is not in the meta either.
        let log = store.log()?;
        let meta = self.meta(&store)?;
        let checkpoint = meta.checkpoints.iter().rev().find(|one| one.until <= revision);
        let as_of = checkpoint.map_or(Revision::ZERO, |one| one.as_of);
        let too_old = || -> Result<HistoryError, HistoryError> {
            Ok(HistoryError::TooOld {
                asked: revision,
                oldest: self.oldest_state()?,
            })
        };
        let start = log.start_after(as_of)?;
        let first = log.from(start)?.next().transpose()?.map(|(first, _)| first);
        if as_of < until && first.is_some_and(|first| !goes_on(&meta, as_of, first)) {
            return Err(too_old()?);
        }
        let missing = |hole: &Gap| hole.until > as_of && hole.after < until;
        if meta.holes.iter().any(missing) {
            return Err(too_old()?);
        }
        if let Some(checkpoint) = checkpoint {
            read_checkpoint(&store, checkpoint, &damage, &mut |piece| {
                each(Known::Piece(piece));
                Ok(())
            })?;
        }
        let mut reading = Reading::new(as_of, &meta.gaps, &damage);
        for block in log.from(start)? {
            let (first, bytes) = block?;
            if first > until {
                break;
            }
            reading.block(first, &bytes, &mut |committed| {
                if committed.revision <= until {
                    each(Known::Committed(committed));
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Whether the log goes on after `after` with the block that begins with `first`.
pub(super) fn goes_on(meta: &Meta, after: Revision, first: Revision) -> bool {
    first <= after.next() || is_spanned(&meta.gaps, after, first)
}

/// The checkpoint from which on states are known, the log beginning with `first`; `None` if all of them are.
pub(super) fn oldest_state(meta: &Meta, first: Option<Revision>) -> Option<&Checkpoint> {
    let whole = |first| goes_on(meta, Revision::ZERO, first) && meta.holes.is_empty();
    match first.map_or(meta.checkpoints.is_empty(), whole) {
        true => None,
        false => meta.checkpoints.first(),
    }
}
