//! The store: blobs by number, in one file, with transactions. The only place that knows which store it is.
//!
//! It is redb, chosen by figures beside fjall (see the commit that added it): it is one file and one small crate without
//! threads of its own; a commit that was torn by a loss of power falls back to the one before, where fjall refuses to
//! start on a torn page of its newest batch; and its file can be replaced by a test.
//!
//! An error of the file makes redb refuse everything until it is opened again, which is the writer's to do.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use beatrix_core::model::Revision;
use redb::{Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::disk::Disk;

/// Blocks of the log, by their first revision.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
/// Blocks of checkpoints, by the checkpoint's number and their own.
const CHECKPOINTS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("checkpoints");
/// What the journal knows about itself, under one key.
const META: TableDefinition<'_, u8, &[u8]> = TableDefinition::new("meta");
const META_KEY: u8 = 0;

/// How many bytes of the file are kept in memory. State is not read from the store once it has started.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Why the store could not do something.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The system refuses.
    #[error("{0}")]
    Io(String),
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        let error: redb::Error = error.into();
        match error {
            redb::Error::Corrupted(what) => Self::Damaged(what),
            // The text has the system's number as well.
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Self::Damaged(error.to_string())
            }
            error => Self::Io(error.to_string()),
        }
    }
}

/// What is to be written at once.
#[derive(Debug, Default)]
pub struct Batch {
    /// Takes away all blocks of the log that begin after this revision, before any is added.
    pub cut_after: Option<Revision>,
    /// Blocks of the log, each with its first revision.
    pub log: Vec<(Revision, Vec<u8>)>,
    /// A block of a checkpoint.
    pub checkpoint: Option<((u64, u32), Vec<u8>)>,
    /// Takes away so many blocks of this checkpoint.
    pub drop_checkpoint: Option<(u64, usize)>,
    /// Takes away these blocks of the log.
    pub drop_log: Vec<Revision>,
    /// What the journal knows about itself from now on.
    pub meta: Option<Vec<u8>>,
}

impl Batch {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cut_after.is_none()
            && self.log.is_empty()
            && self.checkpoint.is_none()
            && self.drop_checkpoint.is_none()
            && self.drop_log.is_empty()
            && self.meta.is_none()
    }

    /// How many bytes it adds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let log = self.log.iter().map(|(_, block)| block.len());
        let checkpoint = self.checkpoint.iter().map(|(_, block)| block.len());
        log.chain(checkpoint).sum::<usize>() as u64
    }
}

