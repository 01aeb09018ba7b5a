//! The journal in a folder of this machine.
//!
//! It is a log of committed mutations, in blocks, with checkpoints of the whole state, in an embedded store (`journal.redb`).
//! What an operator must know of it:
//!
//! - **Durable** ([`Keep::Durable`]) is what was synced when it was acknowledged. What is **behind** is written and synced
//!   50 ms after the first of it, so that a crash loses 100 ms at most. A durable group takes with it all that was before it.
//! - **Revisions** are reserved in advance, durably, so that those given out and then lost in a crash are never given out
//!   again. Which they were is told by [`Restored::gaps`].
//! - **Damage** that no crash explains is refused at the start, with the place. See [`recovery`].
//! - **A disk that fails**, fills or hangs stops nothing but durable writes. See [`writer`].
//! - **A start** writes that the journal is in use, and so is refused on a full disk.
//!
//! In the order in which a mutation meets them:
//!
//! - [`queue`]: it gets its revision and is encoded ([`codec`]) where the writer finds it.
//! - [`writer`]: the one thread that writes to the [`store`], which is on a [`disk`].
//! - [`checkpoint`]: the whole state now and then; `retention`: how long history is kept.
//! - [`recovery`]: all of it read back at the next start; [`history`]: read back while it runs, for [`super::History`] by `past`.
//! - [`meta`]: what the journal knows about itself; [`state`]: how it is, for people; `lock`: one process for each folder.

pub mod checkpoint;
pub mod codec;
pub mod disk;
pub mod history;
mod lock;
pub mod meta;
mod past;
pub mod queue;
pub mod recovery;
mod retention;
pub mod state;
pub mod store;
pub mod writer;

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{Committed, Keep, Proposed};
use beatrix_core::model::{Epoch, Revision, Wall};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::clock::Clock;

use super::{Checkpoints, Journal, JournalError, Restored, Sink};
use checkpoint::{Taker, Wanted};
use disk::{Disk, FOLDER_MODE, Folder};
use history::History;
use lock::Lock;
use queue::{Pushed, Queue};
use recovery::{PORTIONS, Recovered, Report};
use state::StorageState;
use store::{Store, StoreError};
use writer::watchdog::Watchdog;
use writer::{Shared, Writer};

/// How the journal is kept.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// The name of the history, if one begins.
    pub epoch: Epoch,
    /// A checkpoint is wanted after so many bytes of log, or half of the bytes of the one before, whichever is more.
    pub checkpoint_bytes: u64,
    /// A checkpoint is wanted after this time, if anything has changed.
    pub checkpoint_every: Duration,
    /// For how long what happened is kept.
    pub history_age: Duration,
    /// How many bytes of it at most.
    pub history_bytes: u64,
    /// Below so many free bytes durable writes are refused.
    pub free_reserve: u64,
    /// How long a write may take before the disk counts as failed.
    pub write_max: Duration,
    /// How long the end waits for the last write.
    pub close_max: Duration,
    /// How many revisions are reserved at once. After a crash so many are skipped at most, and while the disk has failed
    /// so many changes at most can be made in memory.
    pub revisions_reserved: u64,
}

impl EmbeddedConfig {
    /// The defaults, for a history of this name.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            checkpoint_bytes: 64 * 1024 * 1024,
            checkpoint_every: Duration::from_secs(60 * 60),
            history_age: Duration::from_secs(24 * 60 * 60),
            history_bytes: 256 * 1024 * 1024,
            free_reserve: 64 * 1024 * 1024,
            write_max: Duration::from_secs(3),
            close_max: Duration::from_secs(5),
            revisions_reserved: 1_000_000,
        }
    }
}

/// Why the journal cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error("the data folder {} is in use by {}", folder.display(), whom(*pid))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process, if it says so.
        pid: Option<u32>,
    },
    /// The folder cannot be used.
    #[error("the data folder {} cannot be used: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// What is stored is damaged.
    #[error(
        "{file} is damaged: {what}. Nothing was left out or changed. Move the data folder away and start without it, \
         and then read a backup in with `beatrix import`, or let clients register again"
    )]
    Damaged {
        /// The file.
        file: String,
        /// What, and where.
        what: String,
    },
    /// The store cannot be opened, or not written to.
    #[error(
        "{file} cannot be opened and written to: {error}. A start has to write to it. Make room on its disk, or see why it \
         refuses, and start again: nothing was left out or changed"
    )]
    NotWritable {
        /// The file.
        file: String,
        /// What the store says.
        error: StoreError,
    },
    /// The store cannot be opened or read.
    #[error("the store cannot be used: {0}")]
    Store(StoreError),
    /// Nobody wanted it any more.
    #[error("it was stopped")]
    Stopped,
}

