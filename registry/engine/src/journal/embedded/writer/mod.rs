//! The thread that writes.
//!
//! It alone writes to the store: blocks of the log, blocks of a checkpoint, what the journal knows about itself. One
//! transaction has all that waits.
//!
//! **When the disk fails** it lets go of the store, and whoever needs durability is refused at once. It looks every
//! second whether the store can be opened again and written to. What was committed meanwhile is in memory only, so the
//! log has a hole, and what comes after the hole is worth nothing until a checkpoint has what the hole would have said:
//! therefore a whole checkpoint is asked for, and all that is committed meanwhile waits for it, to be written with the
//! mark that makes it current. So the log after the current checkpoint is without holes at every moment.
//!
//! **When the disk hangs** so does this thread, and the [`watchdog`] says for it that the disk has failed. A write that
//! is done after all is taken back, like one that failed.

mod outage;
mod rounds;
pub mod watchdog;

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::model::{Mono, Revision, Wall};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::journal::{Gap, JournalError};

use super::checkpoint::Wanted;
use super::codec::frame::Block;
use super::disk::Disk;
use super::meta::{Checkpoint, Meta, add_span};
use super::past::bounds_of;
use super::queue::{Job, Lost, Mode, Ordered, Queue, Work};
use super::retention::Retention;
use super::state::StorageState;
use super::store::{Batch, Store, StoreError};
use super::{EmbeddedConfig, Open};

/// After how many written bytes the free space is looked at again.
const LOOK_AFTER_BYTES: u64 = 8 * 1024 * 1024;

/// What is said when a write was given up before it was done. See [`watchdog`].
const OVERDUE: &str = "a write took too long";

/// A checkpoint that is being written.
#[derive(Debug)]
struct Build {
    number: u64,
    as_of: Revision,
    blocks: u32,
    bytes: u64,
}

/// Where the log ends.
#[derive(Debug, Clone)]
pub struct Place {
    /// The newest revision that is written.
    pub written: Revision,
    /// When the newest of all records was proposed.
    pub at: Wall,
    /// How many bytes of log were ever written.
    pub offset: u64,
    /// The same when the current checkpoint was finished, as far as it is known.
    pub checkpoint_offset: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Writer {
    config: EmbeddedConfig,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    queue: Arc<Queue>,
    state: Arc<StorageState>,
    wanted: Arc<Wanted>,
    open: Arc<Open>,
    store: Option<Arc<Store>>,
    meta: Meta,
    place: Place,
    build: Option<Build>,
    /// The number of the next checkpoint that begins.
    numbers: u64,
    retention: Retention,
    since_look: u64,
    looked: Mono,
}

/// What the writer shares with others.
#[derive(Debug, Clone)]
pub struct Shared {
    /// What waits.
    pub queue: Arc<Queue>,
    /// How it is.
    pub state: Arc<StorageState>,
    /// Whether a checkpoint is wanted.
    pub wanted: Arc<Wanted>,
    /// The store, for readers.
    pub open: Arc<Open>,
}

impl Writer {
    /// A writer that goes on at `place`, and whose next checkpoint has the number `numbers`.
    #[must_use]
    pub fn new(
        config: EmbeddedConfig,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        shared: Shared,
        meta: Meta,
        place: Place,
        numbers: u64,
    ) -> Self {
        let looked = clock.mono();
        let store = shared.open.get();
        let retention = Retention::new(&config);
        Self {
            config,
            disk,
            clock,
            queue: shared.queue,
            state: shared.state,
            wanted: shared.wanted,
            open: shared.open,
            store,
            numbers,
            meta,
            place,
            build: None,
            retention,
            since_look: u64::MAX,
            looked,
        }
    }

    /// Writes until it is told to stop.
    pub fn run(self) {
        let _end = End(Arc::clone(&self.queue));
        self.write_until_stopped();
    }