/// See the module.
pub struct Store {
    database: redb::Database,
    repaired: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens it, or makes it.
    ///
    /// # Errors
    /// If it cannot be opened, or is damaged beyond its own repair.
    pub fn open(disk: &dyn Disk) -> Result<Self, StoreError> {
        let repaired = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&repaired);
        let mut builder = redb::Builder::new();
        builder
            .set_cache_size(CACHE_BYTES)
            .set_repair_callback(move |_| mark.store(true, Ordering::Relaxed));
        let database = disk.open(&mut builder)?;
        let store = Self {
            database,
            repaired: repaired.load(Ordering::Relaxed),
        };
        // So that a reader finds the tables.
        if store.meta()?.is_none() {
            let transaction = store.database.begin_write()?;
            transaction.open_table(LOG)?;
            transaction.open_table(CHECKPOINTS)?;
            transaction.open_table(META)?;
            transaction.commit()?;
        }
        Ok(store)
    }

    /// Whether it was not closed in order, and had to be looked through when it was opened. What its last, unfinished
    /// transaction was to write is gone then; how much that was is not known.
    #[must_use]
    pub fn repaired(&self) -> bool {
        self.repaired
    }

    /// Writes all of it or nothing, and syncs.
    ///
    /// # Errors
    /// If it cannot; whether it is written is then not known until the store is opened again.
    pub fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        if batch.cut_after.is_some() || !batch.log.is_empty() || !batch.drop_log.is_empty() {
            let mut log = transaction.open_table(LOG)?;
            if let Some(Revision(after)) = batch.cut_after {
                log.retain_in(after.saturating_add(1).., |_, _| false)?;
            }
            for (Revision(first), block) in &batch.log {
                log.insert(first, block.as_slice())?;
            }
            for Revision(first) in &batch.drop_log {
                log.remove(first)?;
            }
        }
        if batch.checkpoint.is_some() || batch.drop_checkpoint.is_some() {
            let mut checkpoints = transaction.open_table(CHECKPOINTS)?;
            if let Some((number, count)) = batch.drop_checkpoint {
                let mut blocks = Vec::new();
                for block in checkpoints.range((number, 0)..=(number, u32::MAX))?.take(count) {
                    blocks.push(block?.0.value());
                }
                for block in blocks {
                    checkpoints.remove(block)?;
                }
            }
            if let Some((key, block)) = &batch.checkpoint {
                checkpoints.insert(key, block.as_slice())?;
            }
        }
        if let Some(meta) = &batch.meta {
            transaction.open_table(META)?.insert(META_KEY, meta.as_slice())?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// What the journal knows about itself; `None` if it is new.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn meta(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.database.begin_read()?;
        let table = match transaction.open_table(META) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(table.get(META_KEY)?.map(|value| value.value().to_vec()))
    }

    /// The log as it is now.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self) -> Result<Log, StoreError> {
        let transaction = self.database.begin_read()?;
        Ok(Log {
            table: transaction.open_table(LOG)?,
        })
    }

    /// The first `count` blocks of a checkpoint, in order, each with its number.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn checkpoint(
        &self,
        number: u64,
        count: u32,
    ) -> Result<impl Iterator<Item = Result<(u32, Vec<u8>), StoreError>> + use<>, StoreError> {
        let table = self.database.begin_read()?.open_table(CHECKPOINTS)?;
        let range = table.range((number, 0)..(number, count))?;
        Ok(range.map(|entry| {
            let (key, block) = entry?;
            Ok((key.value().1, block.value().to_vec()))
        }))
    }

    /// The numbers of the checkpoints of which there is something, whole or not.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn checkpoint_numbers(&self) -> Result<Vec<u64>, StoreError> {
        let table = self.database.begin_read()?.open_table(CHECKPOINTS)?;
        let mut numbers = Vec::new();
        let mut from = 0;
        while let Some(found) = table.range((from, 0)..)?.next() {
            let (number, _) = found?.0.value();
            numbers.push(number);
            let Some(next) = number.checked_add(1) else { break };
            from = next;
        }
        Ok(numbers)
    }
}

/// The log as it was at one moment.
pub struct Log {
    table: redb::ReadOnlyTable<u64, &'static [u8]>,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

/// A block of the log with its first revision.
pub type Found = (Revision, Vec<u8>);

impl Log {
    /// The first block.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn first(&self) -> Result<Option<Found>, StoreError> {
        Ok(self.table.first()?.map(found))
    }

    /// The last block.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn last(&self) -> Result<Option<Found>, StoreError> {
        Ok(self.table.last()?.map(found))
    }

    /// The last block that begins at or before `revision`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn at(&self, revision: Revision) -> Result<Option<Found>, StoreError> {
        Ok(self
            .table
            .range(..=revision.0)?
            .next_back()
            .transpose()?
            .map(found))
    }

    /// Where to begin to read what comes after `revision`: the block may begin before it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn start_after(&self, revision: Revision) -> Result<Revision, StoreError> {
        let next = revision.next();
        Ok(self.at(next)?.map_or(next, |(first, _)| first))
    }

    /// The blocks that begin at `revision` or after it, in order.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn from(
        &self,
        revision: Revision,
    ) -> Result<impl Iterator<Item = Result<Found, StoreError>> + use<>, StoreError> {
        let range = self.table.range(revision.0..)?;
        Ok(range.map(|entry| Ok(found(entry?))))
    }
}

fn found((first, block): (redb::AccessGuard<'_, u64>, redb::AccessGuard<'_, &'static [u8]>)) -> Found {
    (Revision(first.value()), block.value().to_vec())
}