fn whom(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("the process {pid}"),
    )
}

impl From<OpenError> for JournalError {
    fn from(error: OpenError) -> Self {
        Self(error.to_string())
    }
}

/// The store, while there is one: it is let go of when its disk fails.
#[derive(Debug, Default)]
pub struct Open(Mutex<Option<Arc<Store>>>);

impl Open {
    /// The store.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Store>> {
        self.0.lock().clone()
    }

    /// Sets it, or lets go of it.
    pub fn set(&self, store: Option<Arc<Store>>) {
        *self.0.lock() = store;
    }
}

/// See the module.
#[derive(Debug)]
pub struct Embedded {
    config: EmbeddedConfig,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    open: Arc<Open>,
    state: Arc<StorageState>,
    wanted: Arc<Wanted>,
    report: Report,
    /// Both once it is restored.
    queue: Option<Arc<Queue>>,
    /// Taken when it is closed.
    writing: Option<Arc<Queue>>,
    _lock: Option<Lock>,
}

impl Embedded {
    /// Opens the journal of a folder, or makes both.
    ///
    /// # Errors
    /// If another process has the folder, or it cannot be written to, or the store is damaged beyond its own repair.
    pub fn open(folder: &Path, config: EmbeddedConfig, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(FOLDER_MODE).create(folder);
        made.map_err(|error| OpenError::Folder {
            folder: folder.to_path_buf(),
            error,
        })?;
        let lock = Lock::take(folder)?;
        let disk = Arc::new(Folder::new(folder));
        let mut journal = Self::on(disk, config, clock)?;
        journal._lock = Some(lock);
        Ok(journal)
    }

    /// Opens a journal on whatever `disk` is.
    ///
    /// # Errors
    /// If the store cannot be opened.
    pub fn on(disk: Arc<dyn Disk>, config: EmbeddedConfig, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let store = Store::open(&*disk).map_err(|error| match error {
            StoreError::Damaged(what) => OpenError::Damaged {
                file: disk.name(),
                what,
            },
            error @ StoreError::Io(_) => OpenError::NotWritable {
                file: disk.name(),
                error,
            },
        })?;
        let open = Arc::new(Open::default());
        open.set(Some(Arc::new(store)));
        Ok(Self {
            config,
            disk,
            clock,
            open,
            state: Arc::default(),
            wanted: Arc::default(),
            report: Report::default(),
            queue: None,
            writing: None,
            _lock: None,
        })
    }

    /// How it is.
    #[must_use]
    pub fn state(&self) -> Arc<StorageState> {
        Arc::clone(&self.state)
    }

    /// What was found when it was restored.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What happened, and what was.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(
            Arc::clone(&self.open),
            Arc::clone(&self.disk),
            Arc::clone(&self.state),
        )
    }

    /// Reads on a thread of its own, and hands over here.
    async fn recover(&self, into: Sink<'_>) -> Result<Recovered, OpenError> {
        let store = self.open.get().ok_or(OpenError::Stopped)?;
        let (portions, mut coming) = mpsc::channel(PORTIONS);
        let (disk, config) = (Arc::clone(&self.disk), self.config.clone());
        let reader =
            tokio::task::spawn_blocking(move || recovery::recover(&store, &disk, &config, &portions));
        while let Some(portion) = coming.recv().await {
            into(portion);
        }
        reader.await.map_err(|_| OpenError::Stopped)?
    }

    /// Tells the writer to end. Returns what waits for that, which nobody shall do for ever.
    fn end(&mut self) -> Option<impl FnOnce() + Send + 'static> {
        let queue = self.writing.take()?;
        queue.stop();
        let (max, disk) = (self.config.close_max, Arc::clone(&self.disk));
        Some(move || {
            if !queue.wait_for_end(max) {
                tracing::warn!(
                    file = disk.name(),
                    "the last write takes too long and is not waited for; the next start finds that the journal was \
                     not closed in order"
                );
            }
        })
    }
}