    fn write_until_stopped(mut self) {
        self.tell();
        let mut busy = Duration::ZERO;
        loop {
            let work = self.queue.take(busy, &*self.clock);
            let began = self.clock.mono();
            let stop = work.stop;
            match self.store.clone() {
                Some(store) => self.work(&store, work),
                None => self.without_store(work),
            }
            self.queue.goes_on(self.clock.mono());
            self.look_around();
            if self.store.is_some() && self.queue.mode() == Mode::Failed {
                self.fail(OVERDUE);
            }
            self.tell();
            if stop {
                return self.close();
            }
            busy = self.clock.mono().since(began);
        }
    }

    /// Writes all of `work` in one transaction, or fails.
    fn work(&mut self, store: &Store, mut work: Work) {
        let recovering = match self.queue.mode() {
            Mode::Recovering(lost) => Some(lost),
            Mode::Open | Mode::Failed => None,
        };
        let mut batch = Batch::default();
        let mut next = self.place.clone();
        let records: u64 = work.blocks.iter().map(|first| first.block.records()).sum();
        for first in std::mem::take(&mut work.blocks) {
            batch.log.push((first.first, next.add(first.block)));
        }
        let mut meta = None;
        if let Some(ceiling) = work.reserve {
            meta.get_or_insert_with(|| self.meta.clone()).ceiling = ceiling;
        }
        let finishes = work
            .job
            .as_ref()
            .is_some_and(|ordered| matches!(ordered.job, Job::Finish));
        let job = match work.job.take() {
            None => None,
            Some(Ordered { job, reply }) => match self.prepare(job, &mut batch, recovering) {
                Ok(()) => Some(reply),
                Err(error) => {
                    self.give_up_checkpoint();
                    tell(reply, Err(error));
                    if recovering.is_some() && finishes {
                        // What waited for the checkpoint can wait for the next one only as a part of it.
                        self.lose(records, 0);
                        self.recover_again();
                        return;
                    }
                    None
                }
            },
        };
        let finished = finishes && job.is_some();
        if finished {
            let meta = meta.get_or_insert_with(|| self.meta.clone());
            if let Some(Lost { acknowledged, given }) = recovering {
                let hole = Gap {
                    after: self.place.written,
                    until: acknowledged,
                };
                add_span(&mut meta.holes, hole);
                // The log goes on after what was refused, and nothing happened there.
                let refused = Gap {
                    after: acknowledged,
                    until: given,
                };
                add_span(&mut meta.gaps, refused);
            }
            if let Some(build) = &self.build {
                self.retention.thin_out(&mut meta.checkpoints);
                meta.checkpoints.push(Checkpoint {
                    number: build.number,
                    as_of: build.as_of,
                    until: work.newest,
                    at: next.at,
                    blocks: build.blocks,
                    bytes: build.bytes,
                });
            }
        }
        batch.meta = meta.as_ref().map(Meta::encode);
        let outcome = if batch.is_empty() {
            Ok(())
        } else {
            self.write(store, &batch)
        };
        let opens = finished && recovering.is_some();
        let ceiling = meta.as_ref().map_or(self.meta.ceiling, |meta| meta.ceiling);
        let outcome = outcome.map_err(|error| error.to_string()).and_then(|()| {
            let in_time = self
                .queue
                .written(next.written, ceiling, opens, self.clock.mono());
            if in_time { Ok(()) } else { Err(OVERDUE.to_owned()) }
        });
        match outcome {
            Ok(()) => {
                self.meta = meta.unwrap_or_else(|| self.meta.clone());
                self.place = next;
                if finished {
                    self.build = None;
                    self.place.checkpoint_offset = self.place.offset;
                    if opens {
                        self.recovered();
                    }
                }
                self.tell();
                if let Some(reply) = job {
                    tell(reply, Ok(()));
                }
            }
            Err(error) => {
                self.lose(records, work.unacknowledged);
                let error = self.fail(&error);
                if let Some(reply) = job {
                    tell(reply, Err(error));
                }
            }
        }
    }

