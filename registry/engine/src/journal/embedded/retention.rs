//! How long history is kept.
//!
//! The log before the current checkpoint is history: it says who changed what, and with a checkpoint before it, what
//! was. It is bounded by age and by size; blocks go oldest first, some in a step, so that no step holds up a write for
//! long.
//!
//! Of the checkpoints are kept: the current one; the newest that is older than the history's age, so that all states of
//! that age can be told from it and the log; and between them one for each half of the age, so that there is one to take
//! its place in time. The log reaches back to the oldest of them, unless that would be too much of it.
//!
//! While the disk is nearly full nothing is kept that a restart does not need: the store puts new blocks where old ones
//! were.

use std::time::Duration;

use beatrix_core::model::{Revision, Wall};

use super::EmbeddedConfig;
use super::codec::frame::Header;
use super::meta::{Checkpoint, Meta, is_spanned};
use super::store::{Batch, Log, Store, StoreError};

/// How many blocks go in one step: of the log, and of a checkpoint.
const LOG_BLOCKS: usize = 256;
const CHECKPOINT_BLOCKS: usize = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Retention {
    age: Duration,
    bytes: u64,
    oldest: Option<Oldest>,
    /// Whether that is known: there was a step.
    looked: bool,
    /// There may be blocks of checkpoints that nobody needs.
    litter: bool,
}

/// The oldest block of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oldest {
    /// Its first revision.
    pub(super) first: Revision,
    /// When its last record was proposed.
    pub(super) at: Wall,
    /// How many bytes of log there were before it.
    pub(super) offset: u64,
}

impl Retention {
    /// Of this configuration.
    #[must_use]
    pub(super) fn new(config: &EmbeddedConfig) -> Self {
        Self {
            age: config.history_age,
            bytes: config.history_bytes,
            oldest: None,
            looked: false,
            // What a process left behind that ended during a checkpoint.
            litter: true,
        }
    }

    /// The oldest block of the log, as of the last step.
    #[must_use]
    pub(super) fn oldest(&self) -> Option<Oldest> {
        self.oldest
    }

    /// Whether it knows the oldest block.
    #[must_use]
    pub(super) fn has_looked(&self) -> bool {
        self.looked
    }

    /// Something of a checkpoint was left behind.
    pub(super) fn littered(&mut self) {
        self.litter = true;
    }

    /// Takes out those checkpoints that a new one makes superfluous.
    pub(super) fn thin_out(&mut self, checkpoints: &mut Vec<Checkpoint>) {
        let apart = self.age / 2;
        let mut kept: Option<Wall> = None;
        checkpoints.retain(|checkpoint| {
            let keep = kept.is_none_or(|kept| between(kept, checkpoint.at) >= apart);
            if keep {
                kept = Some(checkpoint.at);
            }
            keep
        });
        self.litter = true;
    }

    /// What to take away next, if anything, and what the journal knows about itself then. `building` is the checkpoint
    /// that is being written; `is_low` is whether the disk is nearly full.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) fn step(
        &mut self,
        store: &Store,
        meta: &Meta,
        now: Wall,
        building: Option<u64>,
        is_low: bool,
    ) -> Result<Option<(Batch, Option<Meta>)>, StoreError> {
        let drop_log = self.old_log(&store.log()?, meta, now, is_low)?;
        if !drop_log.is_empty() {
            let batch = Batch {
                drop_log,
                ..Batch::default()
            };
            return Ok(Some((batch, None)));
        }
        let useless = self.without_log(meta);
        if useless > 0 {
            let mut meta = meta.clone();
            meta.checkpoints.drain(..useless);
            self.litter = true;
            let batch = Batch {
                meta: Some(meta.encode()),
                ..Batch::default()
            };
            return Ok(Some((batch, Some(meta))));
        }
        if !self.litter {
            return Ok(None);
        }
        let needed = |number: u64| {
            building == Some(number) || meta.checkpoints.iter().any(|kept| kept.number == number)
        };
        let numbers = store.checkpoint_numbers()?;
        let Some(number) = numbers.into_iter().find(|number| !needed(*number)) else {
            self.litter = false;
            return Ok(None);
        };
        let batch = Batch {
            drop_checkpoint: Some((number, CHECKPOINT_BLOCKS)),
            ..Batch::default()
        };
        Ok(Some((batch, None)))
    }

    /// Blocks of the log that are too old or too many, and that the current checkpoint covers.
    fn old_log(
        &mut self,
        log: &Log,
        meta: &Meta,
        now: Wall,
        is_low: bool,
    ) -> Result<Vec<Revision>, StoreError> {
        let as_of = |checkpoint: Option<&Checkpoint>| checkpoint.map_or(Revision::ZERO, |one| one.as_of);
        let covered = as_of(meta.checkpoints.last());
        let old = meta.checkpoints.iter().rev();
        let base = as_of(old.clone().find(|one| between(one.at, now) >= self.age));
        (self.oldest, self.looked) = (None, true);
        let mut drop = Vec::new();
        let Some((last, block)) = log.last()? else {
            return Ok(drop);
        };
        let end = header(last, &block)?.offset + block.len() as u64;
        for block in log.from(Revision::ZERO)? {
            let (first, block) = block?;
            let header = header(first, &block)?;
            let superfluous = is_low || header.last <= base || end.saturating_sub(header.offset) > self.bytes;
            if !superfluous || header.last > covered || drop.len() == LOG_BLOCKS {
                self.oldest = Some(Oldest {
                    first,
                    at: header.at,
                    offset: header.offset,
                });
                break;
            }
            drop.push(first);
        }
        Ok(drop)
    }

    /// How many of the oldest checkpoints there are after which the log does not go on any more.
    fn without_log(&self, meta: &Meta) -> usize {
        let Some(Oldest { first, .. }) = self.oldest else {
            return meta.checkpoints.len().saturating_sub(1);
        };
        let goes_on = |checkpoint: &Checkpoint| {
            first <= checkpoint.as_of.next() || is_spanned(&meta.gaps, checkpoint.as_of, first)
        };
        let useful = meta.checkpoints.iter().position(goes_on);
        useful.unwrap_or(meta.checkpoints.len().saturating_sub(1))
    }
}

fn between(earlier: Wall, later: Wall) -> Duration {
    Duration::from_millis(later.0.saturating_sub(earlier.0))
}

fn header(first: Revision, block: &[u8]) -> Result<Header, StoreError> {
    Header::read(block).map_err(|error| {
        StoreError::Damaged(format!(
            "the block of the log that begins with revision {first}: {error}"
        ))
    })
}