impl Journal for Embedded {
    async fn restore(&mut self, into: Sink<'_>) -> Result<Restored, JournalError> {
        let recovered = self.recover(into).await?;
        let Recovered {
            meta,
            place,
            newest,
            next_checkpoint,
            report,
        } = recovered;
        if report.cut_records > 0 {
            tracing::warn!(
                bytes = report.cut_bytes,
                records = report.cut_records,
                file = self.disk.name(),
                "the end of the journal was torn and is cut off"
            );
        }
        if report.repaired {
            tracing::warn!(
                file = self.disk.name(),
                "the journal was not closed in order; its store has repaired itself"
            );
        }
        let history = Self::history(self);
        let reach = tokio::task::spawn_blocking(move || history.reach()).await;
        if let Ok(Ok(reach)) = reach {
            self.state.update(|figures| figures.reach = reach);
        }
        let restored = Restored {
            epoch: meta.epoch,
            revision: newest,
            gaps: meta.gaps.clone(),
        };
        let queue = Arc::new(Queue::new(newest, meta.ceiling, self.config.revisions_reserved));
        let shared = Shared {
            queue: Arc::clone(&queue),
            state: Arc::clone(&self.state),
            wanted: Arc::clone(&self.wanted),
            open: Arc::clone(&self.open),
        };
        let (config, disk, clock) = (
            self.config.clone(),
            Arc::clone(&self.disk),
            Arc::clone(&self.clock),
        );
        let watchdog = Watchdog {
            disk: Arc::clone(&disk),
            max: config.write_max,
            clock: Arc::clone(&clock),
            queue: Arc::clone(&queue),
            state: Arc::clone(&self.state),
            open: Arc::clone(&self.open),
        };
        let writer = Writer::new(config, disk, clock, shared, meta, place, next_checkpoint);
        let start = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let started = std::thread::Builder::new().name(name.into()).spawn(run);
            started.map_err(|error| JournalError(format!("its thread cannot start: {error}")))
        };
        // Neither is joined: the disk may keep the one for ever, and the other ends with it.
        start("journal", Box::new(move || writer.run()))?;
        self.writing = Some(Arc::clone(&queue));
        start("journal-watch", Box::new(move || watchdog.run()))?;
        self.report = report;
        self.queue = Some(queue);
        Ok(restored)
    }

    async fn commit(
        &mut self,
        group: Vec<Proposed>,
        at: Wall,
        keep: Keep,
    ) -> Result<Vec<Committed>, JournalError> {
        let Some(queue) = &self.queue else {
            return Err(JournalError("it has not been restored".into()));
        };
        let first = loop {
            let mut pushed = queue.push(&group, at, keep, &self.state)?;
            if matches!(pushed, Pushed::Later) {
                pushed = queue.room(|| queue.push(&group, at, keep, &self.state)).await?;
            }
            match pushed {
                Pushed::Later => {}
                Pushed::Behind(first) => break first,
                Pushed::Durable(first, done) => {
                    done.await
                        .map_err(|_| JournalError("its writer has ended".into()))??;
                    break first;
                }
            }
        };
        let committed = group.into_iter().zip(first.0..);
        Ok(committed
            .map(|(Proposed { mutation, by }, revision)| Committed {
                revision: Revision(revision),
                at,
                by,
                mutation,
            })
            .collect())
    }

    fn checkpoints(&self) -> Option<Box<dyn Checkpoints>> {
        let queue = Arc::clone(self.queue.as_ref()?);
        Some(Box::new(Taker::new(queue, Arc::clone(&self.wanted))))
    }

    fn history(&self) -> Option<Arc<dyn super::History>> {
        Some(Arc::new(Self::history(self)))
    }

    fn storage(&self) -> Option<Arc<StorageState>> {
        Some(self.state())
    }

    async fn close(&mut self) {
        if let Some(ended) = self.end() {
            // It has nothing to tell; its last words were logged.
            let _ = tokio::task::spawn_blocking(ended).await;
        }
    }
}

/// Who lets go of it without closing it has it closed all the same, if he can wait: only a crash leaves a gap.
impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(ended) = self.end() {
            ended();
        }
    }
}