    /// Adds what a job for a checkpoint writes.
    fn prepare(&mut self, job: Job, batch: &mut Batch, recovering: Option<Lost>) -> Result<(), JournalError> {
        let outdated = |as_of| recovering.is_some_and(|lost| as_of < lost.acknowledged);
        match (job, &mut self.build) {
            (Job::Begin(as_of), _) => {
                if outdated(as_of) {
                    return Err(JournalError(
                        "the checkpoint begins before what it has to make up for".into(),
                    ));
                }
                self.wanted.set(false);
                // The number is not that of one that was given up, whose blocks may still be there.
                let number = self.numbers;
                self.numbers += 1;
                self.build = Some(Build {
                    number,
                    as_of,
                    blocks: 0,
                    bytes: 0,
                });
                Ok(())
            }
            (_, None) => Err(JournalError("no checkpoint has begun, or it was given up".into())),
            (_, Some(build)) if outdated(build.as_of) => Err(JournalError(
                "more was committed during the checkpoint than can wait for it".into(),
            )),
            (Job::Block(block), Some(build)) => {
                let key = (build.number, build.blocks);
                build.blocks += 1;
                build.bytes += block.len() as u64;
                batch.checkpoint = Some((key, block));
                Ok(())
            }
            (Job::Finish, Some(_)) => Ok(()),
        }
    }

    fn give_up_checkpoint(&mut self) {
        self.build = None;
        self.retention.littered();
        self.wanted.set(true);
    }

    fn write(&mut self, store: &Store, batch: &Batch) -> Result<(), StoreError> {
        let began = self.clock.mono();
        let outcome = store.write(batch);
        let took = self.clock.mono().since(began);
        self.since_look = self.since_look.saturating_add(batch.bytes());
        self.state.update(|figures| {
            figures.syncs += 1;
            figures.sync_last = took;
            figures.sync_max = figures.sync_max.max(took);
        });
        outcome
    }

    /// Says that nothing is missing.
    fn close(mut self) {
        let Some(store) = self.store.take() else {
            return;
        };
        if self.queue.mode() == Mode::Open {
            let mut meta = self.meta.clone();
            meta.closed_at = Some(self.queue.newest());
            let batch = Batch {
                meta: Some(meta.encode()),
                ..Batch::default()
            };
            if let Err(error) = self.write(&store, &batch) {
                tracing::error!(%error, "the journal could not be closed in order");
            }
        }
        self.open.set(None);
    }

    /// Tells how it is.
    fn tell(&self) {
        let (pending_bytes, pending) = self.queue.load();
        let last = self.meta.checkpoints.last();
        let oldest = self.retention.oldest();
        let looked = self.retention.has_looked();
        let reach = looked.then(|| bounds_of(&self.meta, oldest.map(|oldest| (oldest.first, oldest.at))));
        self.state.update(|figures| {
            figures.reach = reach.unwrap_or(figures.reach);
            figures.pending_bytes = pending_bytes;
            figures.pending = pending;
            figures.durable = self.place.written;
            figures.log_bytes = oldest.map_or(0, |oldest| self.place.offset - oldest.offset);
            figures.log_bytes_since_checkpoint = self.place.offset - self.place.checkpoint_offset;
            figures.checkpoint_bytes = last.map_or(0, |last| last.bytes);
            figures.checkpoint_revision = last.map_or(Revision::ZERO, |last| last.as_of);
            figures.checkpoint_until = last.map_or(Revision::ZERO, |last| last.until);
            figures.checkpoint_at = last.map(|last| last.at);
            figures.history_from = oldest.map(|oldest| oldest.first);
            figures.history_since = oldest.map(|oldest| oldest.at);
        });
    }
}

impl Place {
    /// Puts a block at the end; returns its bytes.
    fn add(&mut self, block: Block) -> Vec<u8> {
        self.written = block.last();
        self.at = self.at.max(block.at());
        let bytes = block.into_bytes(self.offset);
        self.offset += bytes.len() as u64;
        bytes
    }
}

/// Says that the writer has ended, however it does.
struct End(Arc<Queue>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Who waited may have gone.
fn tell(reply: oneshot::Sender<Result<(), JournalError>>, outcome: Result<(), JournalError>) {
    let _ = reply.send(outcome);
}
